//! The only things that open a room or the operator's doors. Both have private fields and one constructor, which takes
//! the secret that was presented; nothing in a request body, path or query can make one.
//! Not here: where keys are kept (the `Keyring` port).

use crate::{Error, ErrorKind, KeyId, Result, Secret, TenantId, ports::Keyring};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What is stored of a key: its SHA-256. Keys have 256 random bits, so that a slow hash would add nothing.
pub type KeyHash = [u8; 32];

#[must_use]
pub fn hash_key(key: &Secret<String>) -> KeyHash {
    Sha256::digest(key.reveal().as_bytes()).into()
}

/// Proof that a request carries a tenant's key. Handed down as a reference; there is no other way to a room.
#[derive(Debug, Clone)]
pub struct TenantPass {
    tenant: TenantId,
    key: KeyId,
}

impl TenantPass {
    /// # Errors
    /// `Unauthenticated` for a key that nobody has; whatever the keyring fails with.
    pub async fn authorise(keyring: &dyn Keyring, presented: &Secret<String>) -> Result<Self> {
        let hash = hash_key(presented);
        match keyring.find(&hash).await? {
            // The lookup was by the hash; comparing again costs nothing and keeps timing out of the database's hands.
            Some(found) if bool::from(found.hash.ct_eq(&hash)) => Ok(Self {
                tenant: found.tenant,
                key: found.key,
            }),
            Some(_) | None => Err(unauthenticated()),
        }
    }

    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    #[must_use]
    pub fn key(&self) -> &KeyId {
        &self.key
    }
}

/// Proof that a request carries the operator's key.
#[derive(Debug, Clone)]
pub struct OperatorPass(());

impl OperatorPass {
    /// # Errors
    /// `Unauthenticated` for anything but the operator's key; whatever the keyring fails with.
    pub async fn authorise(keyring: &dyn Keyring, presented: &Secret<String>) -> Result<Self> {
        match keyring.operator_hash().await? {
            Some(hash) if bool::from(hash.ct_eq(&hash_key(presented))) => Ok(Self(())),
            Some(_) | None => Err(unauthenticated()),
        }
    }
}

fn unauthenticated() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "this key is not valid; send a key as `Authorization: Bearer <key>`",
    )
}
