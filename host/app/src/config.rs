//! The configuration: one TOML file, each key also an environment variable `RIAD_SECTION__KEY`, which wins over the file.
//!
//! Every key is in one table ([`keys`]), from which the environment is read and the reference is printed; a key that is
//! not known is an error that names it. Not here: what the values do (`wire`).

mod keys;
mod models;

pub use models::{model_folder, profile, shipped_folder, shipped_model};

use riad_core::{Error, Limits, Result, Secret};
use riad_engine::{Device, Dtype};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub server: Server,
    pub engine: Engine,
    pub embeddings: Embeddings,
    pub limits: Limits,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    pub listen: String,
    pub data: PathBuf,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            data: "riad-data".into(),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Engine {
    /// A folder or a hub id; the shipped model if it is not given.
    pub model: Option<String>,
    pub dtype: Dtype,
    pub device: Device,
    /// 0: as many as there are cores.
    pub lanes: usize,
    /// The model's name in the API; else the last part of `model`.
    pub id: Option<String>,
    pub profile: Profile,
}

/// Keys of the model's profile that differ from what is known of the model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    pub context_tokens: Option<u32>,
    pub prompt_tokens: Option<u32>,
    pub passages: Option<u32>,
    pub sentences: Option<u32>,
    pub completion_tokens: Option<u32>,
    pub temperature: Option<f32>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Embeddings {
    /// A Model2Vec folder; the shipped one if it is not given.
    pub model: Option<PathBuf>,
}

impl Config {
    /// Reads the file, if there is one, and the variables, which win.
    ///
    /// # Errors
    /// `InvalidRequest` names the file or variable and the key at fault.
    pub fn load(file: Option<&Path>, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self> {
        let mut table = match file {
            Some(file) => read_table(file)?,
            None => Table::new(),
        };
        // The file by itself first, so that what is wrong in it is not blamed on a variable.
        let _: Self = parse(
            table.clone(),
            &file.map_or_else(String::new, |file| file.display().to_string()),
        )?;
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
            set(
                &mut table,
                &path,
                kind.value(value)
                    .map_err(|why| Error::invalid(format!("{name}: {why}")))?,
            )?;
        }
        let config: Self = parse(table, "the environment")?;
        config.limits.check()?;
        if config
            .engine
            .id
            .as_deref()
            .is_some_and(|id| id.is_empty() || id.contains(':'))
        {
            return Err(Error::invalid(
                "engine.id must not be empty or contain `:`, which stands before an adapter's alias",
            ));
        }
        Ok(config)
    }

    /// Every key with its default and meaning, as a TOML file.
    #[must_use]
    pub fn reference() -> String {
        keys::reference()
    }
}

/// `RIAD_OPERATOR_KEY`, if it is set and not empty.
///
/// # Errors
/// `InvalidRequest` if it is not UTF-8.
pub fn operator_key(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Option<Secret<String>>> {
    let found = environment
        .into_iter()
        .find(|(name, value)| name == "RIAD_OPERATOR_KEY" && !value.is_empty());
    found
        .map(|(_, value)| value.into_string().map(Secret::new))
        .transpose()
        .map_err(|_| Error::invalid("RIAD_OPERATOR_KEY is not UTF-8; choose a key of letters and digits"))
}

fn read_table(file: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Error::invalid(format!("cannot read {}: {error}", file.display())).with_source(error))?;
    text.parse::<Table>()
        .map_err(|error| Error::invalid(format!("{}: {}", file.display(), one_line(&error.to_string()))))
}

fn parse(table: Table, from: &str) -> Result<Config> {
    table
        .try_into()
        .map_err(|error: toml::de::Error| Error::invalid(format!("{from}: {}", one_line(&error.to_string()))))
}

fn one_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

/// `RIAD_SERVER__LISTEN` is `server.listen`. Variables without `__` (`RIAD_KEY`, `RIAD_URL`) are the command line's.
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

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
