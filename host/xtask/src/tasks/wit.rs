//! `cargo xtask wit`: whether released packages of `wit/` are as they were released. `released.toml` has a hash of each, over its text
//! without comments and blank lines: words may get better, contracts may not. Named packages are added to it; none is ever changed.

use crate::{environment::Environment, say};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    path::{Path, PathBuf},
};

const RELEASED: &str = "released.toml";
const HEAD: &str = "# Packages that are released, and SHA-256 of their texts without comments and blank lines. A package that stands here never\n\
                    # changes. `cargo xtask wit --check` compares, `cargo xtask wit PACKAGE…` adds.\n";

#[derive(clap::Args)]
pub struct Arguments {
    /// Fail if a released package is missing or has changed; the default when no package is named
    #[arg(long, conflicts_with = "packages")]
    check: bool,
    /// Packages that are released now, such as `riad:kv@0.1.0`
    packages: Vec<String>,
}

impl Arguments {
    /// As `--check`.
    pub fn checking() -> Self {
        Self {
            check: true,
            packages: Vec::new(),
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Released {
    packages: BTreeMap<String, String>,
}

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    let folder = environment.root.join("wit");
    let packages = packages(&folder)?;
    let mut released = read(&folder)?;
    let wrong = differences(&released, &packages);
    if !wrong.is_empty() {
        bail!(
            "{}\na change of a contract is a package of a new version: see wit/README.md",
            wrong.join("\n")
        );
    }
    for name in &arguments.packages {
        let hash = packages
            .get(name)
            .with_context(|| format!("wit/ has no package {name}"))?;
        released.packages.insert(name.clone(), hash.clone());
    }
    if !arguments.packages.is_empty() {
        let path = folder.join(RELEASED);
        let text = format!("{HEAD}\n{}", toml::to_string(&released)?);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let unreleased: Vec<&str> = packages
        .keys()
        .filter(|name| !released.packages.contains_key(*name))
        .map(String::as_str)
        .collect();
    say::line(&format!(
        "wit: {} released packages are as they were; not released yet: {}",
        released.packages.len(),
        if unreleased.is_empty() {
            "none".to_owned()
        } else {
            unreleased.join(", ")
        }
    ));
    Ok(())
}

fn read(folder: &Path) -> Result<Released> {
    let path = folder.join(RELEASED);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
}

/// What is not as it was released.
fn differences(released: &Released, packages: &BTreeMap<String, String>) -> Vec<String> {
    released
        .packages
        .iter()
        .filter_map(|(name, hash)| match packages.get(name) {
            None => Some(format!("{name} is released, and missing from wit/")),
            Some(now) if now != hash => Some(format!("{name} is released, and has changed")),
            Some(_) => None,
        })
        .collect()
}

/// Every package below a folder, by name and version, with its hash.
fn packages(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut packages = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let contract = contract(&text);
        let name = contract
            .lines()
            .find_map(|line| line.strip_prefix("package ")?.strip_suffix(';'))
            .with_context(|| format!("{} names no package", file.display()))?;
        ensure!(
            name.contains('@'),
            "{}: the package {name} has no version",
            file.display()
        );
        match packages.entry(name.to_owned()) {
            Entry::Vacant(entry) => entry.insert(hex::encode(Sha256::digest(&contract))),
            Entry::Occupied(_) => bail!("{}: another file has the package {name}", file.display()),
        };
    }
    Ok(packages)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "wit") {
            files.push(path);
        }
    }
    Ok(())
}

/// A package's text without comments, blank lines and indentation. WIT has no texts in which `//` could stand.
fn contract(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    // Block comments first, which nest.
    let mut depth = 0_usize;
    while let Some(first) = rest.chars().next() {
        let (skipped, is_kept) = if depth == 0 && rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            depth += 1;
            (2, false)
        } else if depth > 0 && rest.starts_with("*/") {
            depth -= 1;
            (2, false)
        } else {
            (first.len_utf8(), depth == 0)
        };
        let (head, tail) = rest.split_at(skipped);
        if is_kept {
            kept.push_str(head);
        }
        rest = tail;
    }
    let lines = kept.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "package riad:kv@0.1.0;\n\ninterface kv {\n  get: func() -> u32;\n}\n";

    fn hash_of(text: &str) -> String {
        hex::encode(Sha256::digest(contract(text)))
    }

    #[test]
    fn comments_and_blank_lines_are_no_part_of_a_contract() {
        let commented = "/// Small values.\n// Not here.\npackage riad:kv@0.1.0;\ninterface kv {\n\n\n      /* /* for */ now */ get: func() -> u32; // a number\n}";
        assert_eq!(contract(commented), contract(TEXT));
        assert_ne!(contract(&TEXT.replace("u32", "u64")), contract(TEXT));
    }

    #[test]
    fn a_changed_and_a_missing_package_are_named() {
        let released = Released {
            packages: [("riad:kv@0.1.0", TEXT), ("riad:http@0.1.0", TEXT)]
                .map(|(name, text)| (name.to_owned(), hash_of(text)))
                .into(),
        };
        let now = |text: &str| BTreeMap::from([("riad:kv@0.1.0".to_owned(), hash_of(text))]);
        let missing = "riad:http@0.1.0 is released, and missing from wit/";
        assert_eq!(differences(&released, &now(TEXT)), [missing]);
        let changed = differences(&released, &now(&TEXT.replace("get", "read")));
        assert_eq!(changed, [missing, "riad:kv@0.1.0 is released, and has changed"]);
    }

    #[test]
    fn the_committed_contracts_are_as_they_were_released() {
        let folder = Path::new(env!("RIAD_SOURCE")).join("wit");
        let (released, packages) = (read(&folder).unwrap(), packages(&folder).unwrap());
        assert_eq!(differences(&released, &packages), [""; 0]);
        assert!(released.packages.contains_key("riad:pipeline@0.1.0"));
    }
}
