//! `/v1/plugins`. An upload's body is the component itself.

use riad_core::plugin::PluginVersion;
use serde::{Deserialize, Serialize};
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
    pub bytes: u64,
    pub created: u64,
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
            bytes: version.bytes,
            created: version.created,
        }
    }
}
