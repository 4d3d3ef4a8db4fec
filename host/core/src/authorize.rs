//! From a presented key or token to a pass: the only place that makes passes.

use crate::{
    Error, ErrorKind, OperatorPass, Result, Secret, TenantPass,
    audit::Origin,
    key_hash::hash_key,
    pass::PassData,
    policy::Budget,
    ports::{Cells, Claims, KeyRecord, KeyStore, Tokens},
    slot::Slot,
    tenant::Tenant,
};
use subtle::ConstantTimeEq;

impl TenantPass {
    /// `now` is in seconds since 1970-01-01 UTC. A token of an identity provider is taken if `tokens` is there. No pass is made for a tenant
    /// of another cell, which may have a newer room.
    ///
    /// # Errors
    /// `Misdirected` for a key or tenant in a slot of another cell, whether it exists or not; `Unauthenticated` for a key or token that is
    /// unknown, expired or revoked; whatever the key store and the token verifier fail with.
    pub async fn authorize(
        key_store: &dyn KeyStore,
        tokens: Option<&dyn Tokens>,
        cells: Option<&dyn Cells>,
        presented: &Secret<String>,
        origin: Origin,
        now: u64,
    ) -> Result<Self> {
        if let Some(tokens) = tokens
            && tokens.is_token(presented)
        {
            return Self::from_token(key_store, tokens, cells, presented, origin).await;
        }
        check_cell(cells, Slot::of_key(presented))?;
        let hash = hash_key(presented);
        match key_store.find(&hash, now).await? {
            // Makes the comparison constant-time, independent of SQLite.
            Some(found) if bool::from(found.hash.ct_eq(&hash)) && found.expires.is_none_or(|end| now < end) => {
                // A key without a slot, or with a wrong one.
                check_cell(cells, Some(Slot::of(&found.tenant)))?;
                let ends = found.expires.is_some();
                let KeyRecord {
                    tenant,
                    account,
                    key,
                    grants,
                    policy,
                    budget,
                    budget_key,
                    ..
                } = found;
                Ok(Self::new(PassData {
                    tenant,
                    account,
                    key,
                    grants,
                    policy,
                    key_budget: budget,
                    budget_key,
                    ends,
                    origin,
                }))
            }
            Some(_) | None => Err(unauthenticated()),
        }
    }

    async fn from_token(
        key_store: &dyn KeyStore,
        tokens: &dyn Tokens,
        cells: Option<&dyn Cells>,
        presented: &Secret<String>,
        origin: Origin,
    ) -> Result<Self> {
        let claims = tokens.verify(presented).await?;
        check_cell(cells, Some(Slot::of(&claims.tenant)))?;
        match key_store.tenant(&claims.tenant).await? {
            Some(tenant) if is_of(&claims, &tenant) => Ok(Self::new(PassData {
                tenant: tenant.id,
                account: tenant.account,
                budget_key: claims.key.clone(),
                key: claims.key,
                grants: claims.grants,
                policy: tenant.policy,
                key_budget: Budget::default(),
                ends: true,
                origin,
            })),
            Some(_) | None => Err(unauthenticated()),
        }
    }
}

impl OperatorPass {
    /// # Errors
    /// `Unauthenticated` for anything but the operator's key; whatever the key store fails with.
    pub async fn authorize(key_store: &dyn KeyStore, presented: &Secret<String>, origin: Origin) -> Result<Self> {
        match key_store.operator_hash().await? {
            Some(hash) if bool::from(hash.ct_eq(&hash_key(presented))) => Ok(Self::new(origin)),
            Some(_) | None => Err(unauthenticated()),
        }
    }
}

fn check_cell(cells: Option<&dyn Cells>, slot: Option<Slot>) -> Result<()> {
    match (cells, slot) {
        (Some(cells), Some(slot)) => cells.check(slot),
        (Some(_) | None, _) => Ok(()),
    }
}

/// A token that is older than the tenant was made for a former one with the same id. If there was one, its tokens may have been issued by a
/// clock that is ahead.
fn is_of(claims: &Claims, tenant: &Tenant) -> bool {
    match tenant.succeeds {
        true => claims.issued_at > tenant.created.saturating_add(claims.leeway),
        false => claims.issued_at >= tenant.created,
    }
}

fn unauthenticated() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "this key is not valid; send a key as `Authorization: Bearer <key>`",
    )
}
