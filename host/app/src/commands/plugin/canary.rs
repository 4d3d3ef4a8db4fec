//! `riad plugin deploy --canary`, `promote`, and the end of a canary by `rollback`. Not here: its end by the server.

use crate::{
    client::{Client, Response},
    commands::pipeline,
    output::Output,
};
use riad_api_types::pipeline::Pipeline;
use riad_core::{
    Error, ErrorKind, PluginName, Result,
    pipeline::{self as core, Canary},
    plugin::{Stage, StageChoice},
};
use std::collections::BTreeMap;

/// # Errors
/// `InvalidRequest` for a canary that would serve nothing.
pub fn check_stages(stages: &[Stage]) -> Result<()> {
    match stages.is_empty() {
        false => Ok(()),
        true => Err(Error::invalid(
            "a canary serves stages; name them with --stage, such as --stage retrieval",
        )),
    }
}

/// # Errors
/// `Conflict` while the room has a canary of another plugin, which a new one would end.
pub async fn check_free(client: &Client, name: &PluginName) -> Result<()> {
    let mut active = pipeline::active(client).await?;
    if active.canary.is_none() || take(&mut active, name).is_some() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        "the room has a canary of another plugin, and there is one at a time; promote it or roll it back first (`riad pipeline show` \
         names it)",
    ))
}

/// Replaces a canary that the room may have.
pub async fn begin(client: &Client, percent: u32, stages: BTreeMap<Stage, StageChoice>) -> Result<Response<Pipeline>> {
    let mut active = pipeline::active(client).await?;
    active.canary = Some(Canary { percent, stages });
    pipeline::put(client, active).await
}

/// Lets the canary's stages serve all requests.
pub async fn promote(name: &PluginName, client: &Client, out: &Output) -> Result<()> {
    let mut active = pipeline::active(client).await?;
    let Some(canary) = take(&mut active, name) else {
        let why = match active.last_canary {
            Some(_) => "; `riad pipeline show` says how the last one ended",
            None => "; `riad plugin deploy --canary PERCENT` makes one",
        };
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("there is no canary of {name} to promote{why}"),
        ));
    };
    active.stages.extend(canary.stages.clone());
    let changed = pipeline::put(client, active).await?;
    out.show(&changed, |_: &Pipeline| {
        format!("All requests are now served by {}.", pipeline::settings(&canary.stages))
    });
    Ok(())
}

/// Puts a pipeline that the canary was taken out of.
pub async fn end(without: core::Pipeline, canary: &Canary, client: &Client, out: &Output) -> Result<()> {
    let changed = pipeline::put(client, without).await?;
    out.show(&changed, |_: &Pipeline| {
        format!(
            "The canary {} has ended; all requests are served as the others were.",
            pipeline::settings(&canary.stages)
        )
    });
    Ok(())
}

/// Takes the canary out of the pipeline if this plugin, and no other, serves a stage of it.
pub fn take(pipeline: &mut core::Pipeline, name: &PluginName) -> Option<Canary> {
    pipeline.canary.take_if(|canary| {
        let mut plugins = canary
            .stages
            .values()
            .filter(|choice| matches!(choice, StageChoice::Plugin { .. }))
            .peekable();
        plugins.peek().is_some() && plugins.all(|choice| serves(choice, name, None))
    })
}

/// Whether a stage is served by the plugin, in this version if one is given.
pub fn serves(choice: &StageChoice, name: &PluginName, version: Option<&str>) -> bool {
    match choice {
        StageChoice::Plugin {
            name: found,
            version: of,
        } => found == name && version.is_none_or(|version| of.to_string() == version),
        StageChoice::Standard | StageChoice::None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::Digest;

    fn canary_of_desk() -> Canary {
        let choice: StageChoice = format!("desk@{}", Digest::of(b"two")).parse().unwrap();
        Canary {
            percent: 10,
            stages: [(Stage::Tools, StageChoice::None), (Stage::Prompting, choice)].into(),
        }
    }

    #[test]
    fn a_canary_is_taken_by_its_plugins_name() {
        let canary = canary_of_desk();
        let mut pipeline = core::Pipeline {
            canary: Some(canary.clone()),
            ..core::Pipeline::default()
        };
        assert_eq!(take(&mut pipeline, &"other".parse().unwrap()), None);
        assert_eq!(take(&mut pipeline, &"desk".parse().unwrap()), Some(canary));
        assert_eq!(take(&mut pipeline, &"desk".parse().unwrap()), None);
        let other: StageChoice = format!("other@{}", Digest::of(b"one")).parse().unwrap();
        let mut shared = canary_of_desk();
        shared.stages.insert(Stage::Retrieval, other);
        pipeline.canary = Some(shared);
        assert_eq!(
            take(&mut pipeline, &"desk".parse().unwrap()),
            None,
            "another plugin's too"
        );
    }
}
