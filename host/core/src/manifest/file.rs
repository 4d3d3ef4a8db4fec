//! Reading `riad.toml`: the table `[plugin]`, and `[configuration]`.

use super::{BYTES_MAX, Capability, FILE, Language, Manifest, version};
use crate::{Error, PluginName, Result, plugin::Stage};
use semver::Version;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{collections::BTreeSet, fmt};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    plugin: Plugin,
    configuration: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plugin {
    name: PluginName,
    #[serde(with = "version")]
    version: Version,
    language: Language,
    stages: Vec<Stage>,
    #[serde(default)]
    capabilities: Vec<Capability>,
}

pub fn parse(text: &str) -> Result<Manifest> {
    if text.len() > BYTES_MAX {
        return Err(Error::invalid(format!(
            "{FILE} has {} bytes, at most {BYTES_MAX} are read",
            text.len()
        )));
    }
    let file: File = toml::from_str(text).map_err(|error| {
        let at = match error.span() {
            Some(span) => format!(", line {}", line(text, span.start)),
            None => String::new(),
        };
        Error::invalid(format!("{FILE}{at}: {}", error.message())).with_source(error)
    })?;
    let Plugin {
        name,
        version,
        language,
        stages,
        capabilities,
    } = file.plugin;
    let manifest = Manifest {
        name,
        version,
        language,
        stages: distinct("stages", stages)?,
        capabilities: distinct("capabilities", capabilities)?,
        configuration: file.configuration,
    };
    if let Some(schema) = &manifest.configuration {
        for value in schema.values() {
            check_json(value)?;
        }
    }
    manifest.check().map_err(|error| wrong(error.message()))?;
    Ok(manifest)
}

fn line(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

fn wrong(message: impl fmt::Display) -> Error {
    Error::invalid(format!("{FILE}: {message}"))
}

fn distinct<T: Copy + Ord + fmt::Display>(key: &str, list: Vec<T>) -> Result<BTreeSet<T>> {
    let mut set = BTreeSet::new();
    for value in list {
        if !set.insert(value) {
            return Err(wrong(format_args!("`{key}` names `{value}` twice; name it once")));
        }
    }
    Ok(set)
}

/// TOML has values that JSON does not have: dates arrive as a table with a key of the parser's, numbers that are not finite as null.
fn check_json(value: &Value) -> Result<()> {
    match value {
        Value::Null => Err(wrong(
            "`configuration` has a number that is not finite, which JSON cannot have",
        )),
        Value::Object(members) if members.keys().any(|key| key.starts_with("$__toml")) => Err(wrong(
            "`configuration` has a date, which JSON cannot have; put it into quotes",
        )),
        Value::Object(members) => members.values().try_for_each(check_json),
        Value::Array(values) => values.iter().try_for_each(check_json),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}
