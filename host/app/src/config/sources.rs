//! Where each value comes from: the file, then the environment, which wins. Not here: the types (`config`).

use super::{keys, one_line, parse};
use riad_core::{Error, Result};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

/// What a configuration was made of. The rest are defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    pub file: Option<PathBuf>,
    /// Key to variable: `server.listen` to `RIAD_SERVER__LISTEN`.
    pub variables: BTreeMap<String, String>,
}

impl Sources {
    /// Puts in front of an error where the value of its key comes from.
    pub(super) fn blame(&self, error: Error) -> Error {
        let variable = error.param().and_then(|key| self.variables.get(key));
        let source = match (variable, &self.file) {
            (Some(variable), _) => variable.clone(),
            (None, Some(file)) => file.display().to_string(),
            (None, None) => return error,
        };
        let blamed = Error::new(error.kind(), format!("{source}: {}", error.message()));
        match error.param() {
            Some(key) => blamed.with_param(key),
            None => blamed,
        }
    }
}

/// The file with the variables in it.
pub(super) fn read(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(Table, Sources)> {
    let mut sources = Sources {
        file: file.map(Path::to_owned),
        ..Sources::default()
    };
    let mut table = match file {
        Some(file) => read_table(file)?,
        None => Table::new(),
    };
    // Parsed after each step, so that what is wrong is blamed on where it comes from.
    if let Some(file) = file {
        parse(table.clone(), &file.display().to_string())?;
    }
    for (name, value) in environment {
        let Some(path) = name.to_str().and_then(key_path) else {
            continue;
        };
        let name = name.to_string_lossy();
        let kind = keys::find(&path).ok_or_else(|| {
            Error::invalid(format!(
                "the environment variable {name} names no configuration key; `riad serve --show-config` lists them"
            ))
        })?;
        let value = value
            .to_str()
            .ok_or_else(|| Error::invalid(format!("the environment variable {name} is not UTF-8")))?;
        let value = kind
            .value(value)
            .map_err(|why| Error::invalid(format!("{name}: {why}")))?;
        set(&mut table, &path, value)?;
        parse(table.clone(), &name)?;
        sources.variables.insert(path.join("."), name.into_owned());
    }
    Ok((table, sources))
}

fn read_table(file: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Error::invalid(format!("cannot read {}: {error}", file.display())).with_source(error))?;
    text.parse::<Table>()
        .map_err(|error| Error::invalid(format!("{}: {}", file.display(), one_line(&error.to_string()))))
}

/// `RIAD_SERVER__LISTEN` is `server.listen`. Variables without `__` (`RIAD_KEY`, `RIAD_URL`) are the command line's, or
/// secrets.
fn key_path(name: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix("RIAD_")?;
    rest.contains("__")
        .then(|| rest.split("__").map(str::to_ascii_lowercase).collect())
}

fn set(table: &mut Table, path: &[String], value: Value) -> Result<()> {
    match path {
        [] => Ok(()),
        [last] => {
            table.insert(last.clone(), value);
            Ok(())
        }
        [first, rest @ ..] => {
            let below = table.entry(first.clone()).or_insert_with(|| Value::Table(Table::new()));
            let below = below
                .as_table_mut()
                .ok_or_else(|| Error::invalid(format!("`{first}` must be a table in the configuration file")))?;
            set(below, rest, value)
        }
    }
}
