//! The SDKs, templates and contracts that the program carries, written into a plugin's folder. Not here: how they get into the
//! program (`build.rs`).

use super::project::{self, SUPPORT};
use riad_core::{Digest, Error, PluginName, Result, manifest::Language};
use std::{fs, path::Path};

include!(concat!(env!("OUT_DIR"), "/bundled_files.rs"));

/// Written last into `.riad`: which SDK is in it.
const STAMP: &str = "sdk.digest";
const NAME: &str = "{{name}}";

/// The files of a folder of the repository, by their paths below it.
pub fn files(folder: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    FILES.iter().filter_map(move |(path, content)| {
        let below = path.strip_prefix(folder)?.strip_prefix('/')?;
        Some((below, *content))
    })
}

fn sdk(language: Language) -> String {
    format!("sdk/{language}")
}

/// Writes the language's template into a folder that exists, with the plugin's name in place of `{{name}}`.
pub fn write_template(language: Language, name: &PluginName, folder: &Path) -> Result<()> {
    let mut any = false;
    for (path, content) in files(&format!("{}/template", sdk(language))) {
        any = true;
        // In the repository it would hide files of the template itself from git.
        let path = match path {
            "gitignore" => ".gitignore",
            path => path,
        };
        let text = std::str::from_utf8(content).map_err(Error::internal)?;
        project::write(
            &folder.join(path.replace(NAME, name.as_str())),
            text.replace(NAME, name.as_str()),
        )?;
    }
    match any {
        true => Ok(()),
        false => Err(Error::invalid(format!("this program has no template for {language}"))),
    }
}

/// Writes the language's SDK and the contracts into `.riad` of a plugin's folder, unless they are there as this program has them.
pub fn write_sdk(language: Language, folder: &Path) -> Result<()> {
    let support = folder.join(SUPPORT);
    let own = sdk(language);
    let wanted = || {
        let is_used = |path: &str| !path.starts_with("template/") && !path.starts_with("tests/");
        let sdk = files(&own).filter(move |(path, _)| is_used(path));
        let sdk = sdk.map(|(path, content)| (format!("{own}/{path}"), content));
        sdk.chain(files("wit").map(|(path, content)| (format!("wit/{path}"), content)))
    };
    let parts: Vec<_> = wanted().collect();
    let parts: Vec<&[u8]> = parts
        .iter()
        .flat_map(|(path, content)| [path.as_bytes(), *content])
        .collect();
    let digest = Digest::of_parts(&parts).to_string();
    let stamp = support.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == digest) {
        return Ok(());
    }
    for part in [&own, "wit"] {
        let part = support.join(part);
        if part.exists() {
            fs::remove_dir_all(&part).map_err(|error| project::cannot("replace", &part, error))?;
        }
    }
    for (path, content) in wanted() {
        project::write(&support.join(path), content)?;
    }
    project::write(&stamp, digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_is_written_once_and_again_when_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        write_sdk(Language::Rust, folder.path()).unwrap();
        let wit = folder.path().join(".riad/wit/riad-store/store.wit");
        assert!(fs::read_to_string(&wit).unwrap().contains("package riad:store@"));
        assert!(folder.path().join(".riad/sdk/rust/src/lib.rs").is_file());
        assert!(!folder.path().join(".riad/sdk/rust/template").exists());
        fs::write(&wit, "mine").unwrap();
        write_sdk(Language::Rust, folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&wit).unwrap(), "mine");
        fs::write(folder.path().join(".riad").join(STAMP), "sha256:other").unwrap();
        write_sdk(Language::Rust, folder.path()).unwrap();
        assert!(fs::read_to_string(&wit).unwrap().contains("package riad:store@"));
    }

    #[test]
    fn no_placeholder_is_left_in_a_new_plugin() {
        let name: PluginName = "price-desk".parse().unwrap();
        for language in Language::ALL {
            let folder = tempfile::tempdir().unwrap();
            write_template(language, &name, folder.path()).unwrap();
            let manifest = project::read_manifest(folder.path()).unwrap();
            assert_eq!((&manifest.name, manifest.language), (&name, language));
            for file in ["README.md", "riad.toml", "tests/answers.json"] {
                let text = fs::read_to_string(folder.path().join(file)).unwrap();
                assert!(
                    text.contains("price-desk") && !text.contains("{{"),
                    "{language}: {text}"
                );
            }
            assert!(folder.path().join(".gitignore").is_file());
        }
    }
}
