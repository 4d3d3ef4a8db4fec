//! From a plugin's folder to its component, with the tools of its language. A tool that is missing is named with the command that
//! installs it. Not here: what the component must be (`component`).

mod javascript;
mod python;
mod rust;

use super::{
    bundle,
    component::Component,
    project::{self, Project},
    world,
};
use riad_core::{
    Error, ErrorKind, Result, manifest,
    manifest::{Language, SettingsSchema},
};
use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

/// A component as it lies in `build/`.
pub struct Built {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    pub component: Component,
}

/// Builds the component, checks it against the manifest and puts the manifest into it.
pub async fn build(project: &Project) -> Result<Built> {
    let Project { folder, manifest } = project;
    if let Some(schema) = &manifest.configuration {
        SettingsSchema::compile(schema)?;
    }
    bundle::write_sdk(manifest.language, folder)?;
    let world = world::write(project)?;
    let made = match manifest.language {
        Language::Rust => rust::build(project).await?,
        Language::JavaScript => javascript::build(project, &world).await?,
        Language::Python => python::build(project, &world).await?,
    };
    let raw = std::fs::read(&made).map_err(|error| project::cannot("read", &made, error))?;
    Component::parse(&raw)?.check(manifest)?;
    let bytes = manifest::write_section(&raw, manifest)?;
    let path = project.component();
    project::write(&path, &bytes)?;
    Ok(Built {
        component: Component::parse(&bytes)?,
        bytes,
        path,
    })
}

/// Runs a tool in the plugin's folder; what it says goes to stderr. `missing` is the command that installs it.
async fn run(mut command: Command, what: &str, missing: &str) -> Result<()> {
    let status = command.stdin(Stdio::null()).stdout(io::stderr()).status().await;
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(what, &status.to_string())),
        Err(error) => Err(not_found(what, missing, error)),
    }
}

/// Runs a tool and gives what it writes to stdout.
async fn read(mut command: Command, what: &str, missing: &str) -> Result<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().await;
    match output {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => Err(failed(what, &output.status.to_string())),
        Err(error) => Err(not_found(what, missing, error)),
    }
}

/// The tool has said why.
fn failed(what: &str, status: &str) -> Error {
    Error::invalid(format!("{what} failed ({status}); its own words are above"))
}

fn not_found(what: &str, missing: &str, error: io::Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("{what} cannot be run ({error}); {missing}"),
    )
    .with_source(error)
}

fn command(program: impl AsRef<Path>, folder: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    // Some tools are themselves in Rust, and hide what is wrong in the source behind a page of their own stack.
    command
        .current_dir(folder)
        .env("RUST_BACKTRACE", "0")
        .kill_on_drop(true);
    command
}
