//! Tenants and their keys as the control database keeps them. Not here: the pass that opens a room (`pass`).

use crate::{KeyId, TenantId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    pub id: TenantId,
    /// For people; not unique.
    pub name: String,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
}

/// A key without its secret: that is shown once, when it is made, and kept as a hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub id: KeyId,
    pub name: String,
    /// The first characters of the key, to recognise it by.
    pub prefix: String,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
}
