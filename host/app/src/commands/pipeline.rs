//! `riad pipeline`.

use super::date;
use crate::{
    cli::{PipelineCommand, StageSetting, WantedChoice},
    client::{Client, Response},
    output::{Output, clean, table},
};
use riad_api_types::{pipeline::Pipeline, plugins::PluginList};
use riad_core::{
    Error, Result, Timestamp, VectorStoreId,
    pipeline::{self, EndedCanary},
    plugin::{Stage, StageChoice},
};
use std::collections::BTreeMap;

pub async fn run(command: PipelineCommand, client: &Client, out: &Output) -> Result<()> {
    let pipeline = match command {
        PipelineCommand::Show => client.get("/v1/pipeline").await?,
        PipelineCommand::Set { stages } => {
            let changes = resolve(client, stages).await?;
            change(client, changes).await?
        }
        PipelineCommand::Stores { stores } => {
            let mut pipeline = active(client).await?;
            pipeline.vector_stores = stores;
            put(client, pipeline).await?
        }
    };
    out.show(&pipeline, |body: &Pipeline| render(&body.clone().into()));
    Ok(())
}

fn render(pipeline: &pipeline::Pipeline) -> String {
    let mut headings = vec!["stage".to_owned(), "served by".to_owned()];
    headings.extend(
        pipeline
            .canary
            .iter()
            .map(|canary| format!("canary, {} %", canary.percent)),
    );
    let rows: Vec<_> = Stage::ALL
        .iter()
        .map(|stage| {
            let mut row = vec![stage.to_string(), pipeline.choice(*stage).to_string()];
            if let Some(canary) = &pipeline.canary {
                row.push(
                    canary
                        .stages
                        .get(stage)
                        .map_or_else(String::new, StageChoice::to_string),
                );
            }
            row
        })
        .collect();
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let mut text = table::render(&headings, &rows);
    if !pipeline.vector_stores.is_empty() {
        let stores: Vec<_> = pipeline.vector_stores.iter().map(VectorStoreId::as_str).collect();
        text = format!("{}\n\nChats are answered from {}.", text.trim_end(), stores.join(", "));
    }
    if let Some(last) = &pipeline.last_canary {
        text = format!("{}\n\n{}", text.trim_end(), ended(last));
    }
    text
}

fn ended(last: &EndedCanary) -> String {
    format!(
        "The server ended the canary {} at {}: {}.",
        last.settings(),
        date(Timestamp::from_seconds(last.ended)),
        clean(&last.reason)
    )
}

/// As `pipeline set` takes them.
pub fn settings(stages: &BTreeMap<Stage, StageChoice>) -> String {
    let settings: Vec<_> = stages
        .iter()
        .map(|(stage, choice)| format!("{stage}={choice}"))
        .collect();
    settings.join(" ")
}

/// What is active now.
pub async fn active(client: &Client) -> Result<pipeline::Pipeline> {
    Ok(client.get::<Pipeline>("/v1/pipeline").await?.body.into())
}

pub async fn put(client: &Client, pipeline: pipeline::Pipeline) -> Result<Response<Pipeline>> {
    client.put("/v1/pipeline", &Pipeline::from(pipeline)).await
}

/// Changes some stages and leaves the others as they are. A canary of a stage that changes ends, because what it was compared with is gone.
pub async fn change(client: &Client, changes: Vec<(Stage, StageChoice)>) -> Result<Response<Pipeline>> {
    let mut pipeline = active(client).await?;
    pipeline
        .canary
        .take_if(|canary| changes.iter().any(|(stage, _)| canary.stages.contains_key(stage)));
    pipeline.stages.extend(changes);
    put(client, pipeline).await
}

async fn resolve(client: &Client, settings: Vec<StageSetting>) -> Result<Vec<(Stage, StageChoice)>> {
    let mut changes = Vec::new();
    for setting in settings {
        let choice = match setting.choice {
            WantedChoice::Exact(choice) => choice,
            WantedChoice::Newest(name) => {
                // The server lists the newest version first.
                let list: PluginList = client.get("/v1/plugins").await?.body;
                let newest = list.data.iter().find(|plugin| plugin.name == name.as_str());
                let newest = newest.ok_or_else(|| {
                    Error::not_found(format!(
                        "there is no plugin {name}; deploy it with `riad plugin deploy {name} FILE`"
                    ))
                })?;
                format!("{name}@{}", newest.version).parse()?
            }
        };
        changes.push((setting.stage, choice));
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::{Digest, pipeline::Canary};

    #[test]
    fn a_canary_and_how_the_last_one_ended_are_shown() {
        let desk: StageChoice = format!("desk@{}", Digest::of(b"two")).parse().unwrap();
        let stages: BTreeMap<_, _> = [(Stage::Prompting, desk.clone())].into();
        let mut shown = pipeline::Pipeline::default();
        assert!(!render(&shown).contains("CANARY"));
        shown.canary = Some(Canary {
            percent: 10,
            stages: stages.clone(),
        });
        let text = render(&shown);
        assert!(
            text.contains("CANARY, 10 %") && text.contains(&desk.to_string()),
            "{text}"
        );
        (shown.canary, shown.last_canary) = (
            None,
            Some(EndedCanary {
                stages,
                requests: 8,
                failures: 3,
                stable_requests: 20,
                stable_failures: 0,
                reason: "it failed".into(),
                ended: 0,
            }),
        );
        let text = render(&shown);
        assert!(!text.contains("CANARY"), "{text}");
        let last = format!("The server ended the canary prompting={desk} at 1970-01-01");
        assert!(text.contains(&last) && text.ends_with(": it failed."), "{text}");
    }
}
