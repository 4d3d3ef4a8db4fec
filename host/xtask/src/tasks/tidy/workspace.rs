//! The crates of the workspace and what they depend on, as cargo says.

use crate::{environment::Environment, process};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::PathBuf;

/// The members of `cargo metadata`'s answer that count here.
#[derive(Deserialize)]
pub struct Workspace {
    pub packages: Vec<Package>,
}

#[derive(Deserialize)]
pub struct Package {
    pub name: String,
    pub manifest_path: PathBuf,
    pub dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub struct Dependency {
    pub name: String,
    /// Of tests or build scripts; `None`: of the crate itself.
    pub kind: Option<String>,
    pub optional: bool,
}

pub fn read(environment: &Environment) -> Result<Workspace> {
    let arguments = ["metadata", "--no-deps", "--format-version", "1"];
    let answer = process::read(&mut process::command(&environment.cargo, &arguments, &environment.root))?;
    serde_json::from_str(&answer).context("cannot understand `cargo metadata`")
}
