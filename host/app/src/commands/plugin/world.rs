//! The WIT world of one plugin: it imports the capabilities that the manifest names and exports its stages, nothing else. What a
//! language's tool builds for that world cannot import more.

use super::{
    bundle,
    project::{self, Project},
};
use riad_core::{Error, Result, manifest::Manifest};
use std::{fs, path::PathBuf};

/// The name of the world.
pub const WORLD: &str = "plugin";

/// Writes the world into `.riad/world`, with the packages that it needs in `deps/`; returns the folder.
pub fn write(project: &Project) -> Result<PathBuf> {
    let folder = project.support().join("world");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| project::cannot("replace", &folder, error))?;
    }
    project::write(&folder.join("plugin.wit"), text(&project.manifest)?)?;
    for (path, content) in bundle::files("wit") {
        // The worlds of `riad-plugin` import everything there is.
        if path.ends_with(".wit") && !path.starts_with("riad-plugin/") {
            project::write(&folder.join("deps").join(path), content)?;
        }
    }
    Ok(folder)
}

fn text(manifest: &Manifest) -> Result<String> {
    let mut lines = vec![format!("package riad-author:{WORLD};\n\nworld {WORLD} {{")];
    for capability in &manifest.capabilities {
        let name = capability.as_str();
        lines.push(format!("  import {}@{};", capability.interface(), version(name)?));
    }
    for stage in &manifest.stages {
        lines.push(format!("  export riad:pipeline/{stage}@{};", version("pipeline")?));
    }
    lines.push("}\n".to_owned());
    Ok(lines.join("\n"))
}

/// The version of a package, as its file says.
fn version(package: &str) -> Result<&'static str> {
    let prefix = format!("package riad:{package}@");
    let (_, content) = bundle::files(&format!("wit/riad-{package}"))
        .find(|(path, _)| path.ends_with(".wit"))
        .ok_or_else(|| Error::invalid(format!("this program has no contract for {package}")))?;
    let text = std::str::from_utf8(content).map_err(Error::internal)?;
    text.lines()
        .find_map(|line| line.strip_prefix(&prefix)?.strip_suffix(';'))
        .ok_or_else(|| Error::internal(format!("the contract of {package} has no version")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_has_what_the_manifest_names_and_no_more() {
        let manifest = Manifest::from_toml(
            "[plugin]\nname = \"a\"\nversion = \"1.0.0\"\nlanguage = \"python\"\nstages = [\"retrieval\"]\n\
             capabilities = [\"settings\", \"store\"]\n",
        )
        .unwrap();
        let text = text(&manifest).unwrap();
        assert!(text.contains("import riad:settings/settings@0."), "{text}");
        assert!(text.contains("import riad:store/store@0."), "{text}");
        assert!(text.contains("export riad:pipeline/retrieval@0."), "{text}");
        assert_eq!(text.matches("port ").count(), 3, "{text}");
    }

    #[test]
    fn every_capability_has_a_contract() {
        for capability in riad_core::manifest::Capability::ALL {
            version(capability.as_str()).unwrap();
        }
    }
}
