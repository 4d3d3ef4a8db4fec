//! What a plugin says of itself: `riad.toml` beside its source, and a section of its component that is made of it.
//! Not here: who grants capabilities (`services`), and how a component is built (`app`).

mod file;
mod section;
mod settings_schema;
#[cfg(test)]
mod tests;

pub use section::{SECTION, read_section, write_section};
pub use settings_schema::SettingsSchema;

use crate::{Error, PluginName, Result, json, plugin::Stage};
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// The name of the file.
pub const FILE: &str = "riad.toml";
/// Version of the contracts in `wit/` that this program builds plugins for. A component without a manifest is of version 0.1.
pub const API: &str = "0.2";
/// Bytes of a manifest, in either form.
pub const BYTES_MAX: usize = 64 << 10;

#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    pub name: PluginName,
    /// The author's own count; the server tells versions apart by the component's digest.
    pub version: Version,
    pub language: Language,
    /// At least one.
    pub stages: BTreeSet<Stage>,
    /// What the component may import. The operator's grants bound it further.
    pub capabilities: BTreeSet<Capability>,
    /// JSON Schema of the settings that the plugin reads, not compiled yet: see [`SettingsSchema`].
    pub configuration: Option<Map<String, Value>>,
}

impl Manifest {
    /// Reads a `riad.toml`.
    ///
    /// # Errors
    /// `InvalidRequest` names the line and says what to change.
    pub fn from_toml(text: &str) -> Result<Self> {
        file::parse(text)
    }

    /// As it stands in a component: the members of `[plugin]`, `configuration`, and `api`.
    ///
    /// # Errors
    /// `Internal`, if it cannot be written as JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(&Json::from(self)).map_err(Error::internal)
    }

    /// # Errors
    /// `InvalidRequest` for what is no manifest, and for one of another API.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let wrong = |why: &dyn fmt::Display| Error::invalid(format!("the component's manifest cannot be used: {why}"));
        if bytes.len() > BYTES_MAX {
            return Err(wrong(&format_args!("it has more than {BYTES_MAX} bytes")));
        }
        if json::count_values(bytes, json::VALUES_MAX).is_none() {
            return Err(wrong(&format_args!("it has more than {} values", json::VALUES_MAX)));
        }
        // First, because a manifest of a later API may have members that this one does not know.
        let Api { api } = serde_json::from_slice(bytes).map_err(|error| wrong(&error))?;
        if api != API {
            return Err(wrong(&format_args!(
                "it is of plugin API `{api}`, and this program has {API}; build it with the `riad` of the server's version"
            )));
        }
        let json: Json = serde_json::from_slice(bytes).map_err(|error| wrong(&error))?;
        let manifest = Self::from(json);
        manifest.check().map_err(|error| wrong(&error.message()))?;
        Ok(manifest)
    }

    fn check(&self) -> Result<()> {
        if self.stages.is_empty() {
            return Err(Error::invalid(format!(
                "`stages` is empty; name at least one of {}",
                Stage::ALL.map(Stage::as_str).join(", ")
            )));
        }
        self.configuration.as_ref().map_or(Ok(()), check_schema)
    }
}

/// A schema describes the settings, which are an object.
fn check_schema(schema: &Map<String, Value>) -> Result<()> {
    match schema.get("type") {
        None => {}
        Some(Value::String(kind)) if kind == "object" => {}
        Some(other) => {
            return Err(Error::invalid(format!(
                "`configuration` describes settings, which are an object; set its `type` to \"object\", not {other}"
            )));
        }
    }
    for key in ["properties", "$defs"] {
        if schema.get(key).is_some_and(|value| !value.is_object()) {
            return Err(Error::invalid(format!(
                "`configuration.{key}` must be a table of schemas"
            )));
        }
    }
    Ok(())
}

/// What a plugin is written in. It says how it is built, and nothing at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Rust,
    JavaScript,
    Python,
}

impl Language {
    pub const ALL: [Self; 3] = [Self::Rust, Self::JavaScript, Self::Python];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::JavaScript => "javascript",
            Self::Python => "python",
        }
    }
}

impl FromStr for Language {
    type Err = Error;
    /// Also the usual short names.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "rust" | "rs" => Ok(Self::Rust),
            "javascript" | "js" => Ok(Self::JavaScript),
            "python" | "py" => Ok(Self::Python),
            _ => Err(Error::invalid("a language is one of rust, js, python")),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An interface of the host that a plugin may import: a package of `wit/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    Documents,
    Store,
    Kv,
    Embeddings,
    Generation,
    Http,
    Settings,
    Logging,
    Model,
    Clock,
    Random,
}

impl Capability {
    pub const ALL: [Self; 11] = [
        Self::Documents,
        Self::Store,
        Self::Kv,
        Self::Embeddings,
        Self::Generation,
        Self::Http,
        Self::Settings,
        Self::Logging,
        Self::Model,
        Self::Clock,
        Self::Random,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Documents => "documents",
            Self::Store => "store",
            Self::Kv => "kv",
            Self::Embeddings => "embeddings",
            Self::Generation => "generation",
            Self::Http => "http",
            Self::Settings => "settings",
            Self::Logging => "logging",
            Self::Model => "model",
            Self::Clock => "clock",
            Self::Random => "random",
        }
    }

    /// The interface's name without its version.
    #[must_use]
    pub fn interface(self) -> String {
        let name = self.as_str();
        format!("riad:{name}/{name}")
    }

    /// The capability that an import names, with its version or without; `None` for interfaces that only name types, and for others.
    /// WASI's clocks and random numbers are another way to the same.
    #[must_use]
    pub fn of_interface(name: &str) -> Option<Self> {
        let interface = name.split_once('@').map_or(name, |(interface, _)| interface);
        match interface.split_once('/') {
            Some(("wasi:clocks", _)) => return Some(Self::Clock),
            Some(("wasi:random", _)) => return Some(Self::Random),
            _ => {}
        }
        Self::ALL.into_iter().find(|known| known.interface() == interface)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Deserialize)]
struct Api {
    api: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    api: String,
    name: PluginName,
    #[serde(with = "version")]
    version: Version,
    language: Language,
    stages: BTreeSet<Stage>,
    capabilities: BTreeSet<Capability>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    configuration: Option<Map<String, Value>>,
}

impl From<&Manifest> for Json {
    fn from(manifest: &Manifest) -> Self {
        let Manifest {
            name,
            version,
            language,
            stages,
            capabilities,
            configuration,
        } = manifest.clone();
        Self {
            api: API.to_owned(),
            name,
            version,
            language,
            stages,
            capabilities,
            configuration,
        }
    }
}

impl From<Json> for Manifest {
    fn from(json: Json) -> Self {
        Self {
            name: json.name,
            version: json.version,
            language: json.language,
            stages: json.stages,
            capabilities: json.capabilities,
            configuration: json.configuration,
        }
    }
}

/// As text; `semver` itself is built without serde.
mod version {
    use semver::Version;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(version)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| {
            D::Error::custom(format!(
                "`{text}` is not a version like 1.0.0 ({error}); see semver.org"
            ))
        })
    }
}
