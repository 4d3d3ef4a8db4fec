//! `riad pipeline`.

use crate::{
    cli::{PipelineCommand, StageSetting, WantedChoice},
    client::Client,
    output::{Output, data, table, text},
};
use riad_core::{Error, Result, plugin::Stage};
use serde_json::{Map, Value, json};

pub async fn run(command: PipelineCommand, client: &Client, out: &Output) -> Result<()> {
    let pipeline = match command {
        PipelineCommand::Show => client.get("/v1/pipeline").await?,
        PipelineCommand::Set { stages } => {
            let changes = resolve(client, stages).await?;
            change(client, changes).await?
        }
    };
    out.show(&pipeline, |pipeline| {
        let stages = pipeline.get("stages").unwrap_or(&Value::Null);
        let rows: Vec<_> = Stage::ALL
            .iter()
            .map(|stage| vec![stage.to_string(), text(stages, stage.as_str())])
            .collect();
        table::render(&["stage", "served by"], &rows)
    });
    Ok(())
}

/// Changes some stages and leaves the others as they are.
pub async fn change(client: &Client, changes: Vec<(Stage, String)>) -> Result<Value> {
    let mut stages: Map<String, Value> = client
        .get("/v1/pipeline")
        .await?
        .get("stages")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    for (stage, choice) in changes {
        stages.insert(stage.to_string(), choice.into());
    }
    client.put("/v1/pipeline", &json!({"stages": stages})).await
}

async fn resolve(client: &Client, settings: Vec<StageSetting>) -> Result<Vec<(Stage, String)>> {
    let mut changes = Vec::new();
    for setting in settings {
        let choice = match setting.choice {
            WantedChoice::Exact(choice) => choice.to_string(),
            WantedChoice::Newest(name) => {
                let list = client.get("/v1/plugins").await?;
                // The server lists the newest version first.
                let newest = data(&list).iter().find(|plugin| text(plugin, "name") == name.as_str());
                let newest = newest.ok_or_else(|| {
                    Error::not_found(format!(
                        "there is no plugin {name}; deploy it with `riad plugin deploy {name} FILE`"
                    ))
                })?;
                format!("{name}@{}", text(newest, "version"))
            }
        };
        changes.push((setting.stage, choice));
    }
    Ok(changes)
}
