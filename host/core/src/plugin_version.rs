//! A version of a plugin in a room. Not here: what serves a stage (`plugin`), what a plugin says of itself (`manifest`).

use crate::{Digest, PluginName, manifest::Manifest, plugin::Stage};

/// An uploaded component: its digest is its version.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginVersion {
    pub name: PluginName,
    pub version: Digest,
    pub stages: Vec<Stage>,
    /// `None` for a component that was built without one.
    pub manifest: Option<Manifest>,
    pub bytes: u64,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
}
