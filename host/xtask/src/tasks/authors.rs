//! `cargo xtask authors [NAME…]`: what a new author does, from an empty folder, in each language, and a tool in Python that the model calls;
//! against a server of its own. Not here: the steps (`tests/authors/`).

use super::{python::Python, server::Server};
use crate::{environment::Environment, process, say};
use anyhow::{Context, Result, bail, ensure};
use std::{fs, path::Path};

const LANGUAGES: [&str; 3] = ["rust", "javascript", "python"];
/// The plugin in Python whose tool the model calls.
const TOOL: &str = "tool";
const TOOL_PLUGIN: &str = "plugins/order-desk";
/// The script's way to say that a registry is out of reach.
const SKIPPED: i32 = 3;

#[derive(clap::Args)]
pub struct Arguments {
    /// rust, javascript, python, tool; all of them if none is given
    names: Vec<String>,
}

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    let names: Vec<_> = LANGUAGES.into_iter().chain([TOOL]).collect();
    for name in &arguments.names {
        ensure!(
            names.contains(&name.as_str()),
            "there is no author {name}; there are {}",
            names.join(", ")
        );
    }
    let is_chosen = |name: &&&str| arguments.names.is_empty() || arguments.names.iter().any(|chosen| chosen == **name);
    let mut server = Server::start(environment, "authors", &[])?;
    let mut skipped = Vec::new();
    for name in names.iter().filter(is_chosen) {
        say::line(&format!("== {name}"));
        let key = server.tenant(&format!("author-{name}"), &[])?;
        let folder = environment.target.join("authors").join(name);
        clear(&folder)?;
        let scripts = environment.root.join("tests/authors");
        let (script, mut command) = match *name {
            TOOL => {
                let requirements = environment
                    .root
                    .join("tests/clients/python/requirements/openai-python.txt");
                let python = Python::with_requirements(environment, "openai-python", &requirements)?;
                process::run(
                    process::command("cp", &["-r", TOOL_PLUGIN], &environment.root).arg(folder.join("plugin")),
                )?;
                let script = scripts.join("room-tools.sh");
                let mut command = process::command(&script, &[], &folder.join("plugin"));
                command.env("PYTHON", python.program("python"));
                (script, command)
            }
            language => {
                let script = scripts.join("first-plugin.sh");
                let command = process::command(&script, &[language], &folder);
                (script, command)
            }
        };
        command
            .env("RIAD", server.program())
            .env("RIAD_URL", &server.url)
            .env("RIAD_KEY", key)
            .env("NO_COLOR", "1")
            // A plugin's own folder is where its tools build.
            .env_remove("CARGO_TARGET_DIR");
        let status = command
            .status()
            .with_context(|| format!("cannot run {}", script.display()))?;
        match status.code() {
            Some(0) => {}
            Some(SKIPPED) => {
                say::line(&format!(
                    "== {name}: SKIPPED, its packages cannot be fetched; is its registry reachable?"
                ));
                skipped.push(*name);
            }
            _ if !server.is_running() => bail!("the server has ended:\n{}", server.log()),
            _ => bail!(
                "the author {name} has failed ({status}); the folder is {}",
                folder.display()
            ),
        }
    }
    if !skipped.is_empty() {
        say::line(&format!("skipped: {}", skipped.join(", ")));
    }
    Ok(())
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}
