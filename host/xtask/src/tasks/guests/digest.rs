//! What a component was built from, as digests in a file beside it. Paths are relative and sorted, so that the digest is the
//! same on every machine.

use super::discover::Guest;
use crate::environment::Environment;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// SHA-256 of the component.
    pub component: String,
    /// SHA-256 over path and content of the crates' files, the workspace's manifest and settings, and the contracts.
    pub sources: String,
    /// SHA-256 of the workspace's `Cargo.lock`.
    pub lockfile: String,
    /// Who built it.
    pub compiler: String,
}

impl Record {
    pub fn of(environment: &Environment, guest: &Guest, component: &[u8], compiler: &str) -> Result<Self> {
        Ok(Self {
            component: hex::encode(Sha256::digest(component)),
            sources: sources(&environment.root, guest)?,
            lockfile: hex::encode(Sha256::digest(read(&guest.workspace.join("Cargo.lock"))?)),
            compiler: compiler.to_string(),
        })
    }

    pub fn read(guest: &Guest) -> Result<Self> {
        let path = path(guest);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}; run `cargo xtask guests`", path.display()))?;
        toml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
    }

    pub fn write(&self, guest: &Guest) -> Result<()> {
        let text = format!(
            "# What {}.wasm was built from. Written by `cargo xtask guests`, verified by `cargo xtask guests --check`.\n{}",
            guest.name,
            toml::to_string(self)?
        );
        let path = path(guest);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Which parts differ.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        [
            ("component", self.component == other.component),
            ("sources", self.sources == other.sources),
            ("lockfile", self.lockfile == other.lockfile),
        ]
        .into_iter()
        .filter_map(|(name, same)| (!same).then_some(name))
        .collect()
    }
}

fn path(guest: &Guest) -> PathBuf {
    guest.component.with_extension("digest.toml")
}

fn sources(root: &Path, guest: &Guest) -> Result<String> {
    let mut files = vec![
        guest.workspace.join("Cargo.toml"),
        guest.workspace.join(".cargo/config.toml"),
    ];
    for folder in &guest.crates {
        files.push(folder.join("Cargo.toml"));
        walk(&folder.join("src"), "rs", &mut files)?;
    }
    walk(&root.join("wit"), "wit", &mut files)?;
    let mut named: Vec<(String, PathBuf)> = files
        .into_iter()
        .map(|file| {
            let name = file
                .strip_prefix(root)
                .with_context(|| format!("{} is outside the repository", file.display()))?;
            let parts: Vec<_> = name
                .components()
                .map(|part| part.as_os_str().to_string_lossy())
                .collect();
            Ok((parts.join("/"), file))
        })
        .collect::<Result<_>>()?;
    named.sort();
    let mut hasher = Sha256::new();
    for (name, file) in named {
        let content = read(&file)?;
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update((content.len() as u64).to_le_bytes());
        hasher.update(content);
    }
    Ok(hex::encode(hasher.finalize()))
}

fn walk(folder: &Path, extension: &str, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, extension, files)?;
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_parts_of_a_digest_are_named() {
        let record = Record {
            component: "a".to_string(),
            sources: "b".to_string(),
            lockfile: "c".to_string(),
            compiler: "d".to_string(),
        };
        let other = Record {
            sources: "x".to_string(),
            compiler: "y".to_string(),
            ..record.clone()
        };
        assert_eq!(record.differences(&other), ["sources"]);
        assert!(record.differences(&record.clone()).is_empty());
    }
}
