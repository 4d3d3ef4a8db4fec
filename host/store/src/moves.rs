//! The `Moves` port: tenants that go to another cell or come from one, in the control database. Not here: their rooms, which go as snapshots
//! (`rooms/copies`), and in which order all of it happens (`services`).

mod spent;

use crate::{
    audit,
    control::{Control, account_of, find_tenant, no_tenant},
    error::{StoreResult, run_with_permit},
    key_store,
    move_records::{IN, OUT, delete, find, is_coming, put},
    rooms::Registry,
    tenant_store,
};
use async_trait::async_trait;
use riad_core::{
    Account, CellName, Error, ErrorKind, KeyId, OperatorPass, Result, TenantId, Timestamp,
    audit::AuditEntry,
    grants::Grants,
    moving::{ClosedAccount, DaySpent, Direction, Move, MovedKey, MovedTenant},
    ports::{HashedKey, Moves},
    tenant::{Key, Tenant},
};
use rusqlite::{Connection, OptionalExtension};
use std::sync::Arc;

pub(crate) struct ControlMoves {
    control: Arc<Control>,
    registry: Arc<Registry>,
}

impl ControlMoves {
    pub(crate) fn new(control: Arc<Control>, registry: Arc<Registry>) -> Self {
        Self { control, registry }
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> Result<T> {
        let control = self.control.clone();
        run_with_permit(&self.control.database.read_permits, move || control.database.read(work)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Control, &Registry) -> StoreResult<T> + Send + 'static,
    ) -> Result<T> {
        let (control, registry) = (self.control.clone(), self.registry.clone());
        run_with_permit(&self.control.database.write_permits, move || work(&control, &registry)).await
    }
}

#[async_trait]
impl Moves for ControlMoves {
    async fn all(&self) -> Result<Vec<Move>> {
        self.read(|connection| {
            let mut statement =
                connection.prepare("SELECT tenant, direction, cell FROM moves WHERE closed IS NULL ORDER BY tenant")?;
            let rows = statement.query_map([], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                ))
            })?;
            rows.map(|row| {
                let (tenant, direction, cell) = row?;
                read_move(tenant.parse()?, &direction, &cell)
            })
            .collect()
        })
        .await
    }

    async fn find(&self, tenant: &TenantId) -> Result<Option<Move>> {
        let tenant = tenant.clone();
        self.read(move |connection| {
            let found = find(connection, &tenant)?;
            found
                .map(|(direction, cell)| read_move(tenant, &direction, &cell))
                .transpose()
        })
        .await
    }

    async fn begin(
        &self,
        _operator: &OperatorPass,
        tenant: &TenantId,
        to: &CellName,
        audit: AuditEntry,
    ) -> Result<Tenant> {
        let (tenant, to) = (tenant.clone(), to.clone());
        self.write(move |control, registry| {
            let found = control.database.write(|connection| {
                let found = find_tenant(connection, &tenant)?.ok_or_else(|| no_tenant(&tenant))?;
                match find(connection, &tenant)? {
                    Some((direction, cell)) if direction == OUT && cell == to.as_str() => return Ok(found),
                    Some((direction, cell)) => return Err(moves_already(&tenant, &direction, &cell).into()),
                    None => {}
                }
                put(connection, &tenant, OUT, &to)?;
                audit::append_for(connection, found.account, audit)?;
                Ok(found)
            })?;
            registry.follow_move(&tenant)?;
            Ok(found)
        })
        .await
    }

    async fn export(&self, _operator: &OperatorPass, tenant: &TenantId) -> Result<MovedTenant> {
        let tenant = tenant.clone();
        self.read(move |connection| {
            let found = find_tenant(connection, &tenant)?.ok_or_else(|| no_tenant(&tenant))?;
            Ok(MovedTenant {
                keys: keys(connection, &tenant)?,
                spent: spent::read(connection, found.account, Timestamp::now())?,
                id: found.id,
                name: found.name,
                created: found.created,
                policy: found.policy,
                room: None,
            })
        })
        .await
    }

    async fn abort(&self, _operator: &OperatorPass, tenant: &TenantId, audit: AuditEntry) -> Result<()> {
        let tenant = tenant.clone();
        self.write(move |control, registry| {
            let direction = control.restrict_identity(&tenant, |connection| {
                let (direction, _) = find(connection, &tenant)?.ok_or_else(|| {
                    Error::not_found(format!("the tenant \"{tenant}\" moves neither from here nor to here"))
                })?;
                match account_of(connection, &tenant)? {
                    Some(account) if direction == IN => forget_received(connection, &tenant, account)?,
                    Some(account) => audit::append_for(connection, account, audit.clone())?,
                    None => {}
                }
                if direction == OUT {
                    delete(connection, &tenant)?;
                }
                Ok(direction)
            })?;
            if direction == OUT {
                return registry.follow_move(&tenant);
            }
            registry.remove_incoming(&tenant)?;
            control.database.write(|connection| delete(connection, &tenant))
        })
        .await
    }

    async fn expect(&self, _operator: &OperatorPass, tenant: &TenantId, from: &CellName) -> Result<()> {
        let (tenant, from) = (tenant.clone(), from.clone());
        self.write(move |control, registry| {
            control.restrict_identity(&tenant, |connection| {
                let known = account_of(connection, &tenant)?;
                match (find(connection, &tenant)?, known) {
                    (Some((direction, cell)), _) if direction == IN && cell == from.as_str() => {
                        if let Some(account) = known {
                            forget_received(connection, &tenant, account)?;
                        }
                    }
                    (Some((direction, cell)), _) => return Err(moves_already(&tenant, &direction, &cell).into()),
                    (None, Some(_)) => return Err(is_here(&tenant).into()),
                    (None, None) => {
                        if tenant_store::is_being_deleted(connection, &tenant)? || registry.has_folder(&tenant)? {
                            return Err(is_here(&tenant).into());
                        }
                    }
                }
                put(connection, &tenant, IN, &from)
            })?;
            registry.remove_incoming(&tenant)
        })
        .await
    }

    async fn receive(&self, _operator: &OperatorPass, moved: &MovedTenant, audit: AuditEntry) -> Result<Tenant> {
        let (id, moved) = (moved.id.clone(), moved.clone());
        self.write(move |control, _| {
            control.change_identity(&id, |connection| {
                if !is_coming(connection, &id)? || account_of(connection, &id)?.is_some() {
                    return Err(is_here(&id).into());
                }
                let tenant = tenant_store::insert(
                    connection,
                    Tenant {
                        id: moved.id,
                        account: Account::new(0),
                        name: moved.name,
                        created: moved.created,
                        policy: moved.policy,
                        succeeds: false,
                    },
                )?;
                for key in moved.keys {
                    insert_key(connection, &tenant.id, key)?;
                }
                spent::write(connection, tenant.account, &moved.spent)?;
                audit::append_for(connection, tenant.account, audit)?;
                Ok(tenant)
            })
        })
        .await
    }

    async fn close(&self, _operator: &OperatorPass, tenant: &TenantId, closed: &ClosedAccount) -> Result<()> {
        let (tenant, closed) = (tenant.clone(), closed.clone());
        self.write(move |control, registry| {
            control.database.write(|connection| {
                connection.execute(
                    "UPDATE moves SET closed = ?2 WHERE tenant = ?1 AND direction = 'out'",
                    (tenant.as_str(), serde_json::to_string(&closed)?),
                )?;
                Ok(())
            })?;
            // The tenant may come back, or another of this name be made.
            registry.follow_move(&tenant)
        })
        .await
    }

    async fn closed(&self, _operator: &OperatorPass, tenant: &TenantId) -> Result<Option<ClosedAccount>> {
        let tenant = tenant.clone();
        self.read(move |connection| {
            let closed: Option<String> = connection
                .query_row(
                    "SELECT closed FROM moves WHERE tenant = ?1 AND closed IS NOT NULL",
                    [tenant.as_str()],
                    |row| row.get(0),
                )
                .optional()?;
            Ok(closed.map(|closed| serde_json::from_str(&closed)).transpose()?)
        })
        .await
    }

    async fn spent(&self, _operator: &OperatorPass, tenant: &Tenant) -> Result<Vec<DaySpent>> {
        let account = tenant.account;
        self.read(move |connection| spent::read(connection, account, Timestamp::now()))
            .await
    }

    async fn finish(
        &self,
        _operator: &OperatorPass,
        tenant: &Tenant,
        spent: &[DaySpent],
        audit: AuditEntry,
    ) -> Result<Option<Vec<DaySpent>>> {
        let (tenant, spent) = (tenant.clone(), spent.to_vec());
        self.write(move |control, _| {
            control.database.write(|connection| {
                if !is_coming(connection, &tenant.id)? {
                    return Ok(None);
                }
                let more = spent::replace(connection, tenant.account, &spent)?;
                delete(connection, &tenant.id)?;
                audit::append_for(connection, tenant.account, audit)?;
                Ok(Some(more))
            })
        })
        .await
    }
}

fn read_move(tenant: TenantId, direction: &str, cell: &str) -> StoreResult<Move> {
    Ok(Move {
        tenant,
        direction: match direction {
            OUT => Direction::Out,
            _ => Direction::In,
        },
        cell: cell.parse()?,
    })
}

/// What an attempt has made of a tenant that nobody was served as yet, or that goes back. Its account stays in the ledger.
fn forget_received(connection: &Connection, tenant: &TenantId, account: Account) -> StoreResult<()> {
    connection.execute("DELETE FROM tenants WHERE id = ?1", [tenant.as_str()])?;
    connection.execute(
        "UPDATE accounts SET deleted = ?2 WHERE account = ?1",
        (
            account.number().cast_signed(),
            Timestamp::now().as_seconds().cast_signed(),
        ),
    )?;
    crate::snapshot_records::begin_deletion(connection, account)
}

fn keys(connection: &Connection, tenant: &TenantId) -> StoreResult<Vec<MovedKey>> {
    let mut statement = connection.prepare(
        "SELECT id, name, prefix, role, scopes, budget, created, expires, last_used, hash, root FROM keys
         WHERE tenant = ?1 AND revoked = 0 ORDER BY created, number",
    )?;
    let rows = statement.query_map([tenant.as_str()], |row| {
        Ok((
            key_store::read_key(row)?,
            row.get::<_, [u8; 32]>(9)?,
            row.get::<_, Option<String>>(10)?,
        ))
    })?;
    rows.map(|row| {
        let (row, hash, root) = row?;
        let key = row.finish()?;
        Ok(MovedKey {
            id: key.id,
            name: key.name,
            prefix: key.prefix,
            hash: hash.into(),
            role: key.grants.role,
            scopes: key.grants.scopes,
            budget: key.budget,
            created: key.created,
            expires: key.expires,
            root: root.map(|root| root.parse()).transpose()?,
        })
    })
    .collect()
}

fn insert_key(connection: &Connection, tenant: &TenantId, moved: MovedKey) -> StoreResult<()> {
    let key = HashedKey {
        hash: *moved.hash.as_bytes(),
        key: Key {
            id: moved.id,
            name: moved.name,
            prefix: moved.prefix,
            grants: Grants {
                role: moved.role,
                scopes: moved.scopes,
            },
            budget: moved.budget,
            created: moved.created,
            expires: moved.expires,
            last_used: None,
        },
    };
    key_store::insert(connection, tenant, &key)?;
    connection.execute(
        "UPDATE keys SET root = ?2 WHERE id = ?1",
        (key.key.id.as_str(), moved.root.as_ref().map(KeyId::as_str)),
    )?;
    Ok(())
}

fn moves_already(tenant: &TenantId, direction: &str, cell: &str) -> Error {
    let way = if direction == OUT { "to" } else { "from" };
    Error::new(
        ErrorKind::Conflict,
        format!(
            "the tenant \"{tenant}\" moves {way} the cell \"{cell}\"; end that first, or give it up with riad cell abort"
        ),
    )
}

fn is_here(tenant: &TenantId) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "this server has the tenant \"{tenant}\", or a room of that name that is still to be removed; delete it first"
        ),
    )
}

#[cfg(test)]
mod tests;
