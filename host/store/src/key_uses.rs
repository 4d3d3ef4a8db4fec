//! When keys were last used, to the minute. Uses are queued in memory and written in the background, many in one transaction, so
//! that no request waits for the disk.

use crate::sqlite::Database;
use parking_lot::Mutex;
use std::{collections::HashMap, mem, sync::Arc};

/// Seconds. A later use within them is not recorded.
const RESOLUTION: u64 = 60;

#[derive(Default)]
pub(crate) struct KeyUses {
    pending: Mutex<Pending>,
    /// Held while pending uses are written, so that closing the database waits for it.
    writing: Mutex<()>,
}

#[derive(Default)]
struct Pending {
    /// Numbers of keys, and when they were used.
    uses: HashMap<i64, u64>,
    is_writing: bool,
}

impl KeyUses {
    /// Whether a use at `now` is recorded, after the recorded one at `last`.
    pub(crate) fn should_record(last: Option<u64>, now: u64) -> bool {
        last.is_none_or(|last| last.saturating_add(RESOLUTION) <= now)
    }

    /// Writes the pending uses. Those that cannot be written are lost: the next use of the key is recorded instead.
    pub(crate) fn write(&self, database: &Database) {
        let _writing = self.writing.lock();
        loop {
            let uses = {
                let mut pending = self.pending.lock();
                if pending.uses.is_empty() {
                    pending.is_writing = false;
                    return;
                }
                mem::take(&mut pending.uses)
            };
            let written = database.write(|connection| {
                let mut statement = connection
                    .prepare_cached("UPDATE keys SET last_used = max(coalesce(last_used, 0), ?2) WHERE number = ?1")?;
                for (key, now) in &uses {
                    statement.execute((key, now.cast_signed()))?;
                }
                Ok(())
            });
            if let Err(error) = written {
                tracing::warn!(%error, keys = uses.len(), "the last use of keys could not be written");
            }
        }
    }

    /// True if the caller has to write the pending uses, because nobody else is writing.
    fn add(&self, key: i64, now: u64) -> bool {
        let mut pending = self.pending.lock();
        let noted = pending.uses.entry(key).or_insert(now);
        *noted = now.max(*noted);
        !mem::replace(&mut pending.is_writing, true)
    }
}

/// Queues a use and returns immediately.
pub(crate) fn record(uses: &Arc<KeyUses>, database: &Arc<Database>, key: i64, now: u64) {
    if uses.add(key, now) {
        let (uses, database) = (uses.clone(), database.clone());
        // Not awaited: no response depends on it.
        drop(tokio::task::spawn_blocking(move || uses.write(&database)));
    }
}
