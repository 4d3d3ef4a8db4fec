//! Keys and whom they belong to.

use crate::{
    Account, KeyId, Result, TenantId,
    audit::AuditEntry,
    grants::Grants,
    key_hash::KeyHash,
    pass::ManagedTenant,
    policy::{Budget, Policy},
    tenant::{Key, KeyChange, Tenant},
};
use async_trait::async_trait;

#[derive(Debug, Clone)]
pub struct KeyRecord {
    pub tenant: TenantId,
    pub account: Account,
    pub key: KeyId,
    pub hash: KeyHash,
    pub grants: Grants,
    pub expires: Option<u64>,
    pub budget: Budget,
    /// Whose spending the budget counts: the key that this one came from by rotations, or itself.
    pub budget_key: KeyId,
    pub policy: Policy,
}

/// A key as it is stored: without its secret.
#[derive(Debug, Clone)]
pub struct HashedKey {
    pub key: Key,
    pub hash: KeyHash,
}

/// A new key and what becomes of the one that it replaces.
#[derive(Debug, Clone)]
pub struct KeyRotation {
    pub new: HashedKey,
    /// When the old key expires, in seconds since 1970-01-01 UTC; `None` revokes it at once.
    pub old_expires: Option<u64>,
    /// The new key's entry, then the old one's.
    pub audit: [AuditEntry; 2],
}

/// Makes a rotation of the old key as it is in the transaction. Its error ends the transaction. It must not block.
pub type PlanRotation = Box<dyn FnOnce(Key) -> Result<KeyRotation> + Send>;

/// Implemented by the control database. Every call is at most one short transaction; none is cancelled half-way. A change and its line
/// in the audit log are one transaction.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// The live key with this hash. Called once per request and answered from memory where it can be; notes the use, to the minute. `None`
    /// for unknown, revoked and expired keys; `Unavailable` if too many look-ups wait. `now` in seconds since 1970-01-01 UTC.
    async fn find(&self, hash: &KeyHash, now: u64) -> Result<Option<KeyRecord>>;

    /// The tenant with this id, if there is one: for a verified token, and for charges for time.
    async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>>;

    /// A live key, to decide whether it may be changed; waits for no list. `NotFound` if the tenant has no such key.
    async fn get(&self, tenant: &ManagedTenant, key: &KeyId) -> Result<Key>;

    /// Stores a new key. `NotFound` if there is no such tenant.
    async fn insert(&self, tenant: &ManagedTenant, key: &Key, hash: &KeyHash, audit: AuditEntry) -> Result<()>;

    /// Reads the old key, stores the new one that `plan` makes of it, and ends the old one, in one transaction: no change of
    /// the old key is lost, and none that was revoked is replaced. The new key. `NotFound` if the tenant has no such live key.
    async fn rotate(&self, tenant: &ManagedTenant, old: &KeyId, plan: PlanRotation) -> Result<Key>;

    /// The live keys of a tenant, oldest first; with `prefix` those that begin with it. `NotFound` if there is no such tenant.
    async fn list(&self, tenant: &ManagedTenant, prefix: Option<&str>) -> Result<Vec<Key>>;

    /// The key after the change. `NotFound` if the tenant has no such live key.
    async fn change(&self, tenant: &ManagedTenant, key: &KeyId, change: KeyChange, audit: AuditEntry) -> Result<Key>;

    /// Revokes a key: requests that come after the return are refused. `NotFound` if the tenant has no such key.
    async fn revoke(&self, tenant: &ManagedTenant, key: &KeyId, audit: AuditEntry) -> Result<()>;

    /// The hash of the operator's key, if one was set.
    async fn operator_hash(&self) -> Result<Option<KeyHash>>;

    /// Sets the operator's key. Called at start only.
    async fn set_operator_hash(&self, hash: &KeyHash) -> Result<()>;
}
