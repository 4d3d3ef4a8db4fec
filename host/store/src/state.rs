//! The `state` table of `room.db`: single values by name.

use crate::error::StoreResult;
use rusqlite::{Connection, OptionalExtension};

pub(crate) fn get_state(connection: &Connection, key: &str) -> StoreResult<Option<String>> {
    Ok(connection
        .prepare_cached("SELECT value FROM state WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?)
}

pub(crate) fn delete_state(connection: &Connection, key: &str) -> StoreResult<()> {
    connection
        .prepare_cached("DELETE FROM state WHERE key = ?1")?
        .execute([key])?;
    Ok(())
}

pub(crate) fn set_state(connection: &Connection, key: &str, value: &str) -> StoreResult<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO state (key, value) VALUES (?1, ?2)")?
        .execute((key, value))?;
    Ok(())
}
