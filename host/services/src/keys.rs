//! Keys: making, listing, changing and revoking them, for the operator and for a tenant's admins.
//! Not here: checking one that was presented (`riad_core::pass`).

use crate::{audit, control_admission::operator, shared::Shared};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use riad_core::{
    Account, Error, ErrorKind, KeyId, OperatorPass, Result, Secret, TenantId, TenantPass, Timestamp,
    audit::AuditEntry,
    grants::{Access, Grants, Scope},
    pass::{ManagedTenant, hash_key},
    policy::Budget,
    ports::{HashedKey, KeyRotation, KeyStore},
    slot::Slot,
    tenant::{Key, KeyChange},
};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

const OPERATOR_PREFIX: &str = "riad_op_";
/// Characters of a key that are stored and shown: up to its slot, which all keys of a tenant have, and four more.
const SHOWN: usize = 18;
/// As many were stored of keys that have no slot.
const SHOWN_BEFORE_SLOTS: usize = 12;
/// Keys are hashed without salt or delay, so that a short one could be guessed from its hash.
const OPERATOR_KEY_MIN: usize = 16;
const NAME_MAX: usize = 128;
/// A hundred years.
const OVERLAP_MAX_SECONDS: u64 = 100 * 366 * 86_400;

/// A key with its secret, which is shown once.
pub struct NewKey {
    pub key: Key,
    pub secret: Secret<String>,
}

/// The properties of a new key.
#[derive(Debug, Clone, Default)]
pub struct KeyRequest {
    pub name: String,
    pub grants: Grants,
    pub budget: Budget,
    /// Seconds since 1970-01-01 UTC.
    pub expires: Option<u64>,
}

/// Whose keys are managed, and by whom. An admin can neither create, change nor revoke a key that can do more than its own.
#[derive(Debug, Clone)]
pub enum KeyOwner {
    /// An admin of the tenant.
    Own(TenantPass),
    /// The operator, and the tenant that it names.
    Named(OperatorPass, TenantId),
}

impl KeyOwner {
    /// # Errors
    /// `Forbidden` for anybody but an admin of the tenant.
    pub fn own(pass: &TenantPass) -> Result<Self> {
        pass.require(Scope::Usage, Access::Write)?;
        Ok(Self::Own(pass.clone()))
    }

    /// Whose share of the control database managing the keys takes.
    fn account(&self) -> Account {
        match self {
            Self::Own(pass) => pass.account(),
            Self::Named(..) => operator(),
        }
    }

    fn managed(&self) -> ManagedTenant {
        match self {
            Self::Own(pass) => ManagedTenant::own(pass),
            Self::Named(operator, tenant) => ManagedTenant::named(operator, tenant.clone()),
        }
    }

    fn entry(&self, action: &str, object: &str, detail: Option<&Value>) -> AuditEntry {
        match self {
            Self::Own(pass) => audit::by_tenant(pass, action, object, detail),
            Self::Named(operator, tenant) => audit::by_operator(operator, Some(tenant), action, object, detail),
        }
    }

    /// A key that expires or has a budget could get around both with a key that it creates or changes.
    fn check_bound(&self) -> Result<()> {
        match self {
            Self::Own(pass) if pass.is_bound() => Err(Error::new(
                ErrorKind::Forbidden,
                "a key with an end or a budget of its own, or a token, makes and changes no keys; use an admin's key without one",
            )),
            Self::Own(_) | Self::Named(..) => Ok(()),
        }
    }

    /// Only the operator sets webhooks: with one, a tenant could make this server send requests to addresses inside the
    /// operator's network.
    fn check_budget(&self, budget: &Budget) -> Result<()> {
        budget.check()?;
        match self {
            Self::Own(_) if budget.webhook.is_some() => Err(Error::new(
                ErrorKind::Forbidden,
                "only the operator sets a webhook; leave budget.webhook out",
            )
            .with_param("budget.webhook")),
            Self::Own(_) | Self::Named(..) => Ok(()),
        }
    }

    fn check(&self, grants: &Grants) -> Result<()> {
        match self {
            Self::Own(pass) if !grants.within(pass.grants()) => Err(Error::new(
                ErrorKind::Forbidden,
                "a key can only give what it has: choose a role and scopes within those of the key that makes it",
            )),
            Self::Own(_) | Self::Named(..) => Ok(()),
        }
    }
}

pub struct KeyService(pub(crate) Arc<Shared>);

impl KeyService {
    /// # Errors
    /// `NotFound` if there is no such tenant, `InvalidRequest` for a bad name or a time that is past, `Forbidden` for more
    /// than the maker has, `StorageFull` if the tenant has as many keys as it may have, `Busy` after too many changes.
    pub async fn create(&self, owner: &KeyOwner, request: KeyRequest) -> Result<NewKey> {
        check_expires(request.expires, Timestamp::now().as_seconds())?;
        if request.grants.scopes.is_empty() {
            return Err(Error::invalid("a key needs at least one scope").with_param("scopes"));
        }
        owner.check_budget(&request.budget)?;
        let (key, secret, entry) = generate_key(owner, request)?;
        self.count_change(owner)?;
        let HashedKey { key, hash } = key;
        let (key_store, tenant) = (Arc::clone(&self.0.key_store), owner.managed());
        let inserted = async move {
            key_store.insert(&tenant, &key, &hash, entry).await?;
            Ok(key)
        };
        let key = self.0.control.write(owner.account(), inserted).await?;
        Ok(NewKey { key, secret })
    }

    /// The live keys, oldest first; with `prefix` those that begin with it.
    ///
    /// # Errors
    /// `NotFound` if there is no such tenant.
    pub async fn list(&self, owner: &KeyOwner, prefix: Option<&str>) -> Result<Vec<Key>> {
        // More than is stored of a key, or a whole one that turned up somewhere, is found by what is stored.
        let stored: Option<String> = prefix.map(|prefix| prefix.chars().take(SHOWN_BEFORE_SLOTS).collect());
        let tenant = owner.managed();
        let keys = self.0.key_store.list(&tenant, stored.as_deref());
        let mut keys = self.0.control.ask(owner.account(), keys).await?;
        if let Some(prefix) = prefix {
            keys.retain(|key| key.prefix.starts_with(prefix) || prefix.starts_with(&key.prefix));
        }
        Ok(keys)
    }

    /// # Errors
    /// `NotFound` if the tenant has no such key; `InvalidRequest` for a bad name or a time that is past; `Forbidden` for a key
    /// that can do more than the changer.
    pub async fn change(&self, owner: &KeyOwner, key: &KeyId, change: KeyChange) -> Result<Key> {
        let change = KeyChange {
            name: change.name.as_deref().map(check_name).transpose()?,
            ..change
        };
        owner.check_bound()?;
        check_expires(change.expires, Timestamp::now().as_seconds())?;
        if let Some(budget) = &change.budget {
            owner.check_budget(budget)?;
        }
        self.check_reach(owner, key).await?;
        self.count_change(owner)?;
        let change = self.keeping_webhook(owner, key, change).await?;
        let detail = json!({"name": change.name, "expires": change.expires, "budget": change.budget});
        let entry = owner.entry("key.change", key.as_str(), Some(&detail));
        let (key_store, tenant, key) = (Arc::clone(&self.0.key_store), owner.managed(), key.clone());
        let changed = async move { key_store.change(&tenant, &key, change, entry).await };
        self.0.control.write(owner.account(), changed).await
    }

    /// Makes a key that can do the same, and lets the old one end after `overlap_seconds`.
    ///
    /// # Errors
    /// `NotFound` if the tenant has no such key; `Forbidden` for a key that can do more than the changer; `StorageFull` if the old one lives
    /// on and the tenant has as many keys as it may have; `Busy` after too many changes.
    pub async fn rotate(&self, owner: &KeyOwner, key: &KeyId, overlap_seconds: u64) -> Result<NewKey> {
        let secret = generate_tenant_key(owner)?;
        let (maker, new_secret) = (owner.clone(), secret.clone());
        let plan = move |old: Key| plan_rotation(&maker, old, &new_secret, overlap_seconds);
        self.count_change(owner)?;
        let (key_store, tenant, key) = (Arc::clone(&self.0.key_store), owner.managed(), key.clone());
        let rotated = async move { key_store.rotate(&tenant, &key, Box::new(plan)).await };
        let key = self.0.control.write(owner.account(), rotated).await?;
        Ok(NewKey { key, secret })
    }

    /// # Errors
    /// `NotFound` if the tenant has no such key; `Forbidden` for a key that can do more than the revoker.
    pub async fn revoke(&self, owner: &KeyOwner, key: &KeyId) -> Result<()> {
        self.check_reach(owner, key).await?;
        let entry = owner.entry("key.revoke", key.as_str(), None);
        let (key_store, tenant, key) = (Arc::clone(&self.0.key_store), owner.managed(), key.clone());
        let revoked = async move { key_store.revoke(&tenant, &key, entry).await };
        self.0.control.write(owner.account(), revoked).await
    }

    /// Revoking is not counted: whoever has a stolen key must not be able to keep it by making many changes.
    fn count_change(&self, owner: &KeyOwner) -> Result<()> {
        match owner {
            KeyOwner::Own(pass) => self.0.control.count_change(pass.account()),
            KeyOwner::Named(..) => Ok(()),
        }
    }

    /// Keeps the operator's webhook and its thresholds when an admin changes the budget.
    async fn keeping_webhook(&self, owner: &KeyOwner, key: &KeyId, change: KeyChange) -> Result<KeyChange> {
        match (owner, change.budget) {
            (KeyOwner::Own(_), Some(budget)) => {
                let old = self.0.key_store.get(&owner.managed(), key).await?.budget;
                let budget = Budget {
                    thresholds: if old.webhook.is_some() {
                        old.thresholds
                    } else {
                        budget.thresholds
                    },
                    webhook: old.webhook,
                    ..budget
                };
                Ok(KeyChange {
                    budget: Some(budget),
                    ..change
                })
            }
            (KeyOwner::Own(_) | KeyOwner::Named(..), budget) => Ok(KeyChange { budget, ..change }),
        }
    }

    async fn check_reach(&self, owner: &KeyOwner, key: &KeyId) -> Result<()> {
        match owner {
            KeyOwner::Own(_) => owner.check(&self.0.key_store.get(&owner.managed(), key).await?.grants),
            KeyOwner::Named(..) => Ok(()),
        }
    }
}

/// Runs in the transaction that read the old key.
fn plan_rotation(owner: &KeyOwner, old: Key, new_secret: &Secret<String>, overlap_seconds: u64) -> Result<KeyRotation> {
    let now = Timestamp::now().as_seconds();
    // A key that has ended has nothing to hand over.
    check_expires(old.expires, now)?;
    let old_expires = (overlap_seconds > 0).then(|| {
        let ends = now.saturating_add(overlap_seconds.min(OVERLAP_MAX_SECONDS));
        old.expires.map_or(ends, |already| already.min(ends))
    });
    let ended = match old_expires {
        None => owner.entry("key.revoke", old.id.as_str(), None),
        Some(expires) => owner.entry("key.change", old.id.as_str(), Some(&json!({"expires": expires}))),
    };
    // With the old key's budget, although the operator may have set it.
    let request = KeyRequest {
        name: old.name,
        grants: old.grants,
        budget: old.budget,
        expires: old.expires,
    };
    let (new, created) = make_key(owner, request, new_secret)?;
    Ok(KeyRotation {
        new,
        old_expires,
        audit: [created, ended],
    })
}

/// A key that is not stored yet, its secret, and the audit entry of its creation.
pub(crate) fn generate_key(owner: &KeyOwner, request: KeyRequest) -> Result<(HashedKey, Secret<String>, AuditEntry)> {
    let secret = generate_tenant_key(owner)?;
    let (key, entry) = make_key(owner, request, &secret)?;
    Ok((key, secret, entry))
}

fn make_key(owner: &KeyOwner, request: KeyRequest, secret: &Secret<String>) -> Result<(HashedKey, AuditEntry)> {
    let name = check_name(&request.name)?;
    owner.check_bound()?;
    owner.check(&request.grants)?;
    let key = Key {
        id: format!("key_{}", Uuid::now_v7().simple()).parse()?,
        name,
        prefix: secret.reveal().chars().take(SHOWN).collect(),
        grants: request.grants,
        budget: request.budget,
        created: Timestamp::now().as_seconds(),
        expires: request.expires,
        last_used: None,
    };
    let detail = json!({
        "name": key.name, "role": key.grants.role, "scopes": key.grants.scopes, "expires": key.expires,
    });
    let entry = owner.entry("key.create", key.id.as_str(), Some(&detail));
    let hash = hash_key(secret);
    Ok((HashedKey { key, hash }, entry))
}

pub(crate) async fn ensure_operator_key(
    key_store: &dyn KeyStore,
    configured: Option<Secret<String>>,
) -> Result<Option<Secret<String>>> {
    if let Some(key) = configured {
        if key.reveal().len() < OPERATOR_KEY_MIN {
            return Err(Error::invalid(format!(
                "the operator's key must have at least {OPERATOR_KEY_MIN} characters"
            )));
        }
        key_store.set_operator_hash(&hash_key(&key)).await?;
        return Ok(None);
    }
    if key_store.operator_hash().await?.is_some() {
        return Ok(None);
    }
    let key = generate(OPERATOR_PREFIX)?;
    key_store.set_operator_hash(&hash_key(&key)).await?;
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

fn check_expires(expires: Option<u64>, now: u64) -> Result<()> {
    match expires {
        Some(expires) if i64::try_from(expires).is_err() => {
            Err(Error::invalid("expires is too far away").with_param("expires"))
        }
        Some(expires) if expires <= now => Err(Error::invalid(
            "expires is in the past; it is a time in seconds since 1970-01-01 UTC",
        )
        .with_param("expires")),
        Some(_) | None => Ok(()),
    }
}

fn generate_tenant_key(owner: &KeyOwner) -> Result<Secret<String>> {
    generate(&Slot::of(owner.managed().tenant()).key_prefix())
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
        let slot = Slot::of(&"acme".parse().unwrap());
        let generated = || generate(&slot.key_prefix()).unwrap();
        let (one, two) = (generated(), generated());
        assert_ne!(one.reveal(), two.reveal());
        assert_eq!(Slot::of_key(&one), Some(slot));
        let secret = one.reveal().strip_prefix(&slot.key_prefix()).unwrap();
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

    #[test]
    fn a_key_cannot_end_in_the_past() {
        assert!(check_expires(None, 10).is_ok());
        assert!(check_expires(Some(11), 10).is_ok());
        assert_eq!(check_expires(Some(10), 10).unwrap_err().param(), Some("expires"));
    }
}
