//! Keys and whom they belong to.

use crate::{
    KeyId, Result, TenantId,
    pass::{KeyHash, OperatorPass},
    tenant::Key,
};
use async_trait::async_trait;

#[derive(Debug, Clone)]
pub struct FoundKey {
    pub tenant: TenantId,
    pub key: KeyId,
    pub hash: KeyHash,
}

/// Implemented by the control database. Every call is one short transaction; none is cancelled half-way.
#[async_trait]
pub trait Keyring: Send + Sync {
    /// The live key with this hash. Called once per request. `None` for unknown and revoked keys.
    async fn find(&self, hash: &KeyHash) -> Result<Option<FoundKey>>;

    /// Stores a new key. `NotFound` if there is no such tenant.
    async fn insert(&self, operator: &OperatorPass, tenant: &TenantId, key: &Key, hash: &KeyHash) -> Result<()>;

    /// The live keys of a tenant, oldest first. `NotFound` if there is no such tenant.
    async fn list(&self, operator: &OperatorPass, tenant: &TenantId) -> Result<Vec<Key>>;

    /// Revokes a key: requests that come after the return are refused. `NotFound` if the tenant has no such key.
    async fn revoke(&self, operator: &OperatorPass, tenant: &TenantId, key: &KeyId) -> Result<()>;

    /// The hash of the operator's key, if one was set.
    async fn operator_hash(&self) -> Result<Option<KeyHash>>;

    /// Sets the operator's key. Called at start only.
    async fn set_operator_hash(&self, hash: &KeyHash) -> Result<()>;
}
