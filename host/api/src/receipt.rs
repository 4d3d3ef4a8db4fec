//! The wire form of a receipt. Not here: what is in it (`riad_core::receipt`).

use riad_core::receipt::Receipt;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What a request used and what served it.
#[derive(Serialize, ToSchema)]
#[schema(as = Receipt)]
pub(crate) struct ReceiptBody {
    tenant: String,
    model: String,
    /// The adapter's generation, `sha256:…`; null for the base model.
    adapter_generation: Option<String>,
    /// Tensors of the adapter that were applied; 0 for the base model.
    adapter_tensors: u32,
    /// Digest of the component that served each stage.
    plugins: BTreeMap<&'static str, String>,
    /// Number of the last change of the room's index that the request could see.
    index_watermark: u64,
    prompt_tokens: u32,
    completion_tokens: u32,
    /// WebAssembly fuel that the stages used.
    fuel: u64,
}

impl From<Receipt> for ReceiptBody {
    fn from(receipt: Receipt) -> Self {
        Self {
            tenant: receipt.tenant.into(),
            model: receipt.model,
            adapter_generation: receipt.adapter_generation.map(String::from),
            adapter_tensors: receipt.adapter_tensors,
            plugins: receipt
                .plugins
                .into_iter()
                .map(|(stage, digest)| (stage.as_str(), digest.to_string()))
                .collect(),
            index_watermark: receipt.index_watermark,
            prompt_tokens: receipt.prompt_tokens,
            completion_tokens: receipt.completion_tokens,
            fuel: receipt.fuel,
        }
    }
}
