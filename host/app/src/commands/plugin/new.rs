//! `riad plugin new`.

use super::{bundle, project};
use riad_core::{Error, ErrorKind, PluginName, Result, manifest::Language};
use std::{fs, path::Path};

/// Makes the folder `NAME` in the one that the user is in.
pub fn make(language: Language, name: &PluginName, parent: &Path) -> Result<String> {
    if language == Language::Rust && name.as_str().starts_with(|first: char| first.is_ascii_digit()) {
        return Err(Error::invalid(format!(
            "{name} begins with a digit, which the name of a crate may not; choose another name"
        )));
    }
    let folder = parent.join(name.as_str());
    if folder.exists() {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "{} is there already; choose another name or remove it",
                folder.display()
            ),
        ));
    }
    fs::create_dir_all(&folder).map_err(|error| project::cannot("make", &folder, error))?;
    bundle::write_template(language, name, &folder)?;
    bundle::write_sdk(language, &folder)?;
    Ok(format!(
        "Made {name}/, a plugin in {language}. Next:\n\n    cd {name}\n    riad plugin test\n    riad plugin deploy\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_there_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let name: PluginName = "desk".parse().unwrap();
        make(Language::Rust, &name, parent.path()).unwrap();
        let source = parent.path().join("desk/src/lib.rs");
        fs::write(&source, "mine").unwrap();
        let error = make(Language::Rust, &name, parent.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(fs::read_to_string(source).unwrap(), "mine");
    }

    #[test]
    fn a_crate_begins_with_a_letter() {
        let parent = tempfile::tempdir().unwrap();
        let error = make(Language::Rust, &"3d".parse().unwrap(), parent.path()).unwrap_err();
        assert!(error.message().contains("begins with a digit"), "{error}");
        assert!(!parent.path().join("3d").exists());
    }
}
