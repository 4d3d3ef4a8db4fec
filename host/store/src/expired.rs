//! What has expired of a room's files and uploads: some of it is deleted with each new one, and as much when the room is opened.

use crate::{
    changes::Change,
    error::StoreResult,
    room::RoomState,
    vector_store_files::{self, CHUNKS_AT_ONCE},
};
use riad_core::Timestamp;
use rusqlite::Connection;
use std::sync::atomic::Ordering;

/// Files and uploads, each.
const DELETED_AT_ONCE: u32 = 32;
const PARTS_DELETED_AT_ONCE: u32 = 1_000;
/// Seconds for which a room knows an upload after its time, so that a client that comes late is told what has become of it.
const REMEMBERED: i64 = 3_600;

/// Parts of uploads whose time is over at the first parameter. Those that have ended before have none.
const EXPIRED_PARTS: &str =
    "SELECT upload_parts.number FROM uploads JOIN upload_parts ON upload_parts.upload = uploads.number
    WHERE uploads.status = 'pending' AND uploads.expires <= ?1";

/// Whether something has expired since the last look; does not block.
pub(crate) fn is_due(room: &RoomState) -> bool {
    room.next_expiry.load(Ordering::Relaxed) <= now()
}

/// Notes that something expires then, for [`is_due`].
pub(crate) fn note(room: &RoomState, expires: i64) {
    room.next_expiry.fetch_min(expires, Ordering::Relaxed);
}

/// Deletes some of what has expired, and notes when the next one does.
pub(crate) fn delete_expired(room: &RoomState) -> StoreResult<()> {
    let lock = room.lock_folder()?;
    let mut next = next_expiry(room)?;
    let now = now();
    if next <= now {
        room.write_reserved_then(
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
        next = next_expiry(room)?;
    }
    // A file that came meanwhile is noted after it is there.
    room.next_expiry.store(next, Ordering::Relaxed);
    Ok(())
}

/// Goes on deleting a file that nobody finds any more until it is gone.
pub(crate) fn delete_file(room: &RoomState, file: i64) -> StoreResult<()> {
    loop {
        let is_gone = room.write_reserved_then(
            |connection| vector_store_files::delete_some(connection, file, &mut CHUNKS_AT_ONCE.clone()),
            |connection, deleted| {
                room.indexes.follow_all(connection, deleted.changes);
                Ok(deleted.is_gone)
            },
        )?;
        if is_gone {
            return Ok(());
        }
    }
}

fn next_expiry(room: &RoomState) -> StoreResult<i64> {
    let next: Option<i64> = room.database.read(|connection| {
        Ok(connection
            .prepare_cached(
                "SELECT min(at) FROM (SELECT min(expires) AS at FROM files WHERE expires IS NOT NULL
                    UNION ALL SELECT min(expires) FROM uploads WHERE status = 'pending'
                        AND EXISTS (SELECT 1 FROM upload_parts WHERE upload = uploads.number)
                    UNION ALL SELECT min(expires) + ?1 FROM uploads)",
            )?
            .query_row([REMEMBERED], |row| row.get(0))?)
    })?;
    Ok(next.unwrap_or(i64::MAX))
}

fn now() -> i64 {
    Timestamp::now().as_seconds().cast_signed()
}

fn delete_files(connection: &Connection, now: i64) -> StoreResult<Vec<Change>> {
    let mut statement =
        connection.prepare_cached("SELECT number FROM files WHERE expires <= ?1 ORDER BY expires LIMIT ?2")?;
    let numbers = statement.query_map((now, DELETED_AT_ONCE), |row| row.get(0))?;
    let numbers = numbers.collect::<rusqlite::Result<Vec<i64>>>()?;
    let (mut changes, mut chunks) = (Vec::new(), CHUNKS_AT_ONCE);
    for number in numbers {
        changes.extend(vector_store_files::delete_some(connection, number, &mut chunks)?.changes);
        if chunks == 0 {
            break;
        }
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
