//! `riad plugin`.

use super::{date, pipeline, read_file};
use crate::{
    cli::PluginCommand,
    client::Client,
    output::{Output, data, number, progress, short_digest, table, text},
};
use bytes::Bytes;
use riad_core::{Error, PluginName, Result, plugin::Stage};
use serde_json::Value;

pub async fn run(command: PluginCommand, client: &Client, out: &Output) -> Result<()> {
    match command {
        PluginCommand::Deploy { name, file, stages } => {
            let spinner = progress::spinner("compiling");
            let result = deploy(client, &name, read_file(&file).await?, &stages).await;
            spinner.finish_and_clear();
            out.show(&result?, |made| {
                let active: Vec<_> = stages.iter().map(|stage| stage.as_str()).collect();
                let now = match active.as_slice() {
                    [] => format!("activate it with `riad pipeline set STAGE={name}`"),
                    active => format!("it now serves {}", active.join(" and ")),
                };
                format!(
                    "Uploaded {}@{} with the stages {}; {now}.",
                    text(made, "name"),
                    text(made, "version"),
                    stage_list(made)
                )
            });
        }
        PluginCommand::List => {
            let list = client.get("/v1/plugins").await?;
            out.show(&list, |list| {
                let rows: Vec<_> = data(list)
                    .iter()
                    .map(|plugin| {
                        vec![
                            text(plugin, "name"),
                            short_digest(&text(plugin, "version")),
                            stage_list(plugin),
                            number(plugin, "bytes").to_string(),
                            date(number(plugin, "created")),
                        ]
                    })
                    .collect();
                table::render(&["name", "version", "stages", "bytes", "created"], &rows)
            });
        }
    }
    Ok(())
}

/// Uploads a component and activates it for the stages; the demo uses it too.
pub async fn deploy(client: &Client, name: &PluginName, component: Bytes, stages: &[Stage]) -> Result<Value> {
    let made = client.put_bytes(&format!("/v1/plugins/{name}"), component).await?;
    if let Some(missing) = stages.iter().find(|stage| !has_stage(&made, **stage)) {
        return Err(Error::invalid(format!(
            "{name} was uploaded but not activated: it does not have the stage {missing}, only {}",
            stage_list(&made)
        )));
    }
    if !stages.is_empty() {
        let choice = format!("{name}@{}", text(&made, "version"));
        let changes = stages.iter().map(|stage| (*stage, choice.clone())).collect();
        pipeline::change(client, changes).await?;
    }
    Ok(made)
}

fn has_stage(plugin: &Value, stage: Stage) -> bool {
    names(plugin).any(|name| name == stage.as_str())
}

fn stage_list(plugin: &Value) -> String {
    names(plugin).collect::<Vec<_>>().join(", ")
}

fn names(plugin: &Value) -> impl Iterator<Item = &str> {
    plugin
        .get("stages")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}
