//! The wire form of a receipt. Not here: what is in it (`riad_core::receipt`), and listing them (`receipts`).

use riad_core::receipt::SignedReceipt;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What a request used and what served it.
#[derive(Serialize, ToSchema)]
#[schema(as = Receipt)]
pub(crate) struct ReceiptBody {
    tenant: String,
    /// Its place among the tenant's receipts: 1, 2, 3 …
    number: u64,
    /// The request's name in the ledger.
    request: String,
    model: String,
    /// The adapter's generation, `sha256:…`; null for the base model.
    adapter_generation: Option<String>,
    /// Tensors of the adapter that were applied; 0 for the base model.
    adapter_tensors: u32,
    /// Digest of the component that served each stage.
    plugins: BTreeMap<&'static str, String>,
    /// Number of the last change of the room's index that the request could see.
    index_watermark: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    /// Tokens of texts that were embedded for the request.
    embedded_tokens: u64,
    /// WebAssembly fuel that the stages used.
    fuel: u64,
    /// The plan whose prices hold, and their version.
    plan: String,
    plan_version: u32,
    /// Thousandths of a millionth of the server's currency.
    cost_nanos: u64,
    /// All of it and more, signed: a compact JWS (EdDSA) that names the SHA-256 of the receipt before it. The keys are at
    /// `/v1/receipts/keys`; `riad receipt verify` checks it offline.
    jws: String,
}

impl From<SignedReceipt> for ReceiptBody {
    fn from(signed: SignedReceipt) -> Self {
        let receipt = signed.receipt;
        Self {
            tenant: receipt.tenant.into(),
            number: receipt.number,
            request: receipt.request,
            model: receipt.model,
            adapter_generation: receipt.served_by.adapter_generation.map(String::from),
            adapter_tensors: receipt.served_by.adapter_tensors,
            plugins: receipt
                .served_by
                .plugins
                .into_iter()
                .map(|(stage, digest)| (stage.as_str(), digest.to_string()))
                .collect(),
            index_watermark: receipt.served_by.index_watermark,
            prompt_tokens: receipt.used.prompt_tokens,
            completion_tokens: receipt.used.completion_tokens,
            embedded_tokens: receipt.used.embedded_tokens,
            fuel: receipt.used.fuel,
            plan: receipt.plan.into(),
            plan_version: receipt.plan_version,
            cost_nanos: receipt.cost_nanos,
            jws: signed.jws,
        }
    }
}
