//! Tenants and their keys as the control database keeps them. Not here: the pass that opens a room (`pass`).

use crate::{
    Account, KeyId, TenantId,
    grants::Grants,
    policy::{Budget, Policy},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    /// Given by the tenant store.
    pub account: Account,
    /// For people; not unique.
    pub name: String,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
    pub policy: Policy,
    /// Whether another tenant had the id before; given by the tenant store.
    pub succeeds: bool,
}

/// A page of tenants, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantQuery {
    /// In the id or the name, whatever the case of ASCII letters; empty for all.
    pub search: String,
    /// The last tenant of the page before.
    pub after: Option<TenantId>,
    pub limit: u32,
}

/// A key without its secret: that is shown once, when it is made, and kept as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub id: KeyId,
    pub name: String,
    /// The first characters of the key, to recognize it by.
    pub prefix: String,
    pub grants: Grants,
    /// What may be spent with this key, within the tenant's budget.
    pub budget: Budget,
    /// Seconds since 1970-01-01 UTC, as all times here.
    pub created: u64,
    /// From then on the key is refused.
    pub expires: Option<u64>,
    /// About when it was last used: kept to the minute.
    pub last_used: Option<u64>,
}

/// Changes of a key; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyChange {
    pub name: Option<String>,
    pub budget: Option<Budget>,
    /// When it ends: how a rotation overlaps.
    pub expires: Option<u64>,
}
