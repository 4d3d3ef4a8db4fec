//! Python: `componentize-py`, in a virtual environment of the plugin's folder.

use super::{command, run};
use crate::commands::plugin::{project::Project, world::WORLD};
use riad_core::Result;
use std::path::{Path, PathBuf};

const INSTALL: &str = "install Python 3.10 or newer, with venv";

pub async fn build(project: &Project, world: &Path) -> Result<PathBuf> {
    let folder = &project.folder;
    let environment = folder.join(".venv");
    if !program(&environment, "componentize-py").exists() {
        let mut venv = command("python3", folder);
        venv.args(["-m", "venv"]).arg(&environment);
        run(venv, "python3 -m venv", INSTALL).await?;
        let mut pip = command(program(&environment, "pip"), folder);
        pip.args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
            "requirements.txt",
        ]);
        run(pip, "pip install", INSTALL).await?;
    }
    let out = project.support().join("made.wasm");
    let mut tool = command(program(&environment, "componentize-py"), folder);
    tool.arg("-d")
        .arg(world)
        .args(["-w", WORLD, "componentize", "plugin", "-s", "-p"])
        .arg(folder.join("src"))
        .arg("-p")
        .arg(project.support().join("sdk/python"))
        .arg("-o")
        .arg(&out);
    run(tool, "componentize-py", "remove the folder .venv and build again").await?;
    Ok(out)
}

fn program(environment: &Path, name: &str) -> PathBuf {
    match cfg!(windows) {
        true => environment.join("Scripts").join(format!("{name}.exe")),
        false => environment.join("bin").join(name),
    }
}
