//! What a request used, said to the client with the answer. Not here: the ledger.

use crate::{Digest, TenantId, plugin::Stage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub tenant: TenantId,
    pub model: String,
    /// The adapter's generation; absent for the base model.
    pub adapter_generation: Option<Digest>,
    /// Tensors of the adapter that were applied; 0 for the base model.
    pub adapter_tensors: u32,
    /// Digest of the component that served each stage.
    pub plugins: BTreeMap<Stage, Digest>,
    /// Number of the last change of the room's index when the request searched it.
    pub index_watermark: u64,
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
    /// wasmtime fuel that the plugins used.
    pub fuel: u64,
}
