//! Which crate may know which. A dependency from one crate to another is an architectural decision: it is made here first.

use crate::environment::Environment;
use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

/// Every crate of `host/` and the crates of ours that it may depend on, for its tests too. `*`: any.
const RULES: &[(&str, &[&str])] = &[
    ("riad-core", &[]),
    ("riad-lora", &[]),
    ("riad-xtask", &[]),
    ("riad-store", &["riad-core"]),
    ("riad-engine", &["riad-core", "riad-lora"]),
    ("riad-sandbox", &["riad-core"]),
    ("riad-services", &["riad-core"]),
    ("riad-api", &["riad-core", "riad-services"]),
    ("riad", &["*"]),
];

pub fn check(environment: &Environment) -> Result<Vec<String>> {
    let metadata = MetadataCommand::new()
        .cargo_path(&environment.cargo)
        .current_dir(&environment.root)
        .env("RUSTUP_AUTO_INSTALL", "0")
        .no_deps()
        .exec()
        .context("cannot read the workspace")?;
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        // What tests the whole may know the whole.
        if package.manifest_path.starts_with(metadata.workspace_root.join("tests")) {
            continue;
        }
        let dependencies: Vec<&str> = package
            .dependencies
            .iter()
            .map(|dependency| dependency.name.as_str())
            .collect();
        wrong.extend(violations(&package.name, &dependencies));
    }
    Ok(wrong)
}

fn violations(package: &str, dependencies: &[&str]) -> Vec<String> {
    let Some((_, allowed)) = RULES.iter().find(|(name, _)| *name == package) else {
        return vec![format!(
            "{package} is not in the list of crates in host/xtask/src/tasks/tidy/directions.rs"
        )];
    };
    dependencies
        .iter()
        .filter(|name| **name == "riad" || name.starts_with("riad-"))
        .filter(|name| !allowed.contains(&"*") && !allowed.contains(name))
        .map(|name| format!("{package} must not depend on {name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_in_the_wrong_direction_is_named() {
        assert_eq!(
            violations("riad-core", &["serde", "riad-store"]),
            ["riad-core must not depend on riad-store"]
        );
        assert_eq!(
            violations("riad-services", &["riad-core", "riad-engine"]),
            ["riad-services must not depend on riad-engine"]
        );
        assert!(violations("riad-engine", &["riad-core", "riad-lora", "tokio"]).is_empty());
        assert!(violations("riad", &["riad-api", "riad-store"]).is_empty());
    }

    #[test]
    fn a_new_crate_needs_a_rule() {
        assert_eq!(violations("riad-new", &[]).len(), 1);
    }
}
