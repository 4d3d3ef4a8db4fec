//! `riad plugin`: from an empty folder to a stage that serves, and back.

mod bundle;
mod canary;
pub(crate) mod component;
mod dev;
mod inspect;
mod logs;
mod new;
mod project;
mod test;
mod toolchain;
mod versions;
mod world;

use super::{pipeline, read_file};
use crate::{
    cli::{PluginCommand, TenantAccess},
    client::{Client, Response},
    output::{Output, clean, line, note, progress},
};
use bytes::Bytes;
use project::Project;
use riad_api_types::plugins::{DeletedPlugin, Plugin};
use riad_core::{
    Error, PluginName, Result,
    plugin::{Stage, StageChoice},
};
use serde_json::json;
use std::{path::Path, process::ExitCode};

pub async fn run(command: PluginCommand, at: &TenantAccess) -> Result<ExitCode> {
    let out = &Output::new(at.json);
    match command {
        PluginCommand::New { language, name } => line(new::make(language, &name, Path::new("."))?.trim_end()),
        PluginCommand::Build(project) => build(&Project::open(&project.folder)?, out).await?,
        PluginCommand::Inspect { file } => inspect::run(&file, out).await?,
        PluginCommand::Test {
            project,
            update,
            from_receipt,
        } => {
            let project = Project::open(&project.folder)?;
            return match from_receipt {
                Some(receipt) => test::replay(&project, &at.client()?, receipt, update, out).await,
                None => test::run(&project, update, out).await,
            };
        }
        PluginCommand::Bench { project, runs } => test::bench(&Project::open(&project.folder)?, runs, out).await?,
        PluginCommand::Deploy {
            target,
            file,
            stages,
            canary,
        } => match file {
            Some(file) => deploy_file(&at.client()?, &target, &file, &stages, canary, out).await?,
            None => deploy_project(&at.client()?, &Project::open(&target)?, canary, out).await?,
        },
        PluginCommand::Dev(project) => dev::run(&project.folder, &at.client()?, out).await?,
        PluginCommand::List => versions::list(&at.client()?, out).await?,
        PluginCommand::Versions { name } => versions::list_of(&name, &at.client()?, out).await?,
        PluginCommand::Promote { name } => canary::promote(&name, &at.client()?, out).await?,
        PluginCommand::Rollback { name, to } => versions::rollback(&name, to, &at.client()?, out).await?,
        PluginCommand::Logs { follow } => logs::run(follow, &at.client()?, out).await?,
        PluginCommand::Delete { version } => delete(&version, &at.client()?, out).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn build(project: &Project, out: &Output) -> Result<()> {
    let built = toolchain::build(project).await?;
    let json = json!({"file": built.path, "bytes": built.bytes.len()});
    out.show_json(&json, || {
        format!("Built {}, {}.", built.path.display(), size(built.bytes.len()))
    });
    for unused in project
        .manifest
        .capabilities
        .difference(&built.component.capabilities())
    {
        note(&format!(
            "The source uses no {unused}; take it out of `capabilities` in riad.toml if it stays so."
        ));
    }
    Ok(())
}

/// A component that is there, under a name.
async fn deploy_file(
    client: &Client,
    name: &Path,
    file: &Path,
    stages: &[Stage],
    canary: Option<u32>,
    out: &Output,
) -> Result<()> {
    let name: PluginName = name.to_string_lossy().parse()?;
    let spinner = progress::spinner("compiling");
    let result = deploy(client, &name, read_file(file).await?, stages, canary).await;
    spinner.finish_and_clear();
    out.show(&result?, |made| uploaded(&name, made, stages, canary));
    Ok(())
}

async fn deploy_project(client: &Client, project: &Project, canary: Option<u32>, out: &Output) -> Result<()> {
    let built = toolchain::build(project).await?;
    let (name, stages) = (&project.manifest.name, stages(project));
    let spinner = progress::spinner("compiling");
    let result = deploy(client, name, built.bytes.into(), &stages, canary).await;
    spinner.finish_and_clear();
    out.show(&result?, |made| uploaded(name, made, &stages, canary));
    Ok(())
}

fn stages(project: &Project) -> Vec<Stage> {
    project.manifest.stages.iter().copied().collect()
}

fn uploaded(name: &PluginName, made: &Plugin, stages: &[Stage], canary: Option<u32>) -> String {
    let active: Vec<_> = stages.iter().map(|stage| stage.as_str()).collect();
    let now = match (active.as_slice(), canary) {
        ([], _) => format!("activate it with `riad pipeline set STAGE={name}`"),
        (active, None) => format!("it now serves {}", active.join(" and ")),
        (active, Some(percent)) => format!(
            "it now serves {} for {percent} % of the requests, until `riad plugin promote {name}` or `rollback {name}`",
            active.join(" and ")
        ),
    };
    format!(
        "Uploaded {}@{} with the stages {}; {now}.",
        clean(&made.name),
        clean(&made.version),
        stage_list(made)
    )
}

async fn delete(version: &StageChoice, client: &Client, out: &Output) -> Result<()> {
    let StageChoice::Plugin { name, version } = version else {
        return Err(Error::invalid(format!(
            "{version} is no plugin; name one as name@sha256:…"
        )));
    };
    let deleted = client.delete(&format!("/v1/plugins/{name}/versions/{version}")).await?;
    out.show(&deleted, |_: &DeletedPlugin| format!("Deleted {name}@{version}."));
    Ok(())
}

/// Uploads a component and activates it for the stages, all in one change, or as a canary for this percentage of the requests; the demo
/// uses it too.
pub async fn deploy(
    client: &Client,
    name: &PluginName,
    component: Bytes,
    stages: &[Stage],
    canary: Option<u32>,
) -> Result<Response<Plugin>> {
    if canary.is_some() {
        canary::check_stages(stages)?;
        canary::check_free(client, name).await?;
    }
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
        let changes = stages.iter().map(|stage| (*stage, choice.clone()));
        match canary {
            None => pipeline::change(client, changes.collect()).await?,
            Some(percent) => canary::begin(client, percent, changes.collect()).await?,
        };
    }
    Ok(made)
}

fn stage_list(plugin: &Plugin) -> String {
    clean(&plugin.stages.join(", "))
}

/// Bytes as people read them.
fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
