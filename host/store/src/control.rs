//! The control database: tenants, their keys as hashes, deletions that are not finished, and the operator's hash.
//! Not here: the ports over it (`directory`, `keyring`), rooms.

use crate::{
    error::Outcome,
    sqlite::{Database, Schema},
};
use riad_core::TenantId;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

const SCHEMA: Schema = Schema {
    what: "the control database",
    steps: &["
        CREATE TABLE tenants (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            created INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE keys (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
            name TEXT NOT NULL,
            prefix TEXT NOT NULL,
            hash BLOB NOT NULL UNIQUE,
            created INTEGER NOT NULL,
            revoked INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE INDEX keys_of_tenant ON keys (tenant);
        -- Tenants that are forgotten while their room may still be on the disk.
        CREATE TABLE deletions (tenant TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
        CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    "],
};

pub(crate) struct Control {
    pub(crate) database: Database,
}

impl Control {
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        Ok(Self {
            database: Database::open(path, &SCHEMA)?,
        })
    }

    pub(crate) fn close(&self) {
        self.database.close();
    }

    pub(crate) fn has_tenant(&self, tenant: &TenantId) -> Outcome<bool> {
        self.database.read(|connection| tenant_exists(connection, tenant))
    }

    /// Rooms that must go, from deletions that were interrupted.
    pub(crate) fn deletions(&self) -> Outcome<Vec<TenantId>> {
        let names = self.database.read(|connection| {
            let mut statement = connection.prepare("SELECT tenant FROM deletions")?;
            let names = statement.query_map([], |row| row.get::<_, String>(0))?;
            Ok(names.collect::<Result<Vec<_>, _>>()?)
        })?;
        names.iter().map(|name| Ok(name.parse()?)).collect()
    }

    /// The room is gone: its name may be used again.
    pub(crate) fn finish_deletion(&self, tenant: &TenantId) -> Outcome<()> {
        self.database.write(|connection| {
            connection.execute("DELETE FROM deletions WHERE tenant = ?1", [tenant.as_str()])?;
            Ok(())
        })
    }
}

pub(crate) fn tenant_exists(connection: &Connection, tenant: &TenantId) -> Outcome<bool> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM tenants WHERE id = ?1")?
        .query_row([tenant.as_str()], |_| Ok(()))
        .optional()?
        .is_some())
}
