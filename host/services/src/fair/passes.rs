//! Passes of tenants that exist in no database, for tests and for the bench, which includes this file.
//! Not here: keys, roles and budgets, which a queue does not look at.

use async_trait::async_trait;
use futures::FutureExt;
use riad_core::{
    Account, Error, KeyId, Result, Secret, TenantId, TenantPass,
    audit::{AuditEntry, Origin},
    grants::Grants,
    pass::{KeyHash, ManagedTenant},
    policy::{Budget, Policy},
    ports::{KeyRecord, KeyRotation, KeyStore},
    tenant::{Key, KeyChange, Tenant},
};

/// A tenant's pass. Every key opens this tenant.
struct OneTenant {
    account: u64,
    weight: u32,
}

pub fn pass(account: u64, weight: u32) -> TenantPass {
    let key_store = OneTenant { account, weight };
    let key = Secret::new("k".to_owned());
    let origin = Origin::default();
    let pass = TenantPass::authorize(&key_store, None, &key, origin, 0);
    pass.now_or_never().unwrap().unwrap()
}

#[async_trait]
impl KeyStore for OneTenant {
    async fn find(&self, hash: &KeyHash, _: u64) -> Result<Option<KeyRecord>> {
        Ok(Some(KeyRecord {
            tenant: format!("tenant-{}", self.account).parse()?,
            account: Account::new(self.account),
            key: "key_1".parse()?,
            hash: *hash,
            grants: Grants::default(),
            expires: None,
            budget: Budget::default(),
            policy: Policy {
                weight: self.weight,
                ..Policy::default()
            },
        }))
    }

    async fn tenant(&self, _: &TenantId) -> Result<Option<Tenant>> {
        Ok(None)
    }

    async fn insert(&self, _: &ManagedTenant, _: &Key, _: &KeyHash, _: AuditEntry) -> Result<()> {
        Err(not_used())
    }

    async fn rotate(&self, _: &ManagedTenant, _: KeyRotation, _: [AuditEntry; 2]) -> Result<()> {
        Err(not_used())
    }

    async fn list(&self, _: &ManagedTenant, _: Option<&str>) -> Result<Vec<Key>> {
        Err(not_used())
    }

    async fn change(&self, _: &ManagedTenant, _: &KeyId, _: KeyChange, _: AuditEntry) -> Result<Key> {
        Err(not_used())
    }

    async fn revoke(&self, _: &ManagedTenant, _: &KeyId, _: AuditEntry) -> Result<()> {
        Err(not_used())
    }

    async fn operator_hash(&self) -> Result<Option<KeyHash>> {
        Ok(None)
    }

    async fn set_operator_hash(&self, _: &KeyHash) -> Result<()> {
        Err(not_used())
    }
}

fn not_used() -> Error {
    Error::internal("not used")
}
