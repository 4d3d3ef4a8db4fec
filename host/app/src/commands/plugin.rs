//! `riad plugin`.

use super::{date, pipeline, read_file};
use crate::{
    cli::PluginCommand,
    client::{Client, Response},
    output::{Output, clean, progress, short_digest, table},
};
use bytes::Bytes;
use riad_api_types::plugins::{DeletedPlugin, Plugin, PluginList};
use riad_core::{
    Error, PluginName, Result, Timestamp,
    plugin::{Stage, StageChoice},
};

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
                    clean(&made.name),
                    clean(&made.version),
                    stage_list(made)
                )
            });
        }
        PluginCommand::List => {
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
        }
        PluginCommand::Delete { version } => {
            let StageChoice::Plugin { name, version } = version else {
                return Err(Error::invalid("standard is no plugin; name one as name@sha256:…"));
            };
            let deleted = client.delete(&format!("/v1/plugins/{name}/versions/{version}")).await?;
            out.show(&deleted, |_: &DeletedPlugin| format!("Deleted {name}@{version}."));
        }
    }
    Ok(())
}

/// Uploads a component and activates it for the stages; the demo uses it too.
pub async fn deploy(
    client: &Client,
    name: &PluginName,
    component: Bytes,
    stages: &[Stage],
) -> Result<Response<Plugin>> {
    let made: Response<Plugin> = client.put_bytes(&format!("/v1/plugins/{name}"), component).await?;
    let has = |stage: Stage| made.body.stages.iter().any(|name| name == stage.as_str());
    if let Some(missing) = stages.iter().find(|stage| !has(**stage)) {
        return Err(Error::invalid(format!(
            "{name} was uploaded but not activated: it does not have the stage {missing}, only {}",
            stage_list(&made.body)
        )));
    }
    if !stages.is_empty() {
        let choice: StageChoice = format!("{name}@{}", made.body.version).parse()?;
        let changes = stages.iter().map(|stage| (*stage, choice.clone())).collect();
        pipeline::change(client, changes).await?;
    }
    Ok(made)
}

fn stage_list(plugin: &Plugin) -> String {
    clean(&plugin.stages.join(", "))
}
