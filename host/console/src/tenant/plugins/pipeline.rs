//! Changes of what serves the stages: each begins with the pipeline as it is now, and is refused if the server has ended a canary since the
//! page was read. Not here: which pipelines may be (`services`).

use super::{HOME, read_name, read_version};
use crate::{
    error::PageResult,
    form::{CsrfForm, Nothing},
    session::TenantSession,
    state::ConsoleState,
};
use axum::{
    extract::{Path, State},
    response::Redirect,
};
use riad_core::{
    Digest, Error, ErrorKind, PluginName, PluginVersion, Result, TenantPass,
    pipeline::{Canary, Pipeline},
    plugin::{Stage, StageChoice},
};
use riad_services::Services;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A choice for each stage, by the stage's name, and which end of a canary the page has told of.
#[derive(Deserialize)]
pub(super) struct StagesForm {
    #[serde(default)]
    seen_canary: String,
    #[serde(flatten)]
    stages: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub(super) struct CanaryForm {
    /// `name@sha256:…`
    version: String,
    percent: String,
}

pub(super) async fn set_stages(
    State(state): State<ConsoleState>,
    session: TenantSession,
    CsrfForm(form): CsrfForm<StagesForm>,
) -> PageResult<Redirect> {
    change(&state.services, &session.pass, |pipeline, _| {
        let seen: Option<u64> = form.seen_canary.parse().ok();
        if pipeline.last_canary.as_ref().map(|canary| canary.ended) != seen {
            let text =
                "the server has ended a canary since this page was loaded; look at the plugins again, then choose";
            return Err(Error::new(ErrorKind::Conflict, text));
        }
        for stage in Stage::ALL {
            if let Some(choice) = form.stages.get(stage.as_str()) {
                pipeline.stages.insert(stage, choice.parse()?);
            }
        }
        Ok(())
    })
    .await
}

/// The version serves what its plugin serves already, or else all that it can.
pub(super) async fn use_version(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Path((name, version)): Path<(String, String)>,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> PageResult<Redirect> {
    let (name, version) = (read_name(&name)?, read_version(&version)?);
    change(&state.services, &session.pass, |pipeline, versions| {
        let stages = stages_for(pipeline, find(versions, &name, &version)?);
        for stage in stages {
            let choice = StageChoice::Plugin {
                name: name.clone(),
                version,
            };
            pipeline.stages.insert(stage, choice);
        }
        Ok(())
    })
    .await
}

pub(super) async fn set_canary(
    State(state): State<ConsoleState>,
    session: TenantSession,
    CsrfForm(form): CsrfForm<CanaryForm>,
) -> PageResult<Redirect> {
    let percent = form.percent.trim().parse();
    let percent = percent.map_err(|_| Error::invalid("percent must be 1 to 100").with_param("percent"))?;
    change(&state.services, &session.pass, |pipeline, versions| {
        let choice: StageChoice = form.version.parse()?;
        let StageChoice::Plugin { name, version } = &choice else {
            return Err(Error::invalid("a canary is a version of a plugin").with_param("version"));
        };
        let stages = stages_for(pipeline, find(versions, name, version)?);
        pipeline.canary = Some(Canary {
            percent,
            stages: stages.into_iter().map(|stage| (stage, choice.clone())).collect(),
        });
        Ok(())
    })
    .await
}

pub(super) async fn end_canary(
    State(state): State<ConsoleState>,
    session: TenantSession,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> PageResult<Redirect> {
    change(&state.services, &session.pass, |pipeline, _| {
        pipeline.canary = None;
        Ok(())
    })
    .await
}

pub(super) async fn promote_canary(
    State(state): State<ConsoleState>,
    session: TenantSession,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> PageResult<Redirect> {
    change(&state.services, &session.pass, |pipeline, _| {
        let gone = || {
            Error::new(
                ErrorKind::Conflict,
                "there is no canary any more; look at the plugins again",
            )
        };
        let canary = pipeline.canary.take().ok_or_else(gone)?;
        pipeline.stages.extend(canary.stages);
        Ok(())
    })
    .await
}

async fn change(
    services: &Services,
    pass: &TenantPass,
    change: impl FnOnce(&mut Pipeline, &[PluginVersion]) -> Result<()>,
) -> PageResult<Redirect> {
    let versions = services.plugins().list(pass).await?;
    let mut pipeline = services.pipeline().get(pass).await?;
    change(&mut pipeline, &versions)?;
    services.pipeline().put(pass, &pipeline).await?;
    Ok(Redirect::to(HOME))
}

fn find<'a>(versions: &'a [PluginVersion], name: &PluginName, version: &Digest) -> Result<&'a PluginVersion> {
    let found = versions
        .iter()
        .find(|found| found.name == *name && found.version == *version);
    found.ok_or_else(|| Error::not_found(format!("this room has no plugin {name}@{version}")))
}

/// The stages that a version would serve in place of what serves them now.
pub(super) fn stages_for(pipeline: &Pipeline, version: &PluginVersion) -> Vec<Stage> {
    let serves = |stage: &Stage| match pipeline.choice(*stage) {
        StageChoice::Plugin { name, .. } => name == version.name,
        StageChoice::Standard | StageChoice::None => false,
    };
    let served: Vec<Stage> = version.stages.iter().copied().filter(serves).collect();
    match served.is_empty() {
        true => version.stages.clone(),
        false => served,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(stages: &[Stage]) -> PluginVersion {
        PluginVersion {
            name: "desk".parse().unwrap(),
            version: Digest::of(b"two"),
            stages: stages.to_vec(),
            manifest: None,
            bytes: 1,
            created: 0,
        }
    }

    #[test]
    fn a_version_takes_the_stages_of_its_plugin() {
        let stages = [Stage::Retrieval, Stage::Prompting];
        let unused = Pipeline::default();
        assert_eq!(stages_for(&unused, &version(&stages)), stages);
        let choice = StageChoice::Plugin {
            name: "desk".parse().unwrap(),
            version: Digest::of(b"one"),
        };
        let used = Pipeline {
            stages: [(Stage::Prompting, choice)].into(),
            ..Pipeline::default()
        };
        assert_eq!(stages_for(&used, &version(&stages)), [Stage::Prompting]);
        assert_eq!(stages_for(&used, &version(&[Stage::Tools])), [Stage::Tools]);
    }
}
