//! JavaScript: `componentize-qjs`, which `npm install` puts into the plugin's folder. It bundles the source with QuickJS.

use super::{command, run};
use crate::commands::plugin::{project::Project, world::WORLD};
use riad_core::Result;
use std::path::{Path, PathBuf};

const INSTALL: &str = "install Node.js 20 or newer, which npm comes with";

pub async fn build(project: &Project, world: &Path) -> Result<PathBuf> {
    let folder = &project.folder;
    if !folder.join("node_modules/.bin/componentize-qjs").exists() {
        let mut npm = command("npm", folder);
        npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error"]);
        run(npm, "npm install", INSTALL).await?;
    }
    let out = project.support().join("made.wasm");
    let mut npx = command("npx", folder);
    npx.args(["--no", "componentize-qjs", "--"])
        .arg("--wit")
        .arg(world)
        .args(["-n", WORLD, "-j"])
        .arg(folder.join("src/plugin.js"))
        .args(["--stub-wasi", "--sync", "--opt-size", "-m", "-o"])
        .arg(&out);
    run(npx, "componentize-qjs", "run: npm install").await?;
    Ok(out)
}
