//! `/v1/adapters`. The upload itself is a form of two files, which the server reads as a stream.

use riad_core::adapter;
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
        }
    }
}
