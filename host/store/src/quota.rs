//! What a room stores, counted without reading its folder. Not here: how much it may store (`rooms`), and refusing more (`room`).

use crate::error::StoreResult;
use rusqlite::Connection;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a generation's configuration may have, beside its weights.
const CONFIG_BYTES: i64 = 64 << 10;

/// `resources::STORED_BYTES`, as of the last change.
#[derive(Default)]
pub(crate) struct StoredBytes {
    /// `room.db`, and the files of index, adapters, plugins, files and parts of uploads.
    room: AtomicU64,
    /// `plugin.db`.
    sql: AtomicU64,
}

impl StoredBytes {
    pub(crate) fn room(&self) -> u64 {
        self.room.load(Ordering::Relaxed)
    }

    pub(crate) fn set_sql(&self, bytes: u64) {
        self.sql.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_room(&self, bytes: u64) {
        self.room.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn all(&self) -> u64 {
        self.room().saturating_add(self.sql.load(Ordering::Relaxed))
    }
}

/// Bytes of `room.db`, in the transaction that asks, and of the files that it names; `indexes` has the bytes of the vector indexes.
pub(crate) fn count(connection: &Connection, indexes: u64) -> StoreResult<u64> {
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
    // A file that several versions or aliases have is there once.
    let files: i64 = connection
        .prepare_cached(
            "SELECT (SELECT coalesce(sum(bytes), 0) FROM (SELECT max(bytes) AS bytes FROM plugins GROUP BY version))
                + (SELECT coalesce(sum(bytes), 0) FROM (SELECT max(bytes) AS bytes FROM files GROUP BY digest))
                + (SELECT coalesce(sum(bytes), 0) FROM (SELECT max(bytes) AS bytes FROM upload_parts
                    WHERE NOT EXISTS (SELECT 1 FROM files WHERE files.digest = upload_parts.digest) GROUP BY digest))
                + (SELECT coalesce(sum(bytes + ?1), 0)
                    FROM (SELECT max(bytes) AS bytes FROM adapter_generations GROUP BY generation))",
        )?
        .query_row([CONFIG_BYTES], |row| row.get(0))?;
    let database = pages.saturating_mul(pragma("page_size")?);
    Ok(database.saturating_add(files).cast_unsigned().saturating_add(indexes))
}
