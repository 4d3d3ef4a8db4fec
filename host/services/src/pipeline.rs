//! Which component serves each stage of a room. Not here: running it (`chat`).

use crate::shared::Shared;
use riad_core::{
    Error, ErrorKind, Result, TenantPass,
    plugin::{Pipeline, Stage, StageChoice},
    ports::{PipelinePlan, PlannedComponent, Room},
};
use std::{collections::BTreeMap, sync::Arc};

pub struct PipelineService(pub(crate) Arc<Shared>);

impl PipelineService {
    /// The active pipeline; every stage is named.
    ///
    /// # Errors
    /// When the room cannot be read.
    pub async fn get(&self, pass: &TenantPass) -> Result<Pipeline> {
        Ok(complete(&self.0.rooms.open(pass).await?.plugins.pipeline().await?))
    }

    /// Replaces the pipeline for the requests that come after. A stage that is not named is served by the standard one.
    ///
    /// # Errors
    /// `NotFound` for a version that this room does not have, `InvalidRequest` for one that does not serve the stage.
    pub async fn put(&self, pass: &TenantPass, pipeline: &Pipeline) -> Result<Pipeline> {
        let room = self.0.rooms.open(pass).await?;
        let versions = room.plugins.list().await?;
        for (stage, choice) in &pipeline.stages {
            let StageChoice::Plugin { name, version } = choice else {
                continue;
            };
            let found = versions
                .iter()
                .find(|found| found.name == *name && found.version == *version);
            let refused = match found {
                None => Error::not_found(format!("this room has no plugin {choice}; upload it first")),
                Some(found) if !found.stages.contains(stage) => {
                    Error::invalid(format!("the plugin {choice} does not serve the stage {stage}"))
                }
                Some(_) => continue,
            };
            return Err(refused.with_param(format!("stages.{stage}")));
        }
        room.plugins.set_pipeline(pipeline).await?;
        Ok(complete(pipeline))
    }
}

/// The components that serve a request in this room.
pub(crate) async fn plan(shared: &Shared, room: &Room) -> Result<PipelinePlan> {
    let pipeline = room.plugins.pipeline().await?;
    let mut loaded: BTreeMap<String, PlannedComponent> = BTreeMap::new();
    let mut stages = BTreeMap::new();
    for stage in Stage::ALL {
        let choice = pipeline.choice(stage);
        let component = match (&choice, loaded.get(&choice.to_string())) {
            (StageChoice::Standard, _) => shared.standard.clone(),
            (StageChoice::Plugin { .. }, Some(component)) => component.clone(),
            (StageChoice::Plugin { name, version }, None) => {
                let (found, component) = room
                    .plugins
                    .load(name, version)
                    .await
                    .map_err(|error| missing(error, stage, &choice))?;
                let component = PlannedComponent {
                    digest: found.version,
                    component,
                };
                loaded.insert(choice.to_string(), component.clone());
                component
            }
        };
        stages.insert(stage, component);
    }
    Ok(PipelinePlan { stages })
}

/// A pipeline only names versions that were there, so that this is damage; never the standard pipeline instead.
fn missing(error: Error, stage: Stage, choice: &StageChoice) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    Error::new(
        ErrorKind::PluginFailed,
        format!(
            "the stage {stage} of this room is served by {choice}, which is not there any more; \
             upload it again or name another in /v1/pipeline"
        ),
    )
}

fn complete(pipeline: &Pipeline) -> Pipeline {
    Pipeline {
        stages: Stage::ALL
            .into_iter()
            .map(|stage| (stage, pipeline.choice(stage)))
            .collect(),
    }
}
