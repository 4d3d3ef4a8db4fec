//! What the tests of several crates put behind the ports: a key store of one tenant, and passes that it opens; a hub of models, and
//! a server that runs one; and what a server has compiled of its own.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

pub mod hub;
pub mod model_server;
pub mod own_components;

use async_trait::async_trait;
use futures::FutureExt;
use riad_core::{
    Account, Error, KeyId, Result, Secret, TenantId, TenantPass,
    audit::{AuditEntry, Origin},
    grants::Grants,
    pass::{KeyHash, ManagedTenant},
    policy::{Budget, Policy},
    ports::{KeyRecord, KeyStore, PlanRotation},
    tenant::{Key, KeyChange, Tenant},
};

/// One tenant. `find` and `tenant` answer; everything else is an error.
pub struct OneTenant {
    key: Option<KeyRecord>,
    tenant: Option<Tenant>,
}

impl OneTenant {
    /// Every secret is of this key.
    #[must_use]
    pub fn with_key(key: KeyRecord) -> Self {
        Self {
            key: Some(key),
            tenant: None,
        }
    }

    /// The tenant has no keys: it is reached by tokens of an identity provider.
    #[must_use]
    pub fn without_keys(tenant: Tenant) -> Self {
        Self {
            key: None,
            tenant: Some(tenant),
        }
    }
}

/// A key without a budget, of a tenant that is named after its account.
///
/// # Panics
/// Never: the ids are valid.
#[must_use]
pub fn key(account: u64) -> KeyRecord {
    KeyRecord {
        tenant: format!("tenant-{account}").parse().unwrap(),
        account: Account::new(account),
        key: "key_1".parse().unwrap(),
        hash: KeyHash::default(),
        grants: Grants::default(),
        expires: None,
        budget: Budget::default(),
        budget_key: "key_1".parse().unwrap(),
        policy: Policy::default(),
    }
}

/// What the key opens.
///
/// # Panics
/// When the key has expired.
#[must_use]
pub fn pass(key: KeyRecord) -> TenantPass {
    let secret = Secret::new("k".to_owned());
    let key_store = OneTenant::with_key(key);
    let pass = TenantPass::authorize(&key_store, None, None, &secret, Origin::default(), 0);
    pass.now_or_never().unwrap().unwrap()
}

/// The pass of a tenant with this share in what is scarce.
///
/// # Panics
/// Never: the key does not expire.
#[must_use]
pub fn weighted_pass(account: u64, weight: u32) -> TenantPass {
    let policy = Policy {
        weight,
        ..Policy::default()
    };
    pass(KeyRecord { policy, ..key(account) })
}

#[async_trait]
impl KeyStore for OneTenant {
    async fn find(&self, hash: &KeyHash, _: u64) -> Result<Option<KeyRecord>> {
        Ok(self.key.clone().map(|key| KeyRecord { hash: *hash, ..key }))
    }

    async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>> {
        Ok(self.tenant.clone().filter(|tenant| tenant.id == *id))
    }

    async fn get(&self, _: &ManagedTenant, _: &KeyId) -> Result<Key> {
        Err(not_used())
    }

    async fn insert(&self, _: &ManagedTenant, _: &Key, _: &KeyHash, _: AuditEntry) -> Result<()> {
        Err(not_used())
    }

    async fn rotate(&self, _: &ManagedTenant, _: &KeyId, _: PlanRotation) -> Result<Key> {
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
    Error::internal("this test's key store only finds its key and its tenant")
}
