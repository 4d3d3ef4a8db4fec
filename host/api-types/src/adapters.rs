//! `/v1/adapters`. The upload itself is a form of two files, which the server reads as a stream.

use riad_core::{Digest, adapter};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

#[derive(Serialize, Deserialize, ToSchema)]
pub struct AdapterList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    /// By alias.
    pub data: Vec<Adapter>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Adapter {
    /// The model `<base>:<alias>` answers with it.
    pub alias: String,
    /// `sha256:…` of the files.
    pub generation: String,
    pub rank: u32,
    pub bytes: u64,
    /// Tensors in the file; every one is applied.
    pub tensors: u32,
    pub created: u64,
    /// Whether the tenant wants it to stay in the engine's memory when others are evicted. It does within what the operator allows.
    #[serde(default)]
    pub pinned: bool,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdapterPatch {
    /// Whether it stays in the engine's memory when others are evicted, within the bytes that the operator allows.
    pub pinned: bool,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct GenerationList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    /// The last upload first.
    pub data: Vec<Generation>,
}

/// A generation of an alias that is kept for a rollback.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Generation {
    /// `sha256:…` of the files.
    pub generation: String,
    pub rank: u32,
    pub bytes: u64,
    pub tensors: u32,
    /// When it was uploaded.
    pub created: u64,
    /// Whether the alias points to it now.
    pub current: bool,
}

#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// A generation of the alias; the one before the current one if it is not given.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<Digest>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct DeletedAdapter {
    #[schema(example = "adapter.deleted")]
    pub object: Cow<'static, str>,
    pub alias: String,
    pub deleted: bool,
}

impl From<adapter::Adapter> for Adapter {
    fn from(adapter: adapter::Adapter) -> Self {
        Self {
            alias: adapter.alias.into(),
            generation: adapter.generation.into(),
            rank: adapter.info.rank,
            bytes: adapter.info.bytes,
            tensors: adapter.info.tensors,
            created: adapter.created,
            pinned: adapter.pinned,
        }
    }
}

impl From<adapter::KeptGeneration> for Generation {
    fn from(kept: adapter::KeptGeneration) -> Self {
        Self {
            generation: kept.generation.into(),
            rank: kept.info.rank,
            bytes: kept.info.bytes,
            tensors: kept.info.tensors,
            created: kept.created,
            current: kept.current,
        }
    }
}
