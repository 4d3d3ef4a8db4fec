//! What `control.db` knows of snapshots: up to which state a room is saved, and whose snapshots must go. Not here: the snapshots (`objects`).

use crate::error::StoreResult;
use riad_core::{Account, RoomId, TenantId, Timestamp, snapshot::SnapshotOwner};
use rusqlite::{Connection, OptionalExtension};

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

const RECORD: &str =
    "SELECT id, account, room, version FROM tenants JOIN accounts USING (account) LEFT JOIN snapshots USING (account)
    WHERE room IS NOT NULL";

/// Of living tenants whose room has an id, as every room has that was opened.
pub(crate) fn rooms(connection: &Connection) -> StoreResult<Vec<RoomRecord>> {
    let mut statement = connection.prepare(&format!("{RECORD} ORDER BY id"))?;
    let rows = statement.query_map([], read_record)?;
    rows.map(|row| row?.finish()).collect()
}

pub(crate) fn room(connection: &Connection, tenant: &TenantId) -> StoreResult<Option<RoomRecord>> {
    let mut statement = connection.prepare(&format!("{RECORD} AND id = ?1"))?;
    let found = statement.query_row([tenant.as_str()], read_record).optional()?;
    found.map(Row::finish).transpose()
}

struct Row {
    tenant: String,
    account: i64,
    room: String,
    saved: Option<String>,
}

fn read_record(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        tenant: row.get(0)?,
        account: row.get(1)?,
        room: row.get(2)?,
        saved: row.get(3)?,
    })
}

impl Row {
    fn finish(self) -> StoreResult<RoomRecord> {
        Ok(RoomRecord {
            owner: SnapshotOwner {
                room: self.room.parse()?,
                tenant: self.tenant.parse()?,
            },
            account: Account::new(self.account.cast_unsigned()),
            saved: self.saved,
        })
    }
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
