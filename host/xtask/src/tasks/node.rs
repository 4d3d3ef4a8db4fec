//! Packages of Node for tasks that need some, installed once as a lock file says. Not here: what is run with them.

use crate::{environment::Environment, process};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A folder in the user's cache with the files of `scripts` and `node_modules` beside them, where Node looks for packages.
///
/// # Errors
/// When there is no npm, or its registry is not reachable.
pub fn packages(environment: &Environment, name: &str, scripts: &Path) -> Result<PathBuf> {
    let folder = environment.cache()?.join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let lock = scripts.join("package-lock.json");
    let wanted = fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    for file in fs::read_dir(scripts)? {
        let file = file?;
        // What `npm install` beside the scripts leaves.
        if file.file_type()?.is_file() {
            fs::copy(file.path(), folder.join(file.file_name()))?;
        }
    }
    let stamp = folder.join("packages");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    let npm = |arguments: &[&str]| process::command("npm", arguments, &folder);
    ensure!(process::succeeds(&mut npm(&["--version"])), "npm is not installed");
    let install = [
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
        "--fetch-retries=1",
    ];
    process::run(&mut npm(&install)).context("the packages cannot be installed; is npm's registry reachable?")?;
    fs::write(&stamp, wanted)?;
    Ok(folder)
}
