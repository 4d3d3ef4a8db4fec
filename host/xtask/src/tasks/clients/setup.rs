//! Installs what a client's script needs, from the registries of its language, in the user's cache. Not here: running it (`run`).

use super::{Client, Kind};
use crate::{
    environment::Environment,
    process,
    tasks::{node, python::Python},
};
use anyhow::{Context, Error, Result, bail, ensure};
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// Names of Chromium in Linux's distributions.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

pub struct Setup<'a> {
    environment: &'a Environment,
    scripts: PathBuf,
    /// The folder with the scripts and their packages, or why there is none, after the first that needs it.
    node: Option<Result<PathBuf, String>>,
}

/// Why there is no command.
#[derive(Debug)]
pub enum Unready {
    /// Something it needs cannot be had here.
    Missing(Error),
    /// What is ours does not compile, which is no reason to skip it.
    Broken(Error),
}

impl From<Error> for Unready {
    fn from(error: Error) -> Self {
        Self::Missing(error)
    }
}

impl<'a> Setup<'a> {
    pub fn new(environment: &'a Environment) -> Self {
        Self {
            environment,
            scripts: environment.root.join("tests/clients"),
            node: None,
        }
    }

    /// The command that runs a client's script.
    ///
    /// # Errors
    /// [`Unready`].
    pub fn command(&mut self, client: &Client) -> Result<Command, Unready> {
        let (environment, name) = (self.environment, client.name);
        let script = self.scripts.join(format!("python/check_{}.py", name.replace('-', "_")));
        let mut command = match client.kind {
            Kind::Python => {
                let requirements = self.scripts.join(format!("python/requirements/{name}.txt"));
                let python = Python::with_requirements(environment, name, &requirements)?;
                let mut command = Command::new(python.program("python"));
                command.arg(script);
                command
            }
            Kind::Node => {
                let folder = once(&mut self.node, || {
                    node::packages(environment, "clients/node", &self.scripts.join("node"))
                })?;
                let mut command = Command::new("node");
                command.arg(folder.join(format!("check-{name}.mjs")));
                command
            }
            Kind::Rust => {
                let workspace = self.scripts.join("rust");
                fetch(environment, &workspace)?;
                let folder = rust(environment, &workspace).map_err(Unready::Broken)?;
                Command::new(folder.join(format!("check-{name}")))
            }
            Kind::Program { version } => {
                let program = program(environment, name, version)?;
                let mut command = python3(environment)?;
                command.arg(script).env("RIAD_CLIENT", program);
                command
            }
            Kind::Browser => {
                let browser = BROWSERS.iter().find_map(|name| find(name));
                let browser = browser.context("there is no Chromium; Debian's package is chromium")?;
                let mut command = python3(environment)?;
                command
                    .arg(self.scripts.join("browser/check.py"))
                    .env("RIAD_CLIENT", browser);
                command
            }
        };
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(command)
    }
}

fn once(made: &mut Option<Result<PathBuf, String>>, make: impl FnOnce() -> Result<PathBuf>) -> Result<PathBuf> {
    match made.get_or_insert_with(|| make().map_err(|error| format!("{error:#}"))) {
        Ok(folder) => Ok(folder.clone()),
        Err(error) => bail!("{error}"),
    }
}

fn python3(environment: &Environment) -> Result<Command> {
    let version = &mut process::command("python3", &["--version"], &environment.root);
    ensure!(process::succeeds(version), "python3 is not installed");
    Ok(Command::new("python3"))
}

fn fetch(environment: &Environment, workspace: &Path) -> Result<()> {
    let fetch = ["fetch", "--locked", "--quiet"];
    process::run(&mut process::command(&environment.cargo, &fetch, workspace))
        .context("the crates of the clients in Rust cannot be had; is crates.io reachable?")
}

/// The folder with the binaries of the workspace of Rust's clients.
fn rust(environment: &Environment, workspace: &Path) -> Result<PathBuf> {
    let target = environment.target.join("clients");
    let build = ["build", "--release", "--locked", "--quiet"];
    process::run(process::command(&environment.cargo, &build, workspace).env("CARGO_TARGET_DIR", &target))
        .context("the clients in Rust cannot be built")?;
    Ok(target.join("release"))
}

/// A program, installed from its crate.
fn program(environment: &Environment, name: &str, version: &str) -> Result<PathBuf> {
    let root = environment.cache()?.join("clients").join(format!("{name}-{version}"));
    let program = root.join("bin").join(name);
    if program.is_file() {
        return Ok(program);
    }
    let mut install = process::command(
        &environment.cargo,
        &[
            "install",
            name,
            "--version",
            &format!("={version}"),
            "--locked",
            "--quiet",
            "--root",
        ],
        &environment.root,
    );
    process::run(
        install
            .arg(&root)
            .env("CARGO_TARGET_DIR", environment.target.join("clients")),
    )
    .with_context(|| format!("{name} cannot be installed; is crates.io reachable?"))?;
    Ok(program)
}

/// A program of the path.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
