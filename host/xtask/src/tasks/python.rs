//! Python environments for tasks that need one, made once. Not here: what is installed in them.

use crate::{environment::Environment, process};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A virtual environment.
pub struct Python {
    folder: PathBuf,
}

impl Python {
    /// An environment in the target folder with these packages, which are named with their versions (`numpy==2.4.6`).
    ///
    /// # Errors
    /// When there is no Python 3 or the packages cannot be installed.
    pub fn with(environment: &Environment, name: &str, packages: &[&str]) -> Result<Self> {
        let folder = environment.target.join("python").join(name);
        Self::make(environment, folder, &packages.join("\n"), |pip| {
            pip.args(packages);
        })
    }

    /// An environment in the user's cache with what a file of requirements names.
    ///
    /// # Errors
    /// When there is no cache, no Python 3, or the packages cannot be installed.
    pub fn with_requirements(environment: &Environment, name: &str, requirements: &Path) -> Result<Self> {
        let folder = environment.cache()?.join("python").join(name);
        let wanted =
            fs::read_to_string(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
        Self::make(environment, folder, &wanted, |pip| {
            pip.arg("--requirement").arg(requirements);
        })
    }

    fn make(environment: &Environment, folder: PathBuf, wanted: &str, add: impl FnOnce(&mut Command)) -> Result<Self> {
        let python = Self { folder };
        // Written last, so that an interrupted installation is begun again.
        let stamp = python.folder.join("packages");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(python);
        }
        let python3 = |arguments: &[&str]| process::command("python3", arguments, &environment.root);
        ensure!(
            process::succeeds(&mut python3(&["--version"])),
            "python3 is not installed"
        );
        process::run(python3(&["-m", "venv", "--clear"]).arg(&python.folder))?;
        let mut pip = python.pip("install", &environment.root);
        add(&mut pip);
        process::run(&mut pip).context("the packages cannot be installed; is a package index reachable?")?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
        Ok(python)
    }

    /// One more package, without what it says to need. `variables` are of its build.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub fn add(&self, environment: &Environment, package: &str, variables: &[(&str, &str)]) -> Result<()> {
        let stamp = self.folder.join(format!("added-{package}"));
        if stamp.is_file() {
            return Ok(());
        }
        let mut pip = self.pip("install", &environment.root);
        pip.args(["--no-deps", package]).envs(variables.iter().copied());
        process::run(&mut pip).with_context(|| format!("{package} cannot be installed"))?;
        fs::write(&stamp, "").with_context(|| format!("cannot write {}", stamp.display()))
    }

    /// Where the packages are.
    ///
    /// # Errors
    /// When Python does not say it.
    pub fn packages(&self, environment: &Environment) -> Result<PathBuf> {
        let asked = ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"];
        let said = process::read(&mut process::command(self.program("python"), &asked, &environment.root))?;
        Ok(said.trim().into())
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command of pip that gives up soon where no index is reachable.
    pub fn pip(&self, command: &str, folder: &Path) -> Command {
        let few = [
            command,
            "--quiet",
            "--disable-pip-version-check",
            "--retries",
            "1",
            "--timeout",
            "20",
        ];
        process::command(self.program("pip"), &few, folder)
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }
}
