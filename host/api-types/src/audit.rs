//! `/v1/audit` and `/operator/v1/audit`.

use riad_core::audit::AuditRecord;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::{IntoParams, ToSchema};

#[derive(Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AuditParams {
    /// 1 to 1000; 100 if it is not given.
    pub limit: Option<u32>,
    /// `number` of the last entry that is known already: older ones follow.
    pub before: Option<u64>,
    /// `operator`, `server` for what it did by itself, or a key's id.
    pub actor: Option<String>,
    /// `key.revoke`, or `key` for all that was done with keys.
    pub action: Option<String>,
}

// Flattening would hide unknown parameters from `deny_unknown_fields`.
#[derive(Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OperatorAuditParams {
    /// 1 to 1000; 100 if it is not given.
    pub limit: Option<u32>,
    /// `number` of the last entry that is known already: older ones follow.
    pub before: Option<u64>,
    /// `operator`, `server` for what it did by itself, or a key's id.
    pub actor: Option<String>,
    /// `key.revoke`, or `key` for all that was done with keys.
    pub action: Option<String>,
    /// Only what was done to or by this tenant, or a former one with the same id.
    pub tenant: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct AuditList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    /// Newest first.
    pub data: Vec<AuditEntry>,
    pub has_more: bool,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    pub number: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    pub actor: String,
    pub tenant: Option<String>,
    pub account: Option<u64>,
    #[schema(example = "key.revoke")]
    pub action: String,
    /// The id of what was changed.
    pub object: String,
    /// The new value, unless it is content.
    #[schema(value_type = Option<Object>)]
    pub detail: Option<serde_json::Value>,
    /// The address that the request came from.
    pub address: Option<String>,
    /// The request's id, as its `x-request-id` said.
    pub request: String,
}

impl From<AuditRecord> for AuditEntry {
    fn from(record: AuditRecord) -> Self {
        let entry = record.entry;
        Self {
            number: record.number,
            at_ms: entry.at_ms,
            actor: entry.actor,
            tenant: entry.tenant.map(String::from),
            account: entry.account.map(riad_core::Account::number),
            action: entry.action,
            object: entry.object,
            detail: entry.detail.and_then(|text| serde_json::from_str(&text).ok()),
            address: entry.origin.address.map(|address| address.to_string()),
            request: entry.origin.request,
        }
    }
}
