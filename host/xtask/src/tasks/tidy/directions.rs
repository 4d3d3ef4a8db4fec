//! Which crate may know which. A dependency from one crate to another is an architectural decision: it is made here first.

use super::workspace::Workspace;
use crate::environment::Environment;

/// Every crate of `host/` and the crates of ours that it may depend on, for its tests too. `*`: any.
const RULES: &[(&str, &[&str])] = &[
    ("riad-core", &[]),
    ("riad-kernels", &[]),
    ("riad-language", &[]),
    ("riad-lora", &["riad-kernels"]),
    ("riad-paged", &["riad-kernels"]),
    ("riad-xtask", &[]),
    // The last one keeps what the first one copies, in tests.
    ("riad-store", &["riad-core", "riad-language", "riad-objects"]),
    ("riad-admission", &["riad-core"]),
    ("riad-batch", &["riad-core"]),
    ("riad-embeddings", &["riad-core"]),
    ("riad-objects", &["riad-core"]),
    // The tests' fakes are of what is in `riad-core`.
    ("riad-engine", &["riad-batch", "riad-core", "riad-fakes", "riad-lora"]),
    ("riad-sandbox", &["riad-admission", "riad-core"]),
    ("riad-cells", &["riad-core"]),
    ("riad-outbound", &["riad-core", "riad-fakes"]),
    // The second one checks what the first writes, in tests.
    ("riad-telemetry", &["riad-core", "riad-openmetrics"]),
    ("riad-services", &["riad-admission", "riad-core", "riad-fakes"]),
    ("riad-api-types", &["riad-core"]),
    (
        "riad-api",
        &["riad-admission", "riad-api-types", "riad-core", "riad-services"],
    ),
    (
        "riad-console",
        &["riad-api", "riad-core", "riad-fakes", "riad-services"],
    ),
    ("riad-app", &["*"]),
];

pub fn check(environment: &Environment, workspace: &Workspace) -> Vec<String> {
    let tests = environment.root.join("tests");
    workspace
        .packages
        .iter()
        // What tests the whole may know the whole.
        .filter(|package| !package.manifest_path.starts_with(&tests))
        .flat_map(|package| {
            let dependencies: Vec<&str> = package
                .dependencies
                .iter()
                .map(|dependency| dependency.name.as_str())
                .collect();
            violations(&package.name, &dependencies)
        })
        .collect()
}

fn violations(package: &str, dependencies: &[&str]) -> Vec<String> {
    let Some((_, allowed)) = RULES.iter().find(|(name, _)| *name == package) else {
        return vec![format!(
            "{package} is not in the list of crates in host/xtask/src/tasks/tidy/directions.rs"
        )];
    };
    dependencies
        .iter()
        .filter(|name| name.starts_with("riad-"))
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
        assert!(violations("riad-app", &["riad-api", "riad-store"]).is_empty());
    }

    #[test]
    fn a_new_crate_needs_a_rule() {
        assert_eq!(violations("riad-new", &[]).len(), 1);
    }
}
