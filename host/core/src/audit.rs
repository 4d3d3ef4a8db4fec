//! Who changed what, when, from where. Not here: what is logged for operations (`tracing`).

use crate::{Account, TenantId};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Where a request came from, as the listener saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub address: Option<IpAddr>,
    /// The request's id, which its log lines have too.
    pub request: String,
}

/// A change that was made. Never changed, never deleted; it names objects and holds no content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// `operator`, `server`, or a key's id.
    pub actor: String,
    pub account: Option<Account>,
    pub tenant: Option<TenantId>,
    /// Resource and verb: `tenant.create`, `key.revoke`, `document.delete`.
    pub action: String,
    /// The id of what was changed.
    pub object: String,
    /// What it was changed to, for changes of settings that have no secret in them: compact JSON.
    pub detail: Option<String>,
    pub origin: Origin,
}

/// An entry with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// 1, 2, 3 … within the account in a tenant's own view; within the whole log in the operator's.
    pub number: u64,
    #[serde(flatten)]
    pub entry: AuditEntry,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// A tenant's own view.
    pub account: Option<Account>,
    /// The operator's filters.
    pub tenant: Option<TenantId>,
    pub actor: Option<String>,
    /// An action, or a resource with all its verbs: `key.revoke`, `key`.
    pub action: Option<String>,
    /// [`AuditRecord::number`] of the oldest entry that the caller has; older ones follow. 0 begins with the newest.
    pub before: u64,
    pub limit: u32,
}
