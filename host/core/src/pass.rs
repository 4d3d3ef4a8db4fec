//! The only things that open a room or the operator's doors. Both have private fields and are made from the secret that was
//! presented; nothing in a request body, path or query can make one.
//! Not here: where keys are kept (the `KeyStore` port), how a token is verified (the `Tokens` port).

use crate::{
    Account, Error, ErrorKind, KeyId, Result, Secret, TenantId,
    audit::Origin,
    grants::{Access, Grants, Scope},
    policy::{Budget, Policy},
    ports::{KeyRecord, KeyStore, Tokens},
};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// What is stored of a key: its SHA-256. Keys have 256 random bits, so that a slow hash would add nothing.
pub type KeyHash = [u8; 32];

#[must_use]
pub fn hash_key(key: &Secret<String>) -> KeyHash {
    Sha256::digest(key.reveal().as_bytes()).into()
}

/// Proof that a request carries a tenant's key or token. Handed down as a reference; there is no other way to a room.
#[derive(Debug, Clone)]
pub struct TenantPass(Arc<PassData>);

/// Decided once, when the request came.
#[derive(Debug)]
struct PassData {
    tenant: TenantId,
    account: Account,
    key: KeyId,
    grants: Grants,
    policy: Policy,
    key_budget: Budget,
    /// Whether the key ends, or is a token, which does.
    ends: bool,
    origin: Origin,
}

impl TenantPass {
    /// `now` is in seconds since 1970-01-01 UTC. A token of an identity provider is taken if `tokens` is there.
    ///
    /// # Errors
    /// `Unauthenticated` for a key or token that opens nothing; whatever the key store and the token verifier fail with.
    pub async fn authorize(
        key_store: &dyn KeyStore,
        tokens: Option<&dyn Tokens>,
        presented: &Secret<String>,
        origin: Origin,
        now: u64,
    ) -> Result<Self> {
        if let Some(tokens) = tokens
            && tokens.is_token(presented)
        {
            return Self::from_token(key_store, tokens, presented, origin).await;
        }
        let hash = hash_key(presented);
        match key_store.find(&hash, now).await? {
            // The lookup was by the hash; comparing again costs nothing and keeps timing out of the database's hands.
            Some(found) if bool::from(found.hash.ct_eq(&hash)) && found.expires.is_none_or(|end| now < end) => {
                let ends = found.expires.is_some();
                let KeyRecord {
                    tenant,
                    account,
                    key,
                    grants,
                    policy,
                    budget,
                    ..
                } = found;
                Ok(Self(Arc::new(PassData {
                    tenant,
                    account,
                    key,
                    grants,
                    policy,
                    key_budget: budget,
                    ends,
                    origin,
                })))
            }
            Some(_) | None => Err(unauthenticated()),
        }
    }

    async fn from_token(
        key_store: &dyn KeyStore,
        tokens: &dyn Tokens,
        presented: &Secret<String>,
        origin: Origin,
    ) -> Result<Self> {
        let claims = tokens.verify(presented).await?;
        match key_store.tenant(&claims.tenant).await? {
            // A token that is older than the tenant was made for a former one with the same id.
            Some(tenant) if claims.issued_at >= tenant.created => Ok(Self(Arc::new(PassData {
                tenant: tenant.id,
                account: tenant.account,
                key: claims.key,
                grants: claims.grants,
                policy: tenant.policy,
                key_budget: Budget::default(),
                ends: true,
                origin,
            }))),
            Some(_) | None => Err(unauthenticated()),
        }
    }

    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// What rooms, logs and money are kept under.
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

    /// Whether the key has an end or a budget of its own: it must not make what outlives or outspends it.
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
    /// # Errors
    /// `Unauthenticated` for anything but the operator's key; whatever the key store fails with.
    pub async fn authorize(key_store: &dyn KeyStore, presented: &Secret<String>, origin: Origin) -> Result<Self> {
        match key_store.operator_hash().await? {
            Some(hash) if bool::from(hash.ct_eq(&hash_key(presented))) => Ok(Self { origin }),
            Some(_) | None => Err(unauthenticated()),
        }
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

fn unauthenticated() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "this key is not valid; send a key as `Authorization: Bearer <key>`",
    )
}
