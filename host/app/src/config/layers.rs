//! Where each value comes from: the file, then the environment, then the command line; the later one wins.

use super::{
    setting::{Key, Setting, join},
    tree::Config,
};
use figment::{
    Figment, Metadata, Profile, Provider, Source,
    error::Kind as Fault,
    value::{Dict, Map, Value as Merged},
};
use riad_core::{Error, Result};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

const ENVIRONMENT: &str = "environment";
/// The least similarity, 0 to 1, at which a known key is suggested for an unknown one.
const LIKENESS_MIN: f64 = 0.75;

/// Keys that the command line sets.
#[derive(Debug, Clone, Default)]
pub struct Overrides(Vec<Override>);

#[derive(Debug, Clone)]
struct Override {
    key: &'static str,
    option: &'static str,
    value: OsString,
}

impl Overrides {
    /// Sets a key of texts to what an option gives; nothing if the option is not given.
    #[must_use]
    pub fn set(mut self, key: &'static str, option: &'static str, value: Option<impl Into<OsString>>) -> Self {
        self.0.extend(value.map(|value| Override {
            key,
            option,
            value: value.into(),
        }));
        self
    }
}

/// Where the values of a configuration come from. What is in none of the places has its default.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    pub file: Option<PathBuf>,
    /// Key to variable: `server.listen` to `RIAD_SERVER__LISTEN`.
    pub variables: BTreeMap<String, String>,
    merged: Figment,
}

impl Sources {
    /// Puts the place that sets an error's key in front of its message.
    pub(super) fn locate(&self, error: Error) -> Error {
        let place = error
            .param()
            .and_then(|key| Some(place(self.merged.find_metadata(key)?, key)));
        let (Some(place), Some(key)) = (place, error.param()) else {
            return error;
        };
        Error::new(error.kind(), format!("{place}: {}", error.message())).with_param(key)
    }
}

/// # Errors
/// `InvalidRequest` names the place of the value at fault, and its key.
pub(super) fn read(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    overrides: &Overrides,
) -> Result<(Config, Sources)> {
    let mut keys = Vec::new();
    Config::describe("", "", &mut keys);
    let mut sources = Sources {
        file: file.map(Path::to_owned),
        ..Sources::default()
    };
    if let Some(file) = file {
        sources.merged = sources.merged.merge(file_layer(file, &keys)?);
    }
    let (layer, variables) = environment_layer(environment, &keys)?;
    sources.variables = variables;
    sources.merged = sources.merged.merge(layer).merge(override_layer(overrides)?);
    let config = sources
        .merged
        .extract()
        .map_err(|error| extraction_error(&error, &keys))?;
    Ok((config, sources))
}

/// The values of one place.
struct Layer {
    metadata: Metadata,
    table: Table,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let dict = Merged::serialize(&self.table)?.into_dict().unwrap_or_default();
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

fn file_layer(file: &Path, keys: &[Key]) -> Result<Layer> {
    let place = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Error::invalid(format!("cannot read {place}: {error}")).with_source(error))?;
    let table = text
        .parse::<Table>()
        .map_err(|error| Error::invalid(format!("{place}: {}", one_line(&error.to_string()))))?;
    check_table(&table, "", &place.to_string(), keys)?;
    Ok(Layer {
        metadata: Metadata::from("file", Source::File(file.to_owned())),
        table,
    })
}

/// Every value must belong to a key and be of its kind.
fn check_table(table: &Table, path: &str, place: &str, keys: &[Key]) -> Result<()> {
    for (name, value) in table {
        let path = join(path, name);
        match (keys.iter().find(|key| key.path == path), value) {
            (Some(key), value) if key.kind.accepts(value) => {}
            (Some(key), _) => {
                let why = format!("{place}: {path} is {value}; it must be {}", key.kind.as_str());
                return Err(Error::invalid(one_line(&why)).with_param(path));
            }
            (None, Value::Table(below)) => check_table(below, &path, place, keys)?,
            (None, _) if keys.iter().any(|key| key.path.starts_with(&join(&path, ""))) => {
                return Err(Error::invalid(format!(
                    "{place}: {path} is a section; write [{path}] and its keys below"
                )));
            }
            (None, _) => return Err(unknown_key(&path, place, keys)),
        }
    }
    Ok(())
}

/// `RIAD_SERVER__LISTEN` is `server.listen`. Variables without `__` (`RIAD_KEY`, `RIAD_URL`) are options of commands, or
/// secrets.
fn environment_layer(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    keys: &[Key],
) -> Result<(Layer, BTreeMap<String, String>)> {
    let (mut table, mut variables) = (Table::new(), BTreeMap::new());
    for (name, value) in environment {
        let Some(path) = name.to_str().and_then(key_path) else {
            continue;
        };
        let name = name.to_string_lossy();
        let key = keys
            .iter()
            .find(|key| key.path == path)
            .ok_or_else(|| unknown_key(&path, &name, keys))?;
        let text = value
            .to_str()
            .ok_or_else(|| Error::invalid(format!("{name} is not UTF-8")))?;
        let value = key.kind.parse(text).ok_or_else(|| {
            Error::invalid(format!("{name} is `{text}`; it must be {}", key.kind.as_str())).with_param(&path)
        })?;
        insert(&mut table, &path, value);
        variables.insert(path, name.into_owned());
    }
    let metadata = Metadata::named(ENVIRONMENT);
    Ok((Layer { metadata, table }, variables))
}

fn key_path(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix("RIAD_")?;
    rest.contains("__")
        .then(|| rest.replace("__", ".").to_ascii_lowercase())
}

pub(super) fn variable(key: &str) -> String {
    format!("RIAD_{}", key.replace('.', "__").to_ascii_uppercase())
}

fn override_layer(overrides: &Overrides) -> Result<Layer> {
    let mut table = Table::new();
    for Override { key, option, value } in &overrides.0 {
        let text = value
            .to_str()
            .ok_or_else(|| Error::invalid(format!("{option} is not UTF-8")))?;
        insert(&mut table, key, Value::String(text.to_owned()));
    }
    let options: BTreeMap<_, _> = overrides.0.iter().map(|set| (set.key, set.option)).collect();
    let metadata = Metadata::named("command line").interpolater(move |_: &Profile, path: &[&str]| {
        let key = path.join(".");
        options.get(key.as_str()).map_or(key, |option| (*option).to_owned())
    });
    Ok(Layer { metadata, table })
}

/// Values are only inserted at known keys, so a section never meets a value.
fn insert(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((section, rest)) => {
            let below = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(below) = below {
                insert(below, rest, value);
            }
        }
    }
}

/// What is written in front of an error: the file, the variable, or the option.
fn place(metadata: &Metadata, key: &str) -> String {
    match (&metadata.source, metadata.name.as_ref()) {
        (Some(Source::File(file)), _) => file.display().to_string(),
        (_, ENVIRONMENT) => variable(key),
        (..) => {
            let path: Vec<_> = key.split('.').collect();
            metadata.interpolate(&Profile::Default, &path)
        }
    }
}

/// Keys of former versions and what replaced them.
const REPLACED: [(&str, &str); 3] = [
    ("engine.lanes", "engine.max_sequences, the generations in one batch"),
    ("limits.reply_hours", "limits.idempotency_hours"),
    ("limits.reply_bytes", "limits.idempotency_bytes"),
];

fn unknown_key(path: &str, place: &str, keys: &[Key]) -> Error {
    if let Some((_, replacement)) = REPLACED.iter().find(|(old, _)| *old == path) {
        return Error::invalid(format!("{place}: `{path}` was replaced by {replacement}"));
    }
    let nearest = keys
        .iter()
        .map(|key| (likeness(path, key), key))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    let help = match nearest {
        Some((_, key)) if place.starts_with("RIAD_") => format!("did you mean {}?", variable(&key.path)),
        Some((_, key)) => format!("did you mean `{}`?", key.path),
        None => "`riad serve --show-config` lists the keys".to_owned(),
    };
    Error::invalid(format!("{place}: there is no configuration key `{path}`; {help}"))
}

/// The name counts most, so that the right name in a wrong section is still found.
fn likeness(path: &str, key: &Key) -> f64 {
    let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
    let (known_section, known_name) = key.split();
    0.2 * strsim::jaro(section, known_section) + 0.8 * strsim::jaro(name, known_name)
}

/// A value of the right kind that its type does not take.
fn extraction_error(error: &figment::Error, keys: &[Key]) -> Error {
    let path = error.path.join(".");
    // Of a list, the element is at fault and the key is the list's.
    let key = keys
        .iter()
        .map(|key| &key.path)
        .find(|key| {
            path.strip_prefix(key.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
        .unwrap_or(&path);
    let why = if let Fault::UnknownVariant(value, allowed) = &error.kind {
        format!("is `{value}`; it must be one of {}", allowed.join(", "))
    } else {
        one_line(&format!("cannot be used: {}", error.kind))
    };
    let message = match &error.metadata {
        Some(metadata) => format!("{}: {key} {why}", place(metadata, key)),
        None => format!("{key} {why}"),
    };
    Error::invalid(message).with_param(key)
}

fn one_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}
