//! `riad plugin list`, `versions` and `rollback`. Not here: canaries (`canary`), which `rollback` ends.
//!
//! A version that was deployed again is an old one with the same digest, and keeps its place in the list.

use super::{
    canary::{self, serves},
    stage_list,
};
use crate::{
    client::Client,
    commands::{date, pipeline},
    output::{Output, short_digest, table},
};
use riad_api_types::{
    pipeline::Pipeline,
    plugins::{Plugin, PluginList},
};
use riad_core::{
    Digest, Error, ErrorKind, PluginName, Result, Timestamp,
    plugin::{Stage, StageChoice},
};
use serde_json::{Value, json};

pub async fn list(client: &Client, out: &Output) -> Result<()> {
    let list = client.get("/v1/plugins").await?;
    out.show(&list, |list: &PluginList| {
        let rows: Vec<_> = list
            .data
            .iter()
            .map(|plugin| {
                vec![
                    plugin.name.clone(),
                    short_digest(&plugin.version),
                    stage_list(plugin),
                    plugin.bytes.to_string(),
                    date(Timestamp::from_seconds(plugin.created)),
                ]
            })
            .collect();
        table::render(&["name", "version", "stages", "bytes", "created"], &rows)
    });
    Ok(())
}

/// The versions of one plugin, newest first, and what each serves now.
pub async fn list_of(name: &PluginName, client: &Client, out: &Output) -> Result<()> {
    let versions = versions(name, client).await?;
    let pipeline = pipeline::active(client).await?;
    let canary = pipeline.canary.as_ref();
    let tried = |version: &str| -> Vec<&str> {
        let stages = canary.into_iter().flat_map(|canary| &canary.stages);
        let stages = stages.filter(|(_, choice)| serves(choice, name, Some(version)));
        stages.map(|(stage, _)| stage.as_str()).collect()
    };
    let percent = canary.map_or(0, |canary| canary.percent);
    let serving = |version: &str| -> Vec<&str> {
        let stages = Stage::ALL
            .into_iter()
            .filter(|stage| serves(&pipeline.choice(*stage), name, Some(version)));
        stages.map(Stage::as_str).collect()
    };
    let json: Vec<Value> = versions
        .iter()
        .map(|found| {
            let mut json = json!({
                "version": found.version, "bytes": found.bytes, "created": found.created, "stages": found.stages,
                "serves": serving(&found.version),
            });
            let stages = tried(&found.version);
            if let (Some(members), false) = (json.as_object_mut(), stages.is_empty()) {
                members.insert("canary".into(), json!({"percent": percent, "stages": stages}));
            }
            json
        })
        .collect();
    out.show_json(&json!({"name": name.as_str(), "versions": json}), || {
        let rows: Vec<_> = versions
            .iter()
            .map(|found| {
                let tried = tried(&found.version).join(", ");
                vec![
                    short_digest(&found.version),
                    date(Timestamp::from_seconds(found.created)),
                    found.bytes.to_string(),
                    serving(&found.version).join(", "),
                    match tried.is_empty() {
                        true => tried,
                        false => format!("{tried} of {percent} %"),
                    },
                ]
            })
            .collect();
        table::render(&["version", "created", "bytes", "serves now", "canary"], &rows)
    });
    Ok(())
}

/// Every stage that the plugin serves goes to one version, in one change of the pipeline; or its canary ends, if it has one and no version
/// is named.
pub async fn rollback(name: &PluginName, to: Option<Digest>, client: &Client, out: &Output) -> Result<()> {
    let versions = versions(name, client).await?;
    let mut pipeline = pipeline::active(client).await?;
    let ended = canary::take(&mut pipeline, name);
    if let (Some(ended), None) = (&ended, &to) {
        return canary::end(pipeline, ended, client, out).await;
    }
    let stages: Vec<Stage> = Stage::ALL
        .into_iter()
        .filter(|stage| serves(&pipeline.choice(*stage), name, None))
        .collect();
    let Some(first) = stages.first() else {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("{name} serves no stage now, so there is nothing to roll back; `riad pipeline show` says who does"),
        ));
    };
    let target = match to {
        Some(wanted) => named(&versions, name, &wanted)?,
        None => previous(&versions, name, &pipeline.choice(*first))?,
    };
    if let Some(missing) = stages
        .iter()
        .find(|stage| !target.stages.iter().any(|has| has == stage.as_str()))
    {
        return Err(Error::invalid(format!(
            "{name}@{} does not have the stage {missing}, which the plugin serves now; name another version with --to, or another plugin \
             for that stage with `riad pipeline set`",
            target.version
        )));
    }
    let choice: StageChoice = format!("{name}@{}", target.version).parse()?;
    pipeline
        .stages
        .extend(stages.iter().map(|stage| (*stage, choice.clone())));
    let changed = pipeline::put(client, pipeline).await?;
    out.show(&changed, |_: &Pipeline| {
        let stages: Vec<&str> = stages.iter().map(|stage| stage.as_str()).collect();
        format!(
            "{name}@{} of {} now serves {}.",
            target.version,
            date(Timestamp::from_seconds(target.created)),
            stages.join(" and ")
        )
    });
    Ok(())
}

/// Newest first.
async fn versions(name: &PluginName, client: &Client) -> Result<Vec<Plugin>> {
    let list: PluginList = client.get("/v1/plugins").await?.body;
    let versions: Vec<Plugin> = list
        .data
        .into_iter()
        .filter(|found| found.name == name.as_str())
        .collect();
    match versions.is_empty() {
        false => Ok(versions),
        true => Err(Error::not_found(format!(
            "there is no plugin {name}; `riad plugin list` shows those that there are"
        ))),
    }
}

fn named<'a>(versions: &'a [Plugin], name: &PluginName, wanted: &Digest) -> Result<&'a Plugin> {
    let wanted = wanted.to_string();
    versions.iter().find(|found| found.version == wanted).ok_or_else(|| {
        Error::not_found(format!(
            "there is no {name}@{wanted}; `riad plugin versions {name}` shows those that there are"
        ))
    })
}

/// The newest version that is older than the one that serves.
fn previous<'a>(versions: &'a [Plugin], name: &PluginName, current: &StageChoice) -> Result<&'a Plugin> {
    let older = versions
        .iter()
        .skip_while(|found| !serves(current, name, Some(&found.version)))
        .nth(1);
    older.ok_or_else(|| {
        Error::not_found(format!(
            "there is no version of {name} before the one that serves; `riad pipeline set STAGE=standard` takes the plugin out"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(byte: u8) -> Plugin {
        Plugin {
            name: "desk".into(),
            version: Digest::of(&[byte]).to_string(),
            stages: vec!["retrieval".into()],
            manifest: None,
            bytes: 1,
            created: u64::from(byte),
        }
    }

    #[test]
    fn the_version_before_the_one_that_serves_is_chosen() {
        let name: PluginName = "desk".parse().unwrap();
        let versions = [version(3), version(2), version(1)];
        let serving = |byte: u8| format!("desk@{}", Digest::of(&[byte])).parse::<StageChoice>().unwrap();
        assert_eq!(previous(&versions, &name, &serving(3)).unwrap().created, 2);
        assert_eq!(previous(&versions, &name, &serving(2)).unwrap().created, 1);
        assert!(previous(&versions, &name, &serving(1)).is_err());
        assert!(previous(&versions, &name, &serving(9)).is_err(), "one that was deleted");
    }

    #[test]
    fn a_stage_is_served_by_name_and_version() {
        let name: PluginName = "desk".parse().unwrap();
        let choice: StageChoice = format!("desk@{}", Digest::of(b"a")).parse().unwrap();
        assert!(serves(&choice, &name, None));
        assert!(serves(&choice, &name, Some(&Digest::of(b"a").to_string())));
        assert!(!serves(&choice, &name, Some(&Digest::of(b"b").to_string())));
        assert!(!serves(&StageChoice::Standard, &name, None));
        assert!(!serves(&choice, &"other".parse().unwrap(), None));
    }
}
