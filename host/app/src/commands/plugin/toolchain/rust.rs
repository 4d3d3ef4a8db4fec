//! Rust: cargo, for the target `wasm32-unknown-unknown`. Its linker makes a component and ships with every toolchain of rustup.

use super::{command, read};
use crate::commands::plugin::project::Project;
use riad_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};

const TARGET: &str = "wasm32-unknown-unknown";
const INSTALL: &str = "install Rust with https://rustup.rs, then run: rustup target add wasm32-unknown-unknown";

pub async fn build(project: &Project) -> Result<PathBuf> {
    let folder = &project.folder;
    find_target(folder).await?;
    let mut cargo = command("cargo", folder);
    cargo
        .args([
            "build",
            "--release",
            "--quiet",
            "--message-format=json-render-diagnostics",
            "--target",
            TARGET,
        ])
        // Beside the plugin, whatever else the user builds.
        .arg("--target-dir")
        .arg(folder.join("target"))
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-component-ld");
    let messages = read(cargo, "cargo", INSTALL).await?;
    component(&messages, &folder.join("Cargo.toml")).ok_or_else(|| {
        Error::invalid("cargo built no component; set `crate-type = [\"cdylib\"]` in the table [lib] of Cargo.toml")
    })
}

/// Cargo's own error for a missing target is fifty lines long.
async fn find_target(folder: &Path) -> Result<()> {
    let mut rustc = command("rustc", folder);
    rustc.args(["--print", "target-libdir", "--target", TARGET]);
    let libraries = read(rustc, "rustc", INSTALL).await?;
    if Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unavailable,
        format!("Rust has no libraries for {TARGET} here; run: rustup target add {TARGET}"),
    ))
}

/// A line of cargo's.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The component of the package with this manifest.
fn component(messages: &str, manifest: &Path) -> Option<PathBuf> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok());
    messages
        .filter(|message| message.reason == "compiler-artifact" && message.manifest_path == manifest)
        .flat_map(|message| message.filenames)
        .find(|file| file.extension().is_some_and(|ending| ending == "wasm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_that_of_the_plugins_own_package() {
        let messages = r#"
            {"reason":"compiler-artifact","manifest_path":"/a/dependency/Cargo.toml","filenames":["/t/other.wasm"]}
            {"reason":"compiler-artifact","manifest_path":"/a/Cargo.toml","filenames":["/t/desk.rlib","/t/desk.wasm"],"fresh":true}
            {"reason":"build-finished","success":true}
            not json"#;
        assert_eq!(
            component(messages, Path::new("/a/Cargo.toml")),
            Some("/t/desk.wasm".into())
        );
        assert_eq!(component(messages, Path::new("/b/Cargo.toml")), None);
    }
}
