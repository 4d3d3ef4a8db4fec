//! Which component serves each stage of a room. Not here: running the stages (`chat`).

use crate::{audit, shared::Shared};
use async_trait::async_trait;
use bytes::Bytes;
use riad_core::{
    Digest, Error, ErrorKind, PluginName, Result, TenantPass,
    grants::{Access, Scope},
    plugin::{Pipeline, Stage, StageChoice},
    ports::{ComponentSource, PipelinePlan, PlannedComponent, PluginStore, Room},
};
use std::{collections::BTreeSet, sync::Arc};

pub struct PipelineService(pub(crate) Arc<Shared>);

impl PipelineService {
    /// The active pipeline; every stage is named.
    ///
    /// # Errors
    /// When the room cannot be read.
    pub async fn get(&self, pass: &TenantPass) -> Result<Pipeline> {
        pass.require(Scope::Plugins, Access::Read)?;
        Ok(complete(&self.0.rooms.open(pass).await?.plugins.pipeline().await?))
    }

    /// Replaces the pipeline for the requests that come after. A stage that is not named is served by its default.
    ///
    /// # Errors
    /// `NotFound` for a version that this room does not have, `InvalidRequest` for one that does not serve the stage, `Busy` after too
    /// many changes.
    pub async fn put(&self, pass: &TenantPass, pipeline: &Pipeline) -> Result<Pipeline> {
        pass.require(Scope::Plugins, Access::Write)?;
        self.0.control.count_change(pass.account())?;
        let room = self.0.rooms.open(pass).await?;
        let versions = room.plugins.list().await?;
        for (stage, choice) in &pipeline.stages {
            choice
                .check(*stage)
                .map_err(|error| error.with_param(format!("stages.{stage}")))?;
            let StageChoice::Plugin { name, version } = choice else {
                continue;
            };
            let found = versions
                .iter()
                .find(|found| found.name == *name && found.version == *version);
            let error = match found {
                None => Error::not_found(format!("this room has no plugin {choice}; upload it first")),
                Some(found) if !found.stages.contains(stage) => {
                    Error::invalid(format!("the plugin {choice} does not serve the stage {stage}"))
                }
                Some(_) => continue,
            };
            return Err(error.with_param(format!("stages.{stage}")));
        }
        let complete = complete(pipeline);
        let detail = serde_json::to_value(&complete).map_err(Error::internal)?;
        let entry = audit::by_tenant(pass, "pipeline.put", "pipeline", Some(&detail));
        let (shared, pass, pipeline) = (Arc::clone(&self.0), pass.clone(), pipeline.clone());
        audit::run_to_completion(async move {
            room.plugins.set_pipeline(&pipeline).await?;
            audit::append(&shared, &pass, entry).await?;
            Ok(complete)
        })
        .await
    }
}

/// The components that serve a request in this room, and the names of the tenant's plugins among them, joined by `+`;
/// `standard` if there is none. Reads no component: most are in the sandbox's memory.
pub(crate) async fn plan(shared: &Shared, pass: &TenantPass, room: &Room) -> Result<(PipelinePlan, String)> {
    let pipeline = room.plugins.pipeline().await?;
    let names: BTreeSet<PluginName> = Stage::ALL
        .into_iter()
        .filter_map(|stage| match pipeline.choice(stage) {
            StageChoice::Standard | StageChoice::None => None,
            StageChoice::Plugin { name, .. } => Some(name),
        })
        .collect();
    let names = match names.is_empty() {
        true => "standard".to_owned(),
        false => names.iter().map(PluginName::as_str).collect::<Vec<_>>().join("+"),
    };
    let planned = |stage| match pipeline.choice(stage) {
        StageChoice::Standard => Some(shared.standard.clone()),
        StageChoice::None => None,
        StageChoice::Plugin { name, version } => Some(PlannedComponent {
            digest: version,
            source: Arc::new(StoredPlugin {
                plugins: Arc::clone(&room.plugins),
                name,
                version,
                stage,
            }),
        }),
    };
    let plan = PipelinePlan {
        account: pass.account(),
        weight: pass.policy().weight,
        granted: pass.policy().plugins.granted(),
        stages: Stage::ALL
            .into_iter()
            .filter_map(|stage| Some((stage, planned(stage)?)))
            .collect(),
    };
    Ok((plan, names))
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

fn complete(pipeline: &Pipeline) -> Pipeline {
    Pipeline {
        stages: Stage::ALL
            .into_iter()
            .map(|stage| (stage, pipeline.choice(stage)))
            .collect(),
    }
}
