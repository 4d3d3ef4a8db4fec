//! `cargo xtask deploy check`: compares the manifests of `host/deploy` with schemas, as they are and as kustomize renders them, and the unit
//! with systemd's own check. What is not installed is skipped, with a line that says so. Not here: whether the names in them exist (`tidy`).

use super::python::Python;
use crate::{environment::Environment, process, say};
use anyhow::{Context, Result};
use clap::Subcommand;
use std::{fs, path::Path};

/// Folders that can be applied as they are.
const KUSTOMIZATIONS: [&str; 2] = ["kubernetes/cell", "kubernetes/gpu-workers"];
/// What `riad cell routes --for gateway` prints, which a test compares with it.
const ROUTES: &str = "host/cells/src/snapshots/riad_cells__routes__tests__gateway.snap";
const UNIT: &str = "systemd/riad.service";
/// What the unit starts, where the unit looks for it.
const PROGRAM: (&str, &str) = ("systemd/serve.sh", "opt/riad/serve.sh");

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compare the manifests with the schemas of Kubernetes and others, and the unit with systemd's check
    Check,
}

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    match arguments.command {
        Command::Check => check(environment),
    }
}

fn check(environment: &Environment) -> Result<()> {
    let folder = environment.root.join("host/deploy");
    let work = environment.target.join("deploy");
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    match Python::with_requirements(environment, "deploy", &folder.join("schemas/requirements.txt")) {
        Ok(python) => {
            manifests(&python, &folder, &work)?;
            routes(&python, &environment.root, &folder, &work)?;
        }
        Err(error) => say::line(&format!("== manifests: SKIPPED, {error:#}")),
    }
    unit(&folder, &work)
}

fn manifests(python: &Python, folder: &Path, work: &Path) -> Result<()> {
    let check = |files: &[&str]| {
        let script = [&["schemas/check.py"], files].concat();
        process::run(&mut process::command(python.program("python"), &script, folder))
    };
    say::line("== manifests");
    check(&[])?;
    if !process::succeeds(&mut process::command("kubectl", &["version", "--client"], folder)) {
        say::line("== rendered manifests: SKIPPED, kubectl is not installed");
        return Ok(());
    }
    for kustomization in KUSTOMIZATIONS {
        say::line(&format!("== rendered manifests of {kustomization}"));
        let rendered = process::read(&mut process::command("kubectl", &["kustomize", kustomization], folder))?;
        let file = work.join("rendered.yaml");
        fs::write(&file, rendered).with_context(|| format!("cannot write {}", file.display()))?;
        check(&[&file.to_string_lossy()])?;
    }
    Ok(())
}

fn routes(python: &Python, root: &Path, folder: &Path, work: &Path) -> Result<()> {
    say::line("== routes of cells");
    let snapshot = fs::read_to_string(root.join(ROUTES)).with_context(|| format!("cannot read {ROUTES}"))?;
    let (_, text) = snapshot
        .trim_start_matches("---")
        .split_once("\n---\n")
        .with_context(|| format!("{ROUTES} is no snapshot"))?;
    let file = work.join("routes.yaml");
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    let file = file.to_string_lossy();
    process::run(&mut process::command(
        python.program("python"),
        &["schemas/check.py", &file],
        folder,
    ))
}

fn unit(folder: &Path, work: &Path) -> Result<()> {
    if !process::succeeds(&mut process::command("systemd-analyze", &["--version"], folder)) {
        say::line("== unit: SKIPPED, systemd-analyze is not installed");
        return Ok(());
    }
    say::line("== unit");
    // systemd looks whether there is what the unit starts.
    let text = fs::read_to_string(folder.join(UNIT)).with_context(|| format!("cannot read {UNIT}"))?;
    let installed = work.join(PROGRAM.1);
    fs::create_dir_all(installed.parent().unwrap_or(work))?;
    fs::copy(folder.join(PROGRAM.0), &installed).with_context(|| format!("cannot copy {}", PROGRAM.0))?;
    let unit = work.join("riad.service");
    let here = text.replace("/opt/riad/serve.sh", &installed.to_string_lossy());
    fs::write(&unit, here).with_context(|| format!("cannot write {}", unit.display()))?;
    let unit = unit.to_string_lossy();
    process::run(&mut process::command("systemd-analyze", &["verify", &unit], folder))
}
