//! `riad pipeline`.

use crate::{
    cli::{PipelineCommand, StageSetting, WantedChoice},
    client::{Client, Response},
    output::{Output, table},
};
use riad_api_types::{pipeline::Pipeline, plugins::PluginList};
use riad_core::{
    Error, Result,
    plugin::{self, Stage, StageChoice},
};

pub async fn run(command: PipelineCommand, client: &Client, out: &Output) -> Result<()> {
    let pipeline = match command {
        PipelineCommand::Show => client.get("/v1/pipeline").await?,
        PipelineCommand::Set { stages } => {
            let changes = resolve(client, stages).await?;
            change(client, changes).await?
        }
    };
    out.show(&pipeline, |pipeline: &Pipeline| {
        let stages = &pipeline.stages;
        let rows: Vec<_> = Stage::ALL
            .iter()
            .map(|stage| {
                let choice = match stage {
                    Stage::Retrieval => &stages.retrieval,
                    Stage::Prompting => &stages.prompting,
                    Stage::Postprocessing => &stages.postprocessing,
                    Stage::Tools => &stages.tools,
                };
                vec![stage.to_string(), choice.to_string()]
            })
            .collect();
        table::render(&["stage", "served by"], &rows)
    });
    Ok(())
}

/// Changes some stages and leaves the others as they are.
pub async fn change(client: &Client, changes: Vec<(Stage, StageChoice)>) -> Result<Response<Pipeline>> {
    let current: Pipeline = client.get("/v1/pipeline").await?.body;
    let mut pipeline = plugin::Pipeline::from(current);
    pipeline.stages.extend(changes);
    client.put("/v1/pipeline", &Pipeline::from(pipeline)).await
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
