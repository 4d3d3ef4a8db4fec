//! The `KeyStore` port: hashes of keys in the control database, and in memory (`key_cache`) once they have been looked up. No query
//! returns a revoked or expired key.
//! Not here: making and hashing keys (`riad_core::pass`, `services`), when a key was last used (`key_uses`).

use crate::{
    audit,
    control::{self, Control, account_of, find_tenant, no_tenant},
    error::{Failure, StoreResult, run_with_permit},
    key_cache::CachedKey,
    key_uses::KeyUses,
};
use async_trait::async_trait;
use riad_core::{
    Account, Error, ErrorKind, KeyId, Result, TenantId,
    audit::AuditEntry,
    grants::Grants,
    pass::{KeyHash, ManagedTenant},
    ports::{HashedKey, KeyRecord, KeyRotation, KeyStore, PlanRotation},
    tenant::{Key, KeyChange, Tenant},
};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row};
use std::sync::Arc;

const OPERATOR: &str = "operator_hash";

pub(crate) struct ControlKeyStore {
    control: Arc<Control>,
}

impl ControlKeyStore {
    pub(crate) fn new(control: Arc<Control>) -> Self {
        Self { control }
    }
}

#[async_trait]
impl KeyStore for ControlKeyStore {
    async fn find(&self, hash: &KeyHash, now: u64) -> Result<Option<KeyRecord>> {
        let found = match self.control.keys.key(hash, now) {
            Some(found) => Some(found),
            None => self.look_up(*hash, now).await?,
        };
        Ok(found.map(|found| {
            if KeyUses::should_record(found.last_used, now) {
                self.control.keys.note_use(hash, now);
                self.control.record_use(found.number, now);
            }
            Arc::unwrap_or_clone(found.key)
        }))
    }

    async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>> {
        let keys = &self.control.keys;
        if let Some(found) = keys.tenant(id) {
            return Ok(Some(Arc::unwrap_or_clone(found)));
        }
        let (began, id) = (keys.epoch(), id.clone());
        let found = self
            .control
            .identity
            .read(move |connection| find_tenant(connection, &id))
            .await?;
        if let Some(found) = &found {
            keys.put_tenant(began, Arc::new(found.clone()));
        }
        Ok(found)
    }

    async fn get(&self, tenant: &ManagedTenant, key: &KeyId) -> Result<Key> {
        let (tenant, key) = (tenant.clone(), key.clone());
        self.control
            .identity
            .read(move |connection| {
                managed(connection, &tenant)?;
                live_key(connection, tenant.tenant(), &key)
            })
            .await
    }

    async fn insert(&self, tenant: &ManagedTenant, key: &Key, hash: &KeyHash, audit: AuditEntry) -> Result<()> {
        let (control, tenant, key, hash) = (self.control.clone(), tenant.clone(), key.clone(), *hash);
        run_with_permit(&self.control.database.write_permits, move || {
            control.database.write(|connection| {
                let account = managed(connection, &tenant)?;
                insert(connection, tenant.tenant(), &HashedKey { key, hash })?;
                check_count(connection, tenant.tenant(), control.keys_max, audit.at_ms / 1000)?;
                audit::append_for(connection, account, audit)
            })
        })
        .await
    }

    async fn rotate(&self, tenant: &ManagedTenant, old: &KeyId, plan: PlanRotation) -> Result<Key> {
        let (control, tenant, old) = (self.control.clone(), tenant.clone(), old.clone());
        run_with_permit(&self.control.database.write_permits, move || {
            control.change_identity(tenant.tenant(), |connection| {
                rotate(connection, &tenant, &old, plan, control.keys_max)
            })
        })
        .await
    }

    async fn list(&self, tenant: &ManagedTenant, prefix: Option<&str>) -> Result<Vec<Key>> {
        let tenant = tenant.clone();
        let mut keys = self
            .control
            .queries
            .read(move |connection| list(connection, &tenant))
            .await?;
        // Here and not in SQL, where a prefix could be read as a pattern.
        if let Some(prefix) = prefix {
            keys.retain(|key| key.prefix.starts_with(prefix));
        }
        Ok(keys)
    }

    async fn change(&self, tenant: &ManagedTenant, key: &KeyId, change: KeyChange, audit: AuditEntry) -> Result<Key> {
        let (control, tenant, key) = (self.control.clone(), tenant.clone(), key.clone());
        run_with_permit(&self.control.database.write_permits, move || {
            control.restrict_identity(tenant.tenant(), |connection| {
                let account = managed(connection, &tenant)?;
                let changed = change_key(connection, tenant.tenant(), &key, &change)?;
                audit::append_for(connection, account, audit.clone())?;
                Ok(changed)
            })
        })
        .await
    }

    async fn revoke(&self, tenant: &ManagedTenant, key: &KeyId, audit: AuditEntry) -> Result<()> {
        let (control, tenant, key) = (self.control.clone(), tenant.clone(), key.clone());
        run_with_permit(&self.control.database.write_permits, move || {
            control.restrict_identity(tenant.tenant(), |connection| {
                let account = managed(connection, &tenant)?;
                revoke(connection, tenant.tenant(), &key)?;
                audit::append_for(connection, account, audit.clone())
            })
        })
        .await
    }

    async fn operator_hash(&self) -> Result<Option<KeyHash>> {
        let keys = &self.control.keys;
        if let Some(hash) = keys.operator() {
            return Ok(Some(hash));
        }
        let began = keys.epoch();
        let hash = self.control.identity.read(operator_hash).await?;
        if let Some(hash) = hash {
            keys.put_operator(began, hash);
        }
        Ok(hash)
    }

    async fn set_operator_hash(&self, hash: &KeyHash) -> Result<()> {
        let (control, hash) = (self.control.clone(), *hash);
        run_with_permit(&self.control.database.write_permits, move || {
            let set = |connection: &Connection| {
                connection.execute(
                    "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
                    (OPERATOR, hash),
                )?;
                Ok(())
            };
            control.database.write_reserved_then(set, |_, ()| {
                control.keys.forget_operator();
                Ok(())
            })
        })
        .await
    }
}

impl ControlKeyStore {
    /// A key that is not in memory.
    async fn look_up(&self, hash: KeyHash, now: u64) -> Result<Option<CachedKey>> {
        let began = self.control.keys.epoch();
        let found = self
            .control
            .identity
            .read(move |connection| find(connection, &hash, now))
            .await?;
        if let Some(found) = &found {
            self.control.keys.put_key(began, hash, found.clone());
        }
        Ok(found)
    }
}

fn operator_hash(connection: &Connection) -> StoreResult<Option<KeyHash>> {
    Ok(connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [OPERATOR], |row| row.get(0))
        .optional()?)
}

fn find(connection: &Connection, hash: &KeyHash, now: u64) -> StoreResult<Option<CachedKey>> {
    let found = connection
        .prepare_cached(
            "SELECT keys.id, keys.name, prefix, role, scopes, budget, keys.created, expires, last_used,
                 number, hash, tenants.id, account, policy, coalesce(root, keys.id)
             FROM keys JOIN tenants ON tenants.id = keys.tenant
             WHERE hash = ?1 AND revoked = 0 AND (expires IS NULL OR expires > ?2)",
        )?
        .query_row((hash, now.cast_signed()), |row| {
            Ok((
                read_key(row)?,
                row.get(9)?,
                row.get(10)?,
                row.get::<_, String>(11)?,
                row.get(12)?,
                row.get::<_, String>(13)?,
                row.get::<_, String>(14)?,
            ))
        })
        .optional()?;
    let Some((row, number, hash, tenant, account, policy, root)) = found else {
        return Ok(None);
    };
    let key = row.finish()?;
    Ok(Some(CachedKey {
        number,
        last_used: key.last_used,
        key: Arc::new(KeyRecord {
            tenant: tenant.parse()?,
            account: control::account(account),
            key: key.id,
            hash,
            grants: key.grants,
            expires: key.expires,
            budget: key.budget,
            budget_key: root.parse()?,
            policy: serde_json::from_str(&policy)?,
        }),
    }))
}

/// The account of the tenant whose keys are managed. A pass that was made for a former tenant of this id manages nothing.
fn managed(connection: &Connection, tenant: &ManagedTenant) -> StoreResult<Account> {
    let account = account_of(connection, tenant.tenant())?
        .filter(|account| tenant.account().is_none_or(|expected| expected == *account));
    Ok(account.ok_or_else(|| no_tenant(tenant.tenant()))?)
}

fn rotate(
    connection: &Connection,
    tenant: &ManagedTenant,
    old: &KeyId,
    plan: PlanRotation,
    most: u32,
) -> StoreResult<Key> {
    let account = managed(connection, tenant)?;
    let KeyRotation {
        new,
        old_expires,
        audit,
    } = plan(live_key(connection, tenant.tenant(), old)?)?;
    insert(connection, tenant.tenant(), &new)?;
    connection.execute(
        "UPDATE keys SET root = (SELECT coalesce(root, id) FROM keys WHERE id = ?1) WHERE id = ?2",
        (old.as_str(), new.key.id.as_str()),
    )?;
    match old_expires {
        None => revoke(connection, tenant.tenant(), old)?,
        expires @ Some(_) => {
            let change = KeyChange {
                expires,
                ..KeyChange::default()
            };
            change_key(connection, tenant.tenant(), old, &change)?;
            // A key more than before. Else there are as many, also where the limit was lowered below that.
            check_count(connection, tenant.tenant(), most, new.key.created)?;
        }
    }
    for entry in audit {
        audit::append_for(connection, account, entry)?;
    }
    Ok(new.key)
}

fn live_key(connection: &Connection, tenant: &TenantId, key: &KeyId) -> StoreResult<Key> {
    let found = connection
        .prepare_cached(
            "SELECT id, name, prefix, role, scopes, budget, created, expires, last_used FROM keys
             WHERE tenant = ?1 AND id = ?2 AND revoked = 0",
        )?
        .query_row((tenant.as_str(), key.as_str()), read_key)
        .optional()?;
    found.ok_or_else(|| no_key(tenant, key))?.finish()
}

fn revoke(connection: &Connection, tenant: &TenantId, key: &KeyId) -> StoreResult<()> {
    let revoked = connection.execute(
        "UPDATE keys SET revoked = 1 WHERE tenant = ?1 AND id = ?2 AND revoked = 0",
        (tenant.as_str(), key.as_str()),
    )?;
    match revoked {
        0 => Err(no_key(tenant, key).into()),
        _ => Ok(()),
    }
}

pub(crate) fn insert(
    connection: &Connection,
    tenant: &TenantId,
    HashedKey { key, hash }: &HashedKey,
) -> StoreResult<()> {
    let inserted = connection.execute(
        "INSERT INTO keys (id, tenant, name, prefix, hash, role, scopes, budget, created, expires)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        (
            key.id.as_str(),
            tenant.as_str(),
            &key.name,
            &key.prefix,
            hash,
            key.grants.role.as_str(),
            serde_json::to_string(&key.grants.scopes)?,
            serde_json::to_string(&key.budget)?,
            key.created.cast_signed(),
            key.expires.map(u64::cast_signed),
        ),
    );
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Err(Failure::Known(
            Error::new(ErrorKind::Conflict, "a key with this id or secret exists already"),
        )),
        Err(error) => Err(error.into()),
    }
}

/// Refuses what leaves the tenant more keys than it may have. Keys that have expired go before one is refused.
fn check_count(connection: &Connection, tenant: &TenantId, most: u32, now: u64) -> StoreResult<()> {
    let count = |connection: &Connection| -> StoreResult<u32> {
        Ok(connection
            .prepare_cached("SELECT count(*) FROM keys WHERE tenant = ?1 AND revoked = 0")?
            .query_row([tenant.as_str()], |row| row.get(0))?)
    };
    if count(connection)? <= most {
        return Ok(());
    }
    connection.execute(
        "UPDATE keys SET revoked = 1 WHERE tenant = ?1 AND revoked = 0 AND expires <= ?2",
        (tenant.as_str(), now.cast_signed()),
    )?;
    if count(connection)? <= most {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::StorageFull,
        format!("this tenant has {most} keys, as many as it may have; revoke those that are not needed"),
    )
    .into())
}

fn list(connection: &Connection, tenant: &ManagedTenant) -> StoreResult<Vec<Key>> {
    managed(connection, tenant)?;
    let mut statement = connection.prepare_cached(
        "SELECT id, name, prefix, role, scopes, budget, created, expires, last_used FROM keys
         WHERE tenant = ?1 AND revoked = 0 ORDER BY created, number",
    )?;
    let rows = statement.query_map([tenant.tenant().as_str()], read_key)?;
    rows.map(|row| row?.finish()).collect()
}

fn change_key(connection: &Connection, tenant: &TenantId, key: &KeyId, change: &KeyChange) -> StoreResult<Key> {
    let budget = change.budget.as_ref().map(serde_json::to_string).transpose()?;
    let changed = connection
        .prepare_cached(
            "UPDATE keys SET name = coalesce(?3, name), budget = coalesce(?4, budget), expires = coalesce(?5, expires)
             WHERE tenant = ?1 AND id = ?2 AND revoked = 0
             RETURNING id, name, prefix, role, scopes, budget, created, expires, last_used",
        )?
        .query_row(
            (
                tenant.as_str(),
                key.as_str(),
                &change.name,
                budget,
                change.expires.map(u64::cast_signed),
            ),
            read_key,
        )
        .optional()?;
    changed.ok_or_else(|| no_key(tenant, key))?.finish()
}

fn no_key(tenant: &TenantId, key: &KeyId) -> Error {
    Error::not_found(format!("tenant \"{tenant}\" has no key \"{key}\""))
}

pub(crate) struct KeyRow {
    id: String,
    name: String,
    prefix: String,
    role: String,
    scopes: String,
    budget: String,
    created: i64,
    expires: Option<i64>,
    last_used: Option<i64>,
}

/// The first columns of every query for keys.
pub(crate) fn read_key(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    Ok(KeyRow {
        id: row.get(0)?,
        name: row.get(1)?,
        prefix: row.get(2)?,
        role: row.get(3)?,
        scopes: row.get(4)?,
        budget: row.get(5)?,
        created: row.get(6)?,
        expires: row.get(7)?,
        last_used: row.get(8)?,
    })
}

impl KeyRow {
    pub(crate) fn finish(self) -> StoreResult<Key> {
        Ok(Key {
            id: self.id.parse()?,
            name: self.name,
            prefix: self.prefix,
            grants: Grants {
                role: self.role.parse()?,
                scopes: serde_json::from_str(&self.scopes)?,
            },
            budget: serde_json::from_str(&self.budget)?,
            created: self.created.cast_unsigned(),
            expires: self.expires.map(i64::cast_unsigned),
            last_used: self.last_used.map(i64::cast_unsigned),
        })
    }
}

#[cfg(test)]
mod tests;
