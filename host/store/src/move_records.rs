//! What `control.db` knows of tenants that go to another cell or come from one. Not here: the tenants themselves (`moves`).

use crate::error::StoreResult;
use riad_core::{CellName, TenantId};
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashSet;

/// A step of `control.db`'s schema.
pub(crate) const SCHEMA: &str = "
        -- `closed` is there when a tenant has left: how its ledger ended.
        CREATE TABLE moves (
            tenant TEXT PRIMARY KEY,
            direction TEXT NOT NULL CHECK (direction IN ('out', 'in')),
            cell TEXT NOT NULL,
            closed TEXT
        ) STRICT, WITHOUT ROWID;
        -- What a tenant spent in its former cells, for its budgets; it is billed there. An absent key is an empty text, and `key` the one that
        -- all later ones came from by rotations.
        CREATE TABLE spent_elsewhere (
            account INTEGER NOT NULL REFERENCES accounts (account),
            key TEXT NOT NULL,
            day INTEGER NOT NULL,
            tokens INTEGER NOT NULL,
            cost_nanos INTEGER NOT NULL,
            PRIMARY KEY (account, key, day)
        ) STRICT, WITHOUT ROWID;
    ";

pub(crate) const OUT: &str = "out";
pub(crate) const IN: &str = "in";

/// Whether a tenant's room takes no changes, because it goes to another cell.
pub(crate) fn is_leaving(connection: &Connection, tenant: &TenantId) -> StoreResult<bool> {
    Ok(find(connection, tenant)?.is_some_and(|(direction, _)| direction == OUT))
}

pub(crate) fn leaving(connection: &Connection) -> StoreResult<HashSet<TenantId>> {
    let mut statement = connection.prepare("SELECT tenant FROM moves WHERE direction = 'out' AND closed IS NULL")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|tenant| Ok(tenant?.parse()?)).collect()
}

/// Whether a tenant is expected from another cell.
pub(crate) fn is_coming(connection: &Connection, tenant: &TenantId) -> StoreResult<bool> {
    Ok(find(connection, tenant)?.is_some_and(|(direction, _)| direction == IN))
}

/// Direction and cell of a move that has not ended.
pub(crate) fn find(connection: &Connection, tenant: &TenantId) -> StoreResult<Option<(String, String)>> {
    Ok(connection
        .prepare_cached("SELECT direction, cell FROM moves WHERE tenant = ?1 AND closed IS NULL")?
        .query_row([tenant.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

pub(crate) fn put(connection: &Connection, tenant: &TenantId, direction: &str, cell: &CellName) -> StoreResult<()> {
    connection.execute(
        "INSERT OR REPLACE INTO moves (tenant, direction, cell) VALUES (?1, ?2, ?3)",
        (tenant.as_str(), direction, cell.as_str()),
    )?;
    Ok(())
}

pub(crate) fn delete(connection: &Connection, tenant: &TenantId) -> StoreResult<()> {
    connection.execute(
        "DELETE FROM moves WHERE tenant = ?1 AND closed IS NULL",
        [tenant.as_str()],
    )?;
    Ok(())
}
