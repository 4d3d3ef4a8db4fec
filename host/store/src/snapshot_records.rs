//! What `control.db` knows of snapshots: up to which state a room is saved, and whose snapshots must go. Not here: the snapshots (`objects`).

use crate::error::StoreResult;
use riad_core::{Account, RoomId, Timestamp, snapshot::SnapshotOwner};
use rusqlite::Connection;

/// The last step of `control.db`'s schema that is about them.
pub(crate) const SCHEMA: &str = "
        -- What the files of a room were when it was saved last.
        CREATE TABLE snapshots (
            account INTEGER PRIMARY KEY REFERENCES accounts (account),
            version TEXT NOT NULL,
            saved_ms INTEGER NOT NULL
        ) STRICT;
        -- Rooms of deleted tenants, whose snapshots may still be there. They wait also while the server has no object store.
        CREATE TABLE snapshot_deletions (room TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    ";

pub(crate) struct RoomRecord {
    pub(crate) owner: SnapshotOwner,
    pub(crate) account: Account,
    /// `None` if it was never saved.
    pub(crate) saved: Option<String>,
}

/// Of living tenants whose room has an id, as every room has that was opened.
pub(crate) fn rooms(connection: &Connection) -> StoreResult<Vec<RoomRecord>> {
    let mut statement = connection.prepare(
        "SELECT id, account, room, version FROM tenants JOIN accounts USING (account) LEFT JOIN snapshots USING (account)
            WHERE room IS NOT NULL ORDER BY id",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, String>(2)?,
            row.get(3)?,
        ))
    })?;
    rows.map(|row| {
        let (tenant, account, room, saved) = row?;
        Ok(RoomRecord {
            owner: SnapshotOwner {
                room: room.parse()?,
                tenant: tenant.parse()?,
            },
            account: Account::new(account.cast_unsigned()),
            saved,
        })
    })
    .collect()
}

/// Nothing if the tenant has been deleted meanwhile.
pub(crate) fn record_saved(connection: &Connection, account: Account, version: &str) -> StoreResult<()> {
    connection.execute(
        "INSERT OR REPLACE INTO snapshots (account, version, saved_ms)
            SELECT account, ?2, ?3 FROM tenants WHERE account = ?1",
        (
            account.number().cast_signed(),
            version,
            Timestamp::now().as_millis().cast_signed(),
        ),
    )?;
    Ok(())
}

/// In the transaction that deletes the tenant.
pub(crate) fn begin_deletion(connection: &Connection, account: Account) -> StoreResult<()> {
    let account = account.number().cast_signed();
    connection.execute("DELETE FROM snapshots WHERE account = ?1", [account])?;
    connection.execute(
        "INSERT OR IGNORE INTO snapshot_deletions (room) SELECT room FROM accounts WHERE account = ?1 AND room IS NOT NULL",
        [account],
    )?;
    Ok(())
}

pub(crate) fn deleted(connection: &Connection) -> StoreResult<Vec<RoomId>> {
    let mut statement = connection.prepare("SELECT room FROM snapshot_deletions")?;
    let rooms = statement.query_map([], |row| row.get::<_, String>(0))?;
    rows_to_ids(rooms)
}

pub(crate) fn finish_deletion(connection: &Connection, room: &RoomId) -> StoreResult<()> {
    connection.execute("DELETE FROM snapshot_deletions WHERE room = ?1", [room.as_str()])?;
    Ok(())
}

fn rows_to_ids(rows: impl Iterator<Item = rusqlite::Result<String>>) -> StoreResult<Vec<RoomId>> {
    rows.map(|room| Ok(room?.parse()?)).collect()
}
