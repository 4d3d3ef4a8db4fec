//! Receipts: what a request used and what served it, signed and sent with the answer. Not here: signing (`services`).

use crate::{
    Account, Digest, KeyId, ModelName, PlanName, ResponseId, TenantId,
    ledger::{Entry, Kind, Outcome, Purpose},
    plugin::Stage,
    price::Usage,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The payload of a receipt's JWS. Field order and names are the format; members are added, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub tenant: TenantId,
    pub account: Account,
    /// 1, 2, 3 … within the account.
    pub number: u64,
    /// SHA-256 of the compact JWS of the receipt before it; absent for the first.
    pub previous: Option<Digest>,
    pub request: String,
    /// Milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    pub kind: Kind,
    pub outcome: Outcome,
    pub key: Option<KeyId>,
    pub model: String,
    #[serde(flatten)]
    pub served_by: ServedBy,
    #[serde(flatten)]
    pub used: Usage,
    pub plan: PlanName,
    pub plan_version: u32,
    /// Nano-units (10⁻⁹ of the currency), exact.
    pub cost_nanos: u64,
}

/// All that determined the answer, and where it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServedBy {
    /// The adapter's generation; absent for the base model.
    pub adapter_generation: Option<Digest>,
    /// Tensors of the adapter that were applied; 0 for the base model.
    pub adapter_tensors: u32,
    /// Digest of the component that served each stage.
    pub plugins: BTreeMap<Stage, Digest>,
    /// Number of the last change of the room's index when the request searched it.
    pub index_watermark: u64,
    /// Under which the room keeps what the request said and was answered, if its client asked for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<ResponseId>,
}

impl Receipt {
    /// The members in which a receipt and its ledger entry disagree; empty if the receipt is this entry's. Both are destructured, so
    /// that a new member must be compared here or left out on purpose.
    #[must_use]
    pub fn differences(&self, entry: &Entry) -> Vec<&'static str> {
        let Self {
            tenant,
            account,
            number,
            // The chain's link is compared with the entry before.
            previous: _,
            request,
            at_ms,
            kind,
            outcome,
            key,
            model,
            // Only the receipt has it.
            served_by: _,
            used,
            plan,
            plan_version,
            cost_nanos,
        } = self;
        let Entry {
            account: entry_account,
            number: entry_number,
            tenant: entry_tenant,
            key: entry_key,
            request: entry_request,
            at_ms: entry_at_ms,
            purpose,
            outcome: entry_outcome,
            used: entry_used,
            // Only abandoned entries have it; a receipt has no hold.
            at_most: _,
            plan: entry_plan,
            plan_version: entry_plan_version,
            cost_nanos: entry_cost_nanos,
            receipt: _,
        } = entry;
        let Purpose {
            kind: entry_kind,
            model: entry_model,
            adapter,
            plugin: _,
        } = purpose;
        let entry_model = ModelName::new(entry_model, adapter.clone()).to_string();
        let checks = [
            ("tenant", tenant == entry_tenant),
            ("account", account == entry_account),
            ("number", number == entry_number),
            ("request", request == entry_request),
            ("at_ms", storable(*at_ms) == storable(*entry_at_ms)),
            ("kind", kind == entry_kind),
            ("outcome", outcome == entry_outcome),
            ("key", key == entry_key),
            ("model", *model == entry_model),
            ("usage", storable_usage(used) == storable_usage(entry_used)),
            ("plan", plan == entry_plan),
            ("plan_version", plan_version == entry_plan_version),
            ("cost_nanos", storable(*cost_nanos) == storable(*entry_cost_nanos)),
        ];
        checks
            .into_iter()
            .filter_map(|(name, same)| (!same).then_some(name))
            .collect()
    }
}

/// The ledger's columns are signed 64-bit integers: a greater number is stored as the greatest of them.
fn storable(number: u64) -> u64 {
    number.min(i64::MAX as u64)
}

fn storable_usage(usage: &Usage) -> Usage {
    let Usage {
        requests,
        prompt_tokens,
        cached_tokens,
        completion_tokens,
        embedded_tokens,
        fuel,
        stored_byte_hours,
        adapter_byte_hours,
    } = *usage;
    Usage {
        requests: storable(requests),
        prompt_tokens: storable(prompt_tokens),
        cached_tokens: storable(cached_tokens),
        completion_tokens: storable(completion_tokens),
        embedded_tokens: storable(embedded_tokens),
        fuel: storable(fuel),
        stored_byte_hours: storable(stored_byte_hours),
        adapter_byte_hours: storable(adapter_byte_hours),
    }
}

/// A receipt and its compact JWS (RFC 7515, `EdDSA`), which any JOSE library can check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedReceipt {
    pub receipt: Receipt,
    pub jws: String,
}
