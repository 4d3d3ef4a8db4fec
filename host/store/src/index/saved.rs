//! What `state` says of the files of the vector indexes, and which of them may leave the room's folder. Not here: the files (`index`).

use crate::{
    changes,
    error::StoreResult,
    state::{delete_state, get_state, set_state},
    vectors::FORMAT,
};
use rusqlite::Connection;
use std::collections::BTreeSet;

/// What `state` knows of a saved index.
pub(super) struct Saved {
    /// Of the file, in hex.
    pub blake3: String,
    pub watermark: u64,
}

impl Saved {
    /// A name in `state`. The room's own index was there before there were others.
    fn key(name: &str, vector_store: i64) -> String {
        match vector_store {
            0 => format!("index_{name}"),
            number => format!("index_{name}_{number}"),
        }
    }

    /// `None` also of a file in another format.
    pub fn get(connection: &Connection, vector_store: i64) -> StoreResult<Option<Self>> {
        let get = |name| get_state(connection, &Self::key(name, vector_store));
        if get("format")?.as_deref() != Some(FORMAT) {
            return Ok(None);
        }
        let watermark = get("watermark")?.and_then(|number| number.parse().ok());
        let saved = get("blake3")?.zip(watermark);
        Ok(saved.map(|(blake3, watermark)| Self { blake3, watermark }))
    }

    pub fn set(&self, connection: &Connection, vector_store: i64) -> StoreResult<()> {
        let set = |name, value: &str| set_state(connection, &Self::key(name, vector_store), value);
        set("blake3", &self.blake3)?;
        set("watermark", &self.watermark.to_string())?;
        set("format", FORMAT)
    }
}

/// Forgets what `state` knows of the file of a vector store.
pub(crate) fn forget(connection: &Connection, vector_store: i64) -> StoreResult<()> {
    for name in ["blake3", "watermark", "format"] {
        delete_state(connection, &Saved::key(name, vector_store))?;
    }
    Ok(())
}

/// Forgets the files of all vector stores but these, and the changes that they would follow.
pub(crate) fn forget_others(connection: &Connection, kept: &BTreeSet<i64>) -> StoreResult<()> {
    for number in saved(connection)?.difference(kept) {
        forget(connection, *number)?;
    }
    for number in changes::stores(connection)?.difference(kept) {
        changes::forget(connection, *number)?;
    }
    Ok(())
}

/// The vector stores whose files can be loaded and have no vector of a chunk that is gone.
pub(crate) fn without_deleted(connection: &Connection) -> StoreResult<BTreeSet<i64>> {
    let mut found = BTreeSet::new();
    for number in saved(connection)? {
        if let Some(saved) = Saved::get(connection, number)?
            && !changes::after(connection, number, saved.watermark)?
                .iter()
                .any(|change| change.removed)
        {
            found.insert(number);
        }
    }
    Ok(found)
}

/// The vector stores of which `state` knows a file.
fn saved(connection: &Connection) -> StoreResult<BTreeSet<i64>> {
    let mut statement = connection.prepare("SELECT key FROM state WHERE key LIKE 'index\\_%' ESCAPE '\\'")?;
    let keys = statement.query_map([], |row| row.get::<_, String>(0))?;
    let number = |key: String| key.rsplit('_').next().and_then(|last| last.parse().ok()).unwrap_or(0);
    Ok(keys.map(|key| key.map(number)).collect::<Result<_, _>>()?)
}
