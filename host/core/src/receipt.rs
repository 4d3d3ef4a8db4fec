//! What a request used and what served it, said to the client with the answer and signed. Not here: signing (`services`), the
//! ledger (`ledger`).

use crate::{
    Account, Digest, KeyId, PlanName, TenantId,
    ledger::{Kind, Outcome},
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
    /// Thousandths of a micro-unit.
    pub cost_nanos: u64,
}

/// Everything that decided what the answer was.
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
}

/// A receipt and its compact JWS (RFC 7515, `EdDSA`), which any JOSE library can check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedReceipt {
    pub receipt: Receipt,
    pub jws: String,
}
