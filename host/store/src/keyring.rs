//! The `Keyring` port: hashes of keys in the control database. A revoked key is found by nothing.
//! Not here: making and hashing keys (`riad_core::pass`, `services`).

use crate::{
    control::{Control, tenant_exists},
    directory::no_tenant,
    error::{Failure, Outcome, off_thread},
};
use async_trait::async_trait;
use riad_core::{
    Error, ErrorKind, KeyId, OperatorPass, Result, TenantId,
    pass::KeyHash,
    ports::{FoundKey, Keyring},
    tenant::Key,
};
use rusqlite::{ErrorCode, OptionalExtension};
use std::sync::Arc;

const OPERATOR: &str = "operator_hash";

pub(crate) struct ControlKeyring {
    control: Arc<Control>,
}

impl ControlKeyring {
    pub(crate) fn new(control: Arc<Control>) -> Self {
        Self { control }
    }
}

#[async_trait]
impl Keyring for ControlKeyring {
    async fn find(&self, hash: &KeyHash) -> Result<Option<FoundKey>> {
        let (control, hash) = (self.control.clone(), *hash);
        off_thread(move || find(&control, &hash)).await
    }

    async fn insert(&self, _operator: &OperatorPass, tenant: &TenantId, key: &Key, hash: &KeyHash) -> Result<()> {
        let (control, tenant, key, hash) = (self.control.clone(), tenant.clone(), key.clone(), *hash);
        off_thread(move || {
            control.database.write(|connection| {
                if !tenant_exists(connection, &tenant)? {
                    return Err(no_tenant(&tenant).into());
                }
                let inserted = connection.execute(
                    "INSERT INTO keys (id, tenant, name, prefix, hash, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    (
                        key.id.as_str(),
                        tenant.as_str(),
                        &key.name,
                        &key.prefix,
                        hash,
                        key.created.cast_signed(),
                    ),
                );
                match inserted {
                    Ok(_) => Ok(()),
                    Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                        Err(Failure::Known(Error::new(
                            ErrorKind::Conflict,
                            "a key with this id or secret exists already",
                        )))
                    }
                    Err(error) => Err(error.into()),
                }
            })
        })
        .await
    }

    async fn list(&self, _operator: &OperatorPass, tenant: &TenantId) -> Result<Vec<Key>> {
        let (control, tenant) = (self.control.clone(), tenant.clone());
        off_thread(move || list(&control, &tenant)).await
    }

    async fn revoke(&self, _operator: &OperatorPass, tenant: &TenantId, key: &KeyId) -> Result<()> {
        let (control, tenant, key) = (self.control.clone(), tenant.clone(), key.clone());
        off_thread(move || {
            control.database.write(|connection| {
                let revoked = connection.execute(
                    "UPDATE keys SET revoked = 1 WHERE tenant = ?1 AND id = ?2 AND revoked = 0",
                    (tenant.as_str(), key.as_str()),
                )?;
                if revoked == 0 {
                    return Err(Error::not_found(format!("tenant \"{tenant}\" has no key \"{key}\"")).into());
                }
                Ok(())
            })
        })
        .await
    }

    async fn operator_hash(&self) -> Result<Option<KeyHash>> {
        let control = self.control.clone();
        off_thread(move || {
            control.database.read(|connection| {
                Ok(connection
                    .query_row("SELECT value FROM meta WHERE key = ?1", [OPERATOR], |row| row.get(0))
                    .optional()?)
            })
        })
        .await
    }

    async fn set_operator_hash(&self, hash: &KeyHash) -> Result<()> {
        let (control, hash) = (self.control.clone(), *hash);
        off_thread(move || {
            control.database.write(|connection| {
                connection.execute(
                    "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
                    (OPERATOR, hash),
                )?;
                Ok(())
            })
        })
        .await
    }
}

fn find(control: &Control, hash: &KeyHash) -> Outcome<Option<FoundKey>> {
    let found = control.database.read(|connection| {
        Ok(connection
            .prepare_cached("SELECT tenant, id, hash FROM keys WHERE hash = ?1 AND revoked = 0")?
            .query_row([hash], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?))
            })
            .optional()?)
    })?;
    match found {
        Some((tenant, key, hash)) => Ok(Some(FoundKey {
            tenant: tenant.parse()?,
            key: key.parse()?,
            hash,
        })),
        None => Ok(None),
    }
}

fn list(control: &Control, tenant: &TenantId) -> Outcome<Vec<Key>> {
    control.database.read(|connection| {
        if !tenant_exists(connection, tenant)? {
            return Err(no_tenant(tenant).into());
        }
        let mut statement = connection.prepare(
            "SELECT id, name, prefix, created FROM keys WHERE tenant = ?1 AND revoked = 0 ORDER BY created, number",
        )?;
        let rows = statement.query_map([tenant.as_str()], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get::<_, i64>(3)?.cast_unsigned(),
            ))
        })?;
        rows.map(|row| {
            let (id, name, prefix, created) = row?;
            Ok(Key {
                id: id.parse()?,
                name,
                prefix,
                created,
            })
        })
        .collect()
    })
}
