//! When keys were last used, to the minute. Noted in memory and written behind the answers, many in one transaction, so that no
//! request waits for the disk because of it. Not here: who asks for a key (`key_store`).

use crate::sqlite::Database;
use parking_lot::Mutex;
use std::{collections::HashMap, mem, sync::Arc};

/// Seconds. A use that is noted again within them would tell nothing new.
const GRAIN: u64 = 60;

#[derive(Default)]
pub(crate) struct KeyUses {
    pending: Mutex<Pending>,
    /// Held from taking up what is pending until it is written, so that whoever closes the database waits for it.
    writing: Mutex<()>,
}

#[derive(Default)]
struct Pending {
    /// Numbers of keys, and when they were used.
    uses: HashMap<i64, u64>,
    is_writing: bool,
}

impl KeyUses {
    /// Whether the database should know more than `last`.
    pub(crate) fn should_record(last: Option<u64>, now: u64) -> bool {
        last.is_none_or(|last| last.saturating_add(GRAIN) <= now)
    }

    /// Writes what has been noted. What fails is lost: the next use notes it again.
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
                tracing::warn!(%error, keys = uses.len(), "the last use of keys was not written down");
            }
        }
    }

    /// True if nobody is writing: the caller has to.
    fn add(&self, key: i64, now: u64) -> bool {
        let mut pending = self.pending.lock();
        let noted = pending.uses.entry(key).or_insert(now);
        *noted = now.max(*noted);
        !mem::replace(&mut pending.is_writing, true)
    }
}

/// Notes a use and returns at once.
pub(crate) fn note(uses: &Arc<KeyUses>, database: &Arc<Database>, key: i64, now: u64) {
    if uses.add(key, now) {
        let (uses, database) = (uses.clone(), database.clone());
        // Not awaited: nobody's answer depends on it.
        drop(tokio::task::spawn_blocking(move || uses.write(&database)));
    }
}
