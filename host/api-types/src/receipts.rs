//! The receipt in a chat's answer, and `/v1/receipts`. What is signed is `riad_core::receipt`.

use riad_core::{ledger::Entry, receipt};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap};
use utoipa::{IntoParams, ToSchema};

/// What a request used and what served it.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    pub tenant: String,
    /// Its place among the tenant's receipts: 1, 2, 3 …
    pub number: u64,
    /// The request's id in the ledger.
    pub request: String,
    pub model: String,
    /// The adapter's generation, `sha256:…`; null for the base model.
    pub adapter_generation: Option<String>,
    /// Tensors of the adapter that were applied; 0 for the base model.
    pub adapter_tensors: u32,
    /// Digest of the component that served each stage.
    pub plugins: BTreeMap<Cow<'static, str>, String>,
    /// Number of the last change of the room's index that the request could see.
    pub index_watermark: u64,
    /// The kept response with what the request said and was answered; only if the client asked for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    pub prompt_tokens: u64,
    /// Of `prompt_tokens`, those that the prefix cache had.
    pub cached_tokens: u64,
    pub completion_tokens: u64,
    /// Tokens of texts that were embedded for the request.
    pub embedded_tokens: u64,
    /// WebAssembly fuel that the stages used.
    pub fuel: u64,
    /// The plan and the version of its prices that the request was priced with.
    pub plan: String,
    pub plan_version: u32,
    /// Nano-units (10⁻⁹ of the server's currency), exact.
    pub cost_nanos: u64,
    /// All of it and more, signed: a compact JWS (EdDSA) that names the SHA-256 of the receipt before it. The keys are at
    /// `/v1/receipts/keys`; `riad receipt verify` checks it offline.
    pub jws: String,
}

#[derive(Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ReceiptParams {
    /// `next` of the page before; from the first if it is not given.
    pub after: Option<u64>,
    /// 1 to 1000; 100 if it is not given.
    pub limit: Option<u32>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct ReceiptList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    /// Oldest first; each names the SHA-256 of the one before it.
    pub data: Vec<SignedReceipt>,
    pub has_more: bool,
    pub next: Option<u64>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct SignedReceipt {
    pub number: u64,
    pub request: String,
    pub at_ms: u64,
    #[schema(example = "chat")]
    pub kind: Cow<'static, str>,
    #[schema(example = "completed")]
    pub outcome: Cow<'static, str>,
    /// Prompt, completion and embedded tokens.
    pub tokens: u64,
    pub cost_nanos: u64,
    /// The receipt itself: a compact JWS (EdDSA).
    pub jws: String,
}

impl From<receipt::SignedReceipt> for Receipt {
    fn from(signed: receipt::SignedReceipt) -> Self {
        let receipt = signed.receipt;
        let plugins = receipt.served_by.plugins.into_iter();
        Self {
            tenant: receipt.tenant.into(),
            number: receipt.number,
            request: receipt.request,
            model: receipt.model,
            adapter_generation: receipt.served_by.adapter_generation.map(String::from),
            adapter_tensors: receipt.served_by.adapter_tensors,
            plugins: plugins
                .map(|(stage, digest)| (stage.as_str().into(), digest.to_string()))
                .collect(),
            index_watermark: receipt.served_by.index_watermark,
            response: receipt.served_by.response.map(String::from),
            prompt_tokens: receipt.used.prompt_tokens,
            cached_tokens: receipt.used.cached_tokens,
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

impl From<Entry> for SignedReceipt {
    fn from(entry: Entry) -> Self {
        Self {
            number: entry.number,
            request: entry.request,
            at_ms: entry.at_ms,
            kind: entry.purpose.kind.as_str().into(),
            outcome: entry.outcome.as_str().into(),
            tokens: entry.used.tokens(),
            cost_nanos: entry.cost_nanos,
            jws: entry.receipt,
        }
    }
}
