//! What has expired of a room's files and uploads: some of it is deleted with each new one, and as much when the room is opened.

use crate::{changes::Change, error::StoreResult, room::RoomState, vector_store_files};
use riad_core::Timestamp;
use rusqlite::Connection;

/// Files and uploads, each.
const DELETED_AT_ONCE: u32 = 32;
const PARTS_DELETED_AT_ONCE: u32 = 1_000;
/// Seconds for which a room knows an upload after its time, so that a client that comes late is told what has become of it.
const REMEMBERED: i64 = 3_600;

/// Parts of uploads whose time is over at the first parameter. Those that have ended before have none.
const EXPIRED_PARTS: &str =
    "SELECT upload_parts.number FROM uploads JOIN upload_parts ON upload_parts.upload = uploads.number
    WHERE uploads.status = 'pending' AND uploads.expires <= ?1";

pub(crate) fn delete_expired(room: &RoomState) -> StoreResult<()> {
    let now = Timestamp::now().as_seconds().cast_signed();
    let any: bool = room.database.read(|connection| {
        let any = connection
            .prepare_cached(&format!(
                "SELECT EXISTS (SELECT 1 FROM files WHERE expires <= ?1) OR EXISTS ({EXPIRED_PARTS})
                    OR EXISTS (SELECT 1 FROM uploads WHERE expires <= ?1 - ?2)"
            ))?
            .query_row((now, REMEMBERED), |row| row.get(0))?;
        Ok(any)
    })?;
    if any {
        let lock = room.lock_folder()?;
        room.write_then(
            |connection| {
                let changes = delete_files(connection, now)?;
                delete_uploads(connection, now)?;
                Ok(changes)
            },
            |connection, changes| {
                room.indexes.follow_all(connection, changes);
                Ok(())
            },
        )?;
        room.sweep_later(&lock);
    }
    Ok(())
}

fn delete_files(connection: &Connection, now: i64) -> StoreResult<Vec<Change>> {
    let mut statement =
        connection.prepare_cached("SELECT number FROM files WHERE expires <= ?1 ORDER BY expires LIMIT ?2")?;
    let numbers = statement.query_map((now, DELETED_AT_ONCE), |row| row.get(0))?;
    let numbers = numbers.collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut changes = Vec::new();
    for number in numbers {
        changes.extend(vector_store_files::delete_file(connection, number)?);
    }
    Ok(changes)
}

fn delete_uploads(connection: &Connection, now: i64) -> StoreResult<()> {
    connection
        .prepare_cached(&format!(
            "DELETE FROM upload_parts WHERE number IN ({EXPIRED_PARTS} LIMIT ?2)"
        ))?
        .execute((now, PARTS_DELETED_AT_ONCE))?;
    connection
        .prepare_cached(
            "DELETE FROM uploads WHERE number IN (SELECT number FROM uploads WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
        )?
        .execute((now.saturating_sub(REMEMBERED), DELETED_AT_ONCE))?;
    Ok(())
}
