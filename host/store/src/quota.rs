//! What a room stores, counted without reading its folder, and what is being written to it. Not here: how much it may store (`rooms`), and
//! refusing more (`room`).

use crate::error::StoreResult;
use parking_lot::Mutex;
use riad_core::{Result, ports::Storage};
use rusqlite::Connection;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What a generation's configuration may have, beside its weights.
const CONFIG_BYTES: i64 = 64 << 10;

/// `resources::STORED_BYTES`, as of the last change.
#[derive(Default)]
pub(crate) struct StoredBytes {
    /// `room.db`, and the files of index, adapters, plugins, files, parts of uploads and what documents are to be made of.
    room: AtomicU64,
    /// `plugin.db`.
    sql: AtomicU64,
    /// Of files that are being written.
    reserved: Mutex<u64>,
}

/// Bytes of a file that is being written, which its room counts until they are counted as stored. Given back when dropped.
pub(crate) struct Reservation {
    stored: Arc<StoredBytes>,
    bytes: u64,
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

    /// With what is being written.
    pub(crate) fn all(&self) -> u64 {
        self.with_reserved(*self.reserved.lock())
    }

    fn with_reserved(&self, reserved: u64) -> u64 {
        self.room()
            .saturating_add(self.sql.load(Ordering::Relaxed))
            .saturating_add(reserved)
    }
}

impl Reservation {
    pub(crate) fn begin(stored: &Arc<StoredBytes>) -> Self {
        Self {
            stored: Arc::clone(stored),
            bytes: 0,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reserves so many more, of those that the room may store.
    ///
    /// # Errors
    /// `StorageFull` if they do not fit beside what is stored and what others have reserved.
    pub(crate) fn grow(&mut self, more: u64, most: u64) -> Result<()> {
        let bytes = self.bytes.saturating_add(more);
        let mut reserved = self.stored.reserved.lock();
        let others = reserved.saturating_sub(self.bytes);
        let stored = self.stored.with_reserved(others);
        Storage { stored, most }.check(bytes)?;
        *reserved = others.saturating_add(bytes);
        self.bytes = bytes;
        Ok(())
    }

    pub(crate) fn release(&mut self) {
        let mut reserved = self.stored.reserved.lock();
        *reserved = reserved.saturating_sub(std::mem::take(&mut self.bytes));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release();
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
                + (SELECT coalesce(sum(bytes), 0) FROM (SELECT max(bytes) AS bytes FROM document_jobs
                    WHERE digest IS NOT NULL AND NOT EXISTS (SELECT 1 FROM files WHERE files.digest = document_jobs.digest)
                        AND NOT EXISTS (SELECT 1 FROM upload_parts WHERE upload_parts.digest = document_jobs.digest)
                    GROUP BY digest))
                + (SELECT coalesce(sum(bytes + ?1), 0)
                    FROM (SELECT max(bytes) AS bytes FROM adapter_generations GROUP BY generation))",
        )?
        .query_row([CONFIG_BYTES], |row| row.get(0))?;
    let database = pages.saturating_mul(pragma("page_size")?);
    Ok(database.saturating_add(files).cast_unsigned().saturating_add(indexes))
}
