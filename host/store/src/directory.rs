//! The `Directory` port: tenants in the control database. Not here: their keys (`keyring`) and rooms (`rooms`).

use crate::{
    control::{Control, tenant_exists},
    error::{Outcome, off_thread},
    rooms::Registry,
};
use async_trait::async_trait;
use riad_core::{Error, ErrorKind, OperatorPass, Result, TenantId, ports::Directory, tenant::Tenant};
use rusqlite::{Connection, OptionalExtension, Row};
use std::sync::Arc;

pub(crate) struct TenantDirectory {
    control: Arc<Control>,
    registry: Arc<Registry>,
}

impl TenantDirectory {
    pub(crate) fn new(control: Arc<Control>, registry: Arc<Registry>) -> Self {
        Self { control, registry }
    }
}

#[async_trait]
impl Directory for TenantDirectory {
    async fn create(&self, _operator: &OperatorPass, tenant: &Tenant) -> Result<()> {
        let (control, registry, tenant) = (self.control.clone(), self.registry.clone(), tenant.clone());
        off_thread(move || {
            control.database.write(|connection| {
                if tenant_exists(connection, &tenant.id)? {
                    return Err(taken(&tenant.id, "is taken; choose another id").into());
                }
                // A folder that is left over must never become the room of somebody else.
                if is_being_deleted(connection, &tenant.id)? || registry.has_folder(&tenant.id)? {
                    return Err(taken(
                        &tenant.id,
                        "belongs to a room that is still on the disk; delete the tenant again, or choose another id",
                    )
                    .into());
                }
                connection.execute(
                    "INSERT INTO tenants (id, name, created) VALUES (?1, ?2, ?3)",
                    (tenant.id.as_str(), &tenant.name, tenant.created.cast_signed()),
                )?;
                Ok(())
            })
        })
        .await
    }

    async fn get(&self, _operator: &OperatorPass, tenant: &TenantId) -> Result<Tenant> {
        let (control, tenant) = (self.control.clone(), tenant.clone());
        off_thread(move || {
            control.database.read(|connection| {
                let found = connection
                    .query_row(
                        "SELECT id, name, created FROM tenants WHERE id = ?1",
                        [tenant.as_str()],
                        read_tenant,
                    )
                    .optional()?;
                found.ok_or_else(|| no_tenant(&tenant))?.finish()
            })
        })
        .await
    }

    async fn list(&self, _operator: &OperatorPass) -> Result<Vec<Tenant>> {
        let control = self.control.clone();
        off_thread(move || {
            control.database.read(|connection| {
                let mut statement = connection.prepare("SELECT id, name, created FROM tenants ORDER BY id")?;
                let rows = statement.query_map([], read_tenant)?;
                rows.map(|row| row?.finish()).collect()
            })
        })
        .await
    }

    async fn delete(&self, _operator: &OperatorPass, tenant: &TenantId) -> Result<()> {
        let (control, registry, tenant) = (self.control.clone(), self.registry.clone(), tenant.clone());
        off_thread(move || {
            control.database.write(|connection| {
                // The keys go with the row.
                let forgotten = connection.execute("DELETE FROM tenants WHERE id = ?1", [tenant.as_str()])? > 0;
                if !forgotten && !is_being_deleted(connection, &tenant)? {
                    return Err(no_tenant(&tenant).into());
                }
                connection.execute(
                    "INSERT OR IGNORE INTO deletions (tenant) VALUES (?1)",
                    [tenant.as_str()],
                )?;
                Ok(())
            })?;
            // A pass that was made before must not find the room open.
            registry.shut(&tenant);
            Ok(())
        })
        .await
    }
}

pub(crate) fn no_tenant(tenant: &TenantId) -> Error {
    Error::not_found(format!("there is no tenant \"{tenant}\""))
}

struct TenantRow {
    id: String,
    name: String,
    created: u64,
}

impl TenantRow {
    fn finish(self) -> Outcome<Tenant> {
        Ok(Tenant {
            id: self.id.parse()?,
            name: self.name,
            created: self.created,
        })
    }
}

fn read_tenant(row: &Row<'_>) -> rusqlite::Result<TenantRow> {
    Ok(TenantRow {
        id: row.get(0)?,
        name: row.get(1)?,
        created: row.get::<_, i64>(2)?.cast_unsigned(),
    })
}

fn is_being_deleted(connection: &Connection, tenant: &TenantId) -> Outcome<bool> {
    Ok(connection
        .query_row("SELECT 1 FROM deletions WHERE tenant = ?1", [tenant.as_str()], |_| {
            Ok(())
        })
        .optional()?
        .is_some())
}

fn taken(tenant: &TenantId, why: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("the id \"{tenant}\" {why}")).with_param("id")
}
