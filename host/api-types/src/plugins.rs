//! `/v1/plugins`. An upload's body is the component itself.

use riad_core::{PluginVersion, manifest::Manifest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use utoipa::ToSchema;

#[derive(Serialize, Deserialize, ToSchema)]
pub struct PluginList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    /// Newest first.
    pub data: Vec<Plugin>,
}

/// A version of a plugin.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Plugin {
    pub name: String,
    /// `sha256:…`; a pipeline names it as `name@sha256:…`.
    pub version: String,
    /// The stages that it can serve.
    pub stages: Vec<Cow<'static, str>>,
    /// What the author says of it; a component that was built without one has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PluginManifest>,
    pub bytes: u64,
    pub created: u64,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct PluginManifest {
    /// The plugin's own name, under which it need not be uploaded.
    pub name: String,
    /// The author's own count.
    #[schema(example = "1.0.0")]
    pub version: String,
    #[schema(example = "rust")]
    pub language: Cow<'static, str>,
    /// What it may import.
    pub capabilities: Vec<Cow<'static, str>>,
    /// JSON Schema of the settings that it reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub configuration: Option<Map<String, Value>>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct PluginStats {
    #[schema(example = "plugin.stats")]
    pub object: Cow<'static, str>,
    pub name: String,
    /// Since when calls are counted: when the server began, in seconds since 1970-01-01 UTC.
    pub since: u64,
    /// A stage of a version each, newest version first. Stages that were not called are not among them.
    pub data: Vec<StageStats>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct StageStats {
    /// `sha256:…`
    pub version: String,
    pub stage: Cow<'static, str>,
    /// Of the stage's functions: each piece of an answer is a call of a filter.
    pub calls: u64,
    /// Calls that trapped or returned an error: `plugin_failed`.
    pub failed: u64,
    /// Calls that a limit ended: `plugin_limit_exceeded`.
    pub limited: u64,
    /// Calls that refused the client's request.
    pub refused: u64,
    /// Calls whose request ended first.
    pub dropped: u64,
    pub fuel: u64,
    /// Microseconds of all calls, without host calls.
    pub time_us: u64,
    /// Half of the calls took as long or less, rounded up to a power of two.
    pub p50_us: u64,
    /// As `p50_us`, of 99 in 100.
    pub p99_us: u64,
    /// The most bytes of linear memory that a guest had.
    pub peak_memory_bytes: u64,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct DeletedPlugin {
    #[schema(example = "plugin.deleted")]
    pub object: Cow<'static, str>,
    pub name: String,
    pub version: String,
    pub deleted: bool,
}

impl From<PluginVersion> for Plugin {
    fn from(version: PluginVersion) -> Self {
        let stages = version.stages.into_iter().map(|stage| stage.as_str());
        Self {
            name: version.name.into(),
            version: version.version.into(),
            stages: stages.map(Cow::Borrowed).collect(),
            manifest: version.manifest.map(PluginManifest::from),
            bytes: version.bytes,
            created: version.created,
        }
    }
}

impl From<Manifest> for PluginManifest {
    fn from(manifest: Manifest) -> Self {
        let capabilities = manifest.capabilities.into_iter().map(|capability| capability.as_str());
        Self {
            name: manifest.name.into(),
            version: manifest.version.to_string(),
            language: manifest.language.as_str().into(),
            capabilities: capabilities.map(Cow::Borrowed).collect(),
            configuration: manifest.configuration,
        }
    }
}
