//! Which guests there are: every member of the guest workspaces that is a `cdylib`. Not here: building them (`build`).

use anyhow::{Context, Result};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A crate that becomes a component.
#[derive(Debug)]
pub struct Guest {
    /// Its folder's name, and the component's.
    pub name: String,
    pub package: String,
    pub workspace: PathBuf,
    /// The folder of the crate, and of every crate it has by path.
    pub crates: BTreeSet<PathBuf>,
    /// Where the component is committed.
    pub component: PathBuf,
}

#[derive(Deserialize)]
struct Workspace {
    workspace: Members,
}

#[derive(Deserialize)]
struct Members {
    members: Vec<String>,
    #[serde(default)]
    dependencies: BTreeMap<String, Dependency>,
}

#[derive(Deserialize)]
struct Manifest {
    package: Package,
    #[serde(default)]
    lib: Library,
    #[serde(default)]
    dependencies: BTreeMap<String, Dependency>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

#[derive(Deserialize, Default)]
struct Library {
    #[serde(default, rename = "crate-type")]
    crate_type: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Dependency {
    Version(#[expect(dead_code, reason = "only its shape matters")] String),
    Table {
        path: Option<String>,
        #[serde(default)]
        workspace: bool,
    },
}

/// First-party plugins lie beside their source, the tests' guests side by side.
pub fn guests(root: &Path) -> Result<Vec<Guest>> {
    let mut guests = workspace(&root.join("plugins"), |folder, name| {
        folder.join(name).join(format!("{name}.wasm"))
    })?;
    guests.extend(workspace(&root.join("tests/guests"), |folder, name| {
        folder.join(format!("{name}.wasm"))
    })?);
    Ok(guests)
}

fn workspace(folder: &Path, component: impl Fn(&Path, &str) -> PathBuf) -> Result<Vec<Guest>> {
    let workspace: Workspace = read(folder)?;
    let mut guests = Vec::new();
    for name in &workspace.workspace.members {
        let manifest: Manifest = read(&folder.join(name))?;
        if !manifest.lib.crate_type.iter().any(|kind| kind == "cdylib") {
            continue;
        }
        let mut crates = BTreeSet::new();
        collect(
            &folder.join(name),
            folder,
            &workspace.workspace.dependencies,
            &mut crates,
        )?;
        guests.push(Guest {
            component: component(folder, name),
            package: manifest.package.name,
            name: name.clone(),
            workspace: folder.to_path_buf(),
            crates,
        });
    }
    Ok(guests)
}

/// The crate's folder, and those of its path dependencies.
fn collect(
    folder: &Path,
    workspace: &Path,
    shared: &BTreeMap<String, Dependency>,
    crates: &mut BTreeSet<PathBuf>,
) -> Result<()> {
    let folder = fs::canonicalize(folder).with_context(|| format!("{} is missing", folder.display()))?;
    if !crates.insert(folder.clone()) {
        return Ok(());
    }
    let manifest: Manifest = read(&folder)?;
    for (name, dependency) in &manifest.dependencies {
        let (base, dependency) = match dependency {
            Dependency::Table { workspace: true, .. } => (workspace, shared.get(name)),
            Dependency::Table { .. } | Dependency::Version(_) => (folder.as_path(), Some(dependency)),
        };
        if let Some(Dependency::Table { path: Some(path), .. }) = dependency {
            collect(&base.join(path), workspace, shared, crates)?;
        }
    }
    Ok(())
}

fn read<T: serde::de::DeserializeOwned>(folder: &Path) -> Result<T> {
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_knows_every_crate_it_is_built_from() {
        let root = Path::new(env!("RIAD_SOURCE"));
        let guests = guests(root).unwrap();
        let standard = guests.iter().find(|guest| guest.name == "standard").unwrap();
        let names: Vec<_> = standard
            .crates
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["pipeline", "standard", "rust"]);
        assert!(
            guests
                .iter()
                .any(|guest| guest.name == "loop" && guest.component.ends_with("tests/guests/loop.wasm"))
        );
        assert!(
            !guests.iter().any(|guest| guest.name == "pipeline"),
            "a library is no guest"
        );
    }
}
