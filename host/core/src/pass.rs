//! Passes: proof that a request carries a tenant's or the operator's key. Only they open a room or the operator's endpoints. Their fields
//! are private, and only `authorize` makes them, from the secret that the client presented.

pub use crate::key_hash::{KeyHash, hash_key};

use crate::{
    Account, KeyId, Result, TenantId,
    audit::Origin,
    grants::{Access, Grants, Scope},
    policy::{Budget, Policy},
};
use std::sync::Arc;

/// Proof that a request carries a tenant's key or token. Handed down as a reference; there is no other way to a room.
#[derive(Debug, Clone)]
pub struct TenantPass(Arc<PassData>);

/// Decided once, when the request came.
#[derive(Debug)]
pub(crate) struct PassData {
    pub tenant: TenantId,
    pub account: Account,
    pub key: KeyId,
    pub grants: Grants,
    pub policy: Policy,
    pub key_budget: Budget,
    pub budget_key: KeyId,
    /// Whether the key expires, as every token does.
    pub ends: bool,
    pub origin: Origin,
}

impl TenantPass {
    /// Only `authorize` calls it, after it has checked a key or token.
    pub(crate) fn new(data: PassData) -> Self {
        Self(Arc::new(data))
    }

    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// The identity that rooms, logs and ledger entries belong to.
    #[must_use]
    pub fn account(&self) -> Account {
        self.0.account
    }

    #[must_use]
    pub fn key(&self) -> &KeyId {
        &self.0.key
    }

    #[must_use]
    pub fn grants(&self) -> &Grants {
        &self.0.grants
    }

    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// What may be spent with this key, within the tenant's budget.
    #[must_use]
    pub fn key_budget(&self) -> &Budget {
        &self.0.key_budget
    }

    /// Whose spending the key's budget counts: a key and those that it was rotated to share it.
    #[must_use]
    pub fn budget_key(&self) -> &KeyId {
        &self.0.budget_key
    }

    /// Whether the key expires or has a budget of its own. Such a key must not create or change keys, which could outlive it or
    /// spend more.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.0.ends || self.0.key_budget.limits_something()
    }

    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// # Errors
    /// `Forbidden` says what the key lacks.
    pub fn require(&self, scope: Scope, access: Access) -> Result<()> {
        self.0.grants.require(scope, access)
    }
}

/// Proof that a request carries the operator's key.
#[derive(Debug, Clone)]
pub struct OperatorPass {
    origin: Origin,
}

impl OperatorPass {
    /// Only `authorize` calls it, after it has checked the operator's key.
    pub(crate) fn new(origin: Origin) -> Self {
        Self { origin }
    }

    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// The tenant whose keys are managed: the one that a pass belongs to, or one that the operator names.
#[derive(Debug, Clone)]
pub struct ManagedTenant {
    tenant: TenantId,
    account: Option<Account>,
}

impl ManagedTenant {
    #[must_use]
    pub fn own(pass: &TenantPass) -> Self {
        Self {
            tenant: pass.tenant().clone(),
            account: Some(pass.account()),
        }
    }

    #[must_use]
    pub fn named(_operator: &OperatorPass, tenant: TenantId) -> Self {
        Self { tenant, account: None }
    }

    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// If it is there, the tenant must still have this account.
    #[must_use]
    pub fn account(&self) -> Option<Account> {
        self.account
    }
}
