//! In how many chunks a phrase stands. Rare ones are counted for each query; of common ones, which take long to count and say little, the
//! numbers are kept for a while. Not here: what follows from them (`find`).

use crate::error::StoreResult;
use parking_lot::Mutex;
use rusqlite::Connection;
use std::collections::HashMap;

/// A phrase in so many chunks is common. Counting takes about half as long as scoring.
pub(super) const COMMON: u64 = 512;
/// Common phrases that are kept: some hundred kilobytes, more than a room of any size has.
const KEPT_MAX: usize = 4_096;
/// A number is kept until the room has more or fewer chunks by this share: it changes the phrase's weight by a tenth.
const DRIFT: u64 = 8;

/// Of one room, in memory.
#[derive(Default)]
pub(crate) struct PhraseCounts(Mutex<HashMap<String, Count>>);

#[derive(Clone, Copy)]
struct Count {
    found: u64,
    /// Chunks of the room when it was counted.
    rows: u64,
}

impl PhraseCounts {
    /// Chunks with the phrase, which is an expression of FTS5, in a room of `rows` chunks.
    pub(super) fn get(&self, connection: &Connection, phrase: &str, rows: u64) -> StoreResult<u64> {
        if let Some(count) = self.0.lock().get(phrase)
            && count.rows.abs_diff(rows) <= rows / DRIFT
        {
            return Ok(count.found.min(rows));
        }
        let found = count_up_to(connection, phrase, COMMON)?;
        if found < COMMON {
            return Ok(found);
        }
        let found = count_up_to(connection, phrase, rows)?;
        let mut kept = self.0.lock();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(phrase.to_owned(), Count { found, rows });
        Ok(found)
    }
}

/// All chunks of the room that have words.
pub(super) fn count_rows(connection: &Connection) -> StoreResult<u64> {
    // Of this table, unlike of `words`, SQLite counts the pages' cells without a look into them.
    let rows: u32 = connection
        .prepare_cached("SELECT count(*) FROM words_docsize")?
        .query_row([], |row| row.get(0))?;
    Ok(rows.into())
}

fn count_up_to(connection: &Connection, phrase: &str, most: u64) -> StoreResult<u64> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let found: u32 = connection
        .prepare_cached("SELECT count(*) FROM (SELECT rowid FROM words WHERE words MATCH ?1 LIMIT ?2)")?
        .query_row((phrase, most), |row| row.get(0))?;
    Ok(found.into())
}
