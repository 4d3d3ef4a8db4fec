//! What the benchmark of plugins measures beside the sandbox: its peers in `tests/peers`, and components in JavaScript and Python, which
//! are in no repository. What cannot be built here is left out, with a line that says so.

use crate::{environment::Environment, process, say, tasks::server};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

const PEERS: &str = "tests/peers";
const GUEST_TARGET: &str = "wasm32-unknown-unknown";
/// Plugins that `riad plugin build` makes.
const PLUGINS: [&str; 4] = [
    "plugins/synonyms",
    "plugins/checked-numbers",
    "tests/peers/empty-javascript",
    "tests/peers/empty-python",
];

/// Builds all of it, and says where it is, in the benchmark's options.
///
/// # Errors
/// When the server cannot be built, or a folder cannot be written.
pub fn prepare(environment: &Environment) -> Result<Vec<String>> {
    let mut options = Vec::new();
    let mut name = |option: &str, path: PathBuf| options.extend([option.to_owned(), path.display().to_string()]);
    let target = environment.target.join("peers");
    if build_peer(environment, &target, "native code", "peer-native", &["--release"]) {
        name("--native", target.join("release/peer-native"));
    }
    let guest = ["--profile", "guest", "--target", GUEST_TARGET];
    if build_peer(environment, &target, "Extism", "peer-extism", &["--release"])
        && build_peer(environment, &target, "Extism", "extism-guest", &guest)
    {
        name("--extism", target.join("release/peer-extism"));
        let plugin = target.join(GUEST_TARGET).join("guest/extism_guest.wasm");
        name("--extism-plugin", plugin);
    }
    name("--components", components(environment)?);
    Ok(options)
}

/// Whether it could be built.
fn build_peer(environment: &Environment, target: &Path, what: &str, package: &str, how: &[&str]) -> bool {
    // Extism's wasmtime asks for a newer compiler than this repository's, which builds it nevertheless.
    let words = [
        &["build", "--locked", "--ignore-rust-version", "--package", package],
        how,
    ]
    .concat();
    let mut command = process::command(&environment.cargo, &words, &environment.root.join(PEERS));
    let built = process::run(command.env("CARGO_TARGET_DIR", target));
    if let Err(error) = &built {
        say::line(&format!("== {what}: SKIPPED, {error:#}; is the registry reachable?"));
    }
    built.is_ok()
}

/// The folder that has them, each in one of its own.
fn components(environment: &Environment) -> Result<PathBuf> {
    let riad = server::build(environment)?;
    let folder = environment.target.join("bench-plugins");
    for plugin in PLUGINS {
        let source = environment.root.join(plugin);
        let name = source.file_name().context("a plugin's folder has no name")?;
        let copy = folder.join(name);
        // A component of another time would be measured if this build failed; packages that are installed stay.
        let build = copy.join("build");
        if build.exists() {
            fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))?;
        }
        fs::create_dir_all(&copy).with_context(|| format!("cannot make {}", copy.display()))?;
        process::run(
            process::command("cp", &["-r"], &environment.root)
                .arg(source.join("."))
                .arg(&copy),
        )?;
        let built = process::read(process::command(&riad, &["plugin", "build"], &copy).env("NO_COLOR", "1"));
        if let Err(error) = built {
            say::line(&format!("== {plugin}: SKIPPED, {error:#}"));
        }
    }
    Ok(folder)
}
