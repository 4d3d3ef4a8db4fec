//! Which component serves each stage of a room. Not here: running the stages (`chat`).

use crate::{
    audit,
    canary::{self, CanaryRequest},
    file_search::FileSearch,
    metering::RequestMeter,
    shared::Shared,
};
use async_trait::async_trait;
use bytes::Bytes;
use riad_core::{
    Digest, Error, ErrorKind, PluginName, PluginVersion, Result, TenantPass, VectorStoreId,
    grants::{Access, Scope},
    pipeline::Pipeline,
    plugin::{Stage, StageChoice},
    ports::{ComponentSource, PipelinePlan, PlannedComponent, PluginStore, Room},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub struct PipelineService(pub(crate) Arc<Shared>);

impl PipelineService {
    /// The active pipeline; every stage is named.
    ///
    /// # Errors
    /// When the room cannot be read.
    pub async fn get(&self, pass: &TenantPass) -> Result<Pipeline> {
        pass.require(Scope::Plugins, Access::Read)?;
        Ok(self.0.rooms.open(pass).await?.plugins.pipeline().await?.complete())
    }

    /// Replaces the pipeline for the requests that come after. A stage that is not named is served by its default; a canary that is not
    /// named ends. `last_canary` stays the room's; what is given says which end of a canary the client has read of.
    ///
    /// # Errors
    /// `NotFound` for a version or a vector store that this room does not have, `InvalidRequest` for one that does not serve the stage and for a canary
    /// without share or difference, `Conflict` if the server has ended a canary since the client read ([`Pipeline::check_replaces`]), `Busy`
    /// after too many changes.
    pub async fn put(&self, pass: &TenantPass, pipeline: &Pipeline) -> Result<Pipeline> {
        pass.require(Scope::Plugins, Access::Write)?;
        self.0.control.count_change(pass.account())?;
        let room = self.0.rooms.open(pass).await?;
        let versions = room.plugins.list().await?;
        pipeline.check()?;
        for (param, stage, choice) in pipeline.choices() {
            check_version(stage, choice, &versions).map_err(|error| error.with_param(param))?;
        }
        if !pipeline.vector_stores.is_empty() {
            FileSearch::new(pipeline.vector_stores.clone()).touch(&room).await?;
        }
        let changed = Pipeline {
            last_canary: None,
            ..pipeline.clone().complete()
        };
        let detail = serde_json::to_value(changed).map_err(Error::internal)?;
        let entry = audit::by_tenant(pass, "pipeline.put", "pipeline", Some(&detail));
        let (shared, pass, pipeline) = (Arc::clone(&self.0), pass.clone(), pipeline.clone());
        audit::run_to_completion(async move {
            let stored = room.plugins.set_pipeline(&pipeline).await?;
            if stored.canary.is_none() {
                shared.canary_windows.forget(pass.account());
            }
            audit::append(&shared, &pass, entry).await?;
            Ok(stored.complete())
        })
        .await
    }
}

fn check_version(stage: Stage, choice: &StageChoice, versions: &[PluginVersion]) -> Result<()> {
    let StageChoice::Plugin { name, version } = choice else {
        return Ok(());
    };
    let found = versions
        .iter()
        .find(|found| found.name == *name && found.version == *version);
    match found {
        None => Err(Error::not_found(format!(
            "this room has no plugin {choice}; upload it first"
        ))),
        Some(found) if !found.stages.contains(&stage) => Err(Error::invalid(format!(
            "the plugin {choice} does not serve the stage {stage}"
        ))),
        Some(_) => Ok(()),
    }
}

/// What serves a request.
pub(crate) struct Serving {
    pub plan: PipelinePlan,
    /// The names of the tenant's plugins in the plan, joined by `+`; `standard` if there is none.
    pub names: String,
    /// If the request counts for or against a canary.
    pub canary: Option<Arc<CanaryRequest>>,
    /// What its guests search in place of the room's documents, if any.
    pub vector_stores: Vec<VectorStoreId>,
}

/// The components that serve these stages of a request in this room, which calls those of `called`. Reads no component: most are in the
/// sandbox's memory.
pub(crate) async fn plan(
    shared: &Arc<Shared>,
    pass: &TenantPass,
    room: &Room,
    meter: &RequestMeter,
    stages: &[Stage],
    called: &[Stage],
) -> Result<Serving> {
    let pipeline = room.plugins.pipeline().await?;
    let (pipeline, canary) = canary::choose(shared, pass, pipeline, meter, called);
    let names: BTreeSet<PluginName> = stages
        .iter()
        .filter_map(|&stage| match pipeline.choice(stage) {
            StageChoice::Standard | StageChoice::None => None,
            StageChoice::Plugin { name, .. } => Some(name),
        })
        .collect();
    let names = match names.is_empty() {
        true => "standard".to_owned(),
        false => names.iter().map(PluginName::as_str).collect::<Vec<_>>().join("+"),
    };
    let mut planned = BTreeMap::new();
    for &stage in stages {
        let component = match pipeline.choice(stage) {
            StageChoice::Standard => shared.standard(stage).await?,
            StageChoice::None => continue,
            StageChoice::Plugin { name, version } => PlannedComponent {
                digest: version,
                source: Arc::new(StoredPlugin {
                    plugins: Arc::clone(&room.plugins),
                    name,
                    version,
                    stage,
                }),
            },
        };
        planned.insert(stage, component);
    }
    let plan = PipelinePlan {
        account: pass.account(),
        weight: pass.policy().weight,
        granted: pass.policy().plugins.granted(),
        stages: planned,
    };
    Ok(Serving {
        plan,
        names,
        canary,
        vector_stores: pipeline.vector_stores,
    })
}

/// A plugin version that the room stores.
struct StoredPlugin {
    plugins: Arc<dyn PluginStore>,
    name: PluginName,
    version: Digest,
    stage: Stage,
}

#[async_trait]
impl ComponentSource for StoredPlugin {
    async fn read(&self) -> Result<Bytes> {
        match self.plugins.load(&self.name, &self.version).await {
            Ok((_, component)) => Ok(component),
            // A pipeline names only versions that the room had, so this is damage. The standard pipeline must not stand in for it.
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::new(
                ErrorKind::PluginFailed,
                format!(
                    "the stage {} of this room is served by {}@{}, which is not there any more; upload it again or name \
                     another in /v1/pipeline",
                    self.stage, self.name, self.version
                ),
            )),
            Err(error) => Err(error),
        }
    }
}
