//! Keys: making, listing and revoking them. Not here: checking one that was presented (`riad_core::pass`).

use crate::{clock, shared::Shared};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use riad_core::{Error, KeyId, OperatorPass, Result, Secret, TenantId, pass::hash_key, ports::Keyring, tenant::Key};
use std::sync::Arc;
use uuid::Uuid;

const TENANT_PREFIX: &str = "riad_sk_";
const OPERATOR_PREFIX: &str = "riad_op_";
/// Characters of a key that are stored and shown.
const SHOWN: usize = 12;
/// Keys are hashed without salt or delay, so that a short one could be guessed from its hash.
const OPERATOR_KEY_MIN: usize = 16;
const NAME_MAX: usize = 128;

/// A key with its secret, which is shown once.
pub struct NewKey {
    pub key: Key,
    pub secret: Secret<String>,
}

pub struct KeyService(pub(crate) Arc<Shared>);

impl KeyService {
    /// # Errors
    /// `NotFound` if there is no such tenant, `InvalidRequest` for a bad name.
    pub async fn create(&self, operator: &OperatorPass, tenant: &TenantId, name: &str) -> Result<NewKey> {
        let name = check_name(name)?;
        let secret = generate(TENANT_PREFIX)?;
        let key = Key {
            id: format!("key_{}", Uuid::now_v7().simple()).parse()?,
            name,
            prefix: secret.reveal().chars().take(SHOWN).collect(),
            created: clock::now(),
        };
        self.0
            .keyring
            .insert(operator, tenant, &key, &hash_key(&secret))
            .await?;
        Ok(NewKey { key, secret })
    }

    /// # Errors
    /// `NotFound` if there is no such tenant.
    pub async fn list(&self, operator: &OperatorPass, tenant: &TenantId) -> Result<Vec<Key>> {
        self.0.keyring.list(operator, tenant).await
    }

    /// # Errors
    /// `NotFound` if the tenant has no such key.
    pub async fn revoke(&self, operator: &OperatorPass, tenant: &TenantId, key: &KeyId) -> Result<()> {
        self.0.keyring.revoke(operator, tenant, key).await
    }
}

pub(crate) async fn ensure_operator_key(
    keyring: &dyn Keyring,
    configured: Option<Secret<String>>,
) -> Result<Option<Secret<String>>> {
    if let Some(key) = configured {
        if key.reveal().len() < OPERATOR_KEY_MIN {
            return Err(Error::invalid(format!(
                "the operator's key must have at least {OPERATOR_KEY_MIN} characters"
            )));
        }
        keyring.set_operator_hash(&hash_key(&key)).await?;
        return Ok(None);
    }
    if keyring.operator_hash().await?.is_some() {
        return Ok(None);
    }
    let key = generate(OPERATOR_PREFIX)?;
    keyring.set_operator_hash(&hash_key(&key)).await?;
    Ok(Some(key))
}

/// For people: the name of a tenant or a key.
pub(crate) fn check_name(name: &str) -> Result<String> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "a name must have 1 to {NAME_MAX} characters, none of them a control character"
        ))
        .with_param("name"));
    }
    Ok(name.to_owned())
}

fn generate(prefix: &str) -> Result<Secret<String>> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Secret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_256_random_bits_in_url_safe_letters() {
        let (one, two) = (generate(TENANT_PREFIX).unwrap(), generate(TENANT_PREFIX).unwrap());
        assert_ne!(one.reveal(), two.reveal());
        let secret = one.reveal().strip_prefix("riad_sk_").unwrap();
        assert_eq!(secret.len(), 43);
        assert!(secret.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)));
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(check_name(" build server ").unwrap(), "build server");
        for bad in ["", "  ", "a\nb", &"x".repeat(NAME_MAX + 1)] {
            assert_eq!(check_name(bad).unwrap_err().param(), Some("name"));
        }
    }
}
