//! The lockfiles of workspaces of their own: they go out of date unnoticed when a crate that they use gets a dependency.

use super::workspace::{Package, Workspace};
use crate::environment::Environment;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::{collections::BTreeMap, fs};

/// Workspaces that use crates of `host/` by path and are not built by `cargo xtask test`.
const FOLDERS: [&str; 1] = ["tests/fuzz"];

#[derive(Deserialize)]
struct Lockfile {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    /// Names, with a version where there are several.
    #[serde(default)]
    dependencies: Vec<String>,
}

pub fn check(environment: &Environment, workspace: &Workspace) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for folder in FOLDERS {
        let path = environment.root.join(folder).join("Cargo.lock");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let lockfile: Lockfile = toml::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
        wrong.extend(
            missing(workspace, &lockfile)
                .into_iter()
                .map(|what| format!("{folder}/Cargo.lock lacks {what}; run `cargo metadata` in {folder}")),
        );
    }
    Ok(wrong)
}

/// Dependencies of our crates that the lockfile does not have.
fn missing(workspace: &Workspace, lockfile: &Lockfile) -> Vec<String> {
    let ours: BTreeMap<&str, &Package> = workspace
        .packages
        .iter()
        .map(|package| (package.name.as_str(), package))
        .collect();
    let mut missing = Vec::new();
    for locked in &lockfile.package {
        let Some(package) = ours.get(locked.name.as_str()) else {
            continue;
        };
        let is_locked = |name: &str| {
            let names = locked.dependencies.iter().filter_map(|entry| entry.split(' ').next());
            names.into_iter().any(|locked| locked == name)
        };
        let needed = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind.is_none() && !dependency.optional && !is_locked(&dependency.name));
        missing.extend(needed.map(|dependency| format!("{} of {}", dependency.name, package.name)));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::{super::workspace::Dependency, *};

    #[test]
    fn a_new_dependency_is_missed_and_one_of_tests_is_not() {
        let dependency = |name: &str, kind: Option<&str>, optional| Dependency {
            name: name.to_owned(),
            kind: kind.map(str::to_owned),
            optional,
        };
        let workspace = Workspace {
            packages: vec![Package {
                name: "riad-store".to_owned(),
                manifest_path: "host/store/Cargo.toml".into(),
                dependencies: vec![
                    dependency("toml", None, false),
                    dependency("lru", None, false),
                    dependency("proptest", Some("dev"), false),
                    dependency("extra", None, true),
                ],
            }],
        };
        let locked = |names: &[&str]| Lockfile {
            package: vec![Locked {
                name: "riad-store".to_owned(),
                dependencies: names.iter().map(|name| (*name).to_owned()).collect(),
            }],
        };
        assert_eq!(missing(&workspace, &locked(&["toml 0.8.2"])), ["lru of riad-store"]);
        assert!(missing(&workspace, &locked(&["lru", "toml"])).is_empty());
    }
}
