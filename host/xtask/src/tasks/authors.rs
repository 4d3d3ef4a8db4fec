//! `cargo xtask authors [LANGUAGE…]`: what a new author does, from an empty folder, in each language, against a server of its own.
//! Not here: the steps (`tests/authors/first-plugin.sh`).

use super::server::Server;
use crate::{environment::Environment, process, say};
use anyhow::{Context, Result, bail, ensure};
use std::{fs, path::Path};

const LANGUAGES: [&str; 3] = ["rust", "javascript", "python"];
/// The script's way to say that a registry is out of reach.
const SKIPPED: i32 = 3;

#[derive(clap::Args)]
pub struct Arguments {
    /// rust, javascript, python; all of them if none is given
    languages: Vec<String>,
}

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    for name in &arguments.languages {
        ensure!(
            LANGUAGES.contains(&name.as_str()),
            "there is no language {name}; there are {}",
            LANGUAGES.join(", ")
        );
    }
    let is_chosen =
        |name: &&&str| arguments.languages.is_empty() || arguments.languages.iter().any(|chosen| chosen == **name);
    let mut server = Server::start(environment, "authors", &[])?;
    let mut skipped = Vec::new();
    for language in LANGUAGES.iter().filter(is_chosen) {
        say::line(&format!("== {language}"));
        let key = server.tenant(&format!("author-{language}"), &[])?;
        let folder = environment.target.join("authors").join(language);
        clear(&folder)?;
        let script = environment.root.join("tests/authors/first-plugin.sh");
        let mut command = process::command(&script, &[language], &folder);
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
                    "== {language}: SKIPPED, its packages cannot be fetched; is its registry reachable?"
                ));
                skipped.push(*language);
            }
            _ if !server.is_running() => bail!("the server has ended:\n{}", server.log()),
            _ => bail!(
                "the author in {language} has failed ({status}); the folder is {}",
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
