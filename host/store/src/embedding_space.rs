//! The embedding model that made a room's vectors. From the room's first opening with another one, nobody reads those that are there, and their
//! chunks wait until they are embedded again, in the order of their keys. Not here: doing that (`reembedding`).

use crate::{
    error::{Failure, StoreResult},
    state::{delete_state, get_state, set_state},
};
use riad_core::ports::EmbeddingSpace;
use rusqlite::Connection;

/// In `state` while there are such chunks: the key of the last one, and of the last one that is done.
const LAST: &str = "reembed_last";
const DONE: &str = "reembed_done";

/// Vectors of two models must not meet: those of another model are not read any more ([`CurrentKeys`]). As long as the room is opened, no chunk
/// is touched.
pub(crate) fn follow_space(connection: &Connection, space: &EmbeddingSpace) -> StoreResult<()> {
    let dimensions = space.dimensions.to_string();
    let stored = (get_state(connection, "embedder")?, get_state(connection, "dimensions")?);
    if let (Some(model), Some(stored_dimensions)) = stored {
        if model == space.model && stored_dimensions == dimensions {
            return Ok(());
        }
        let last: Option<i64> = connection.query_row("SELECT max(id) FROM chunks", [], |row| row.get(0))?;
        if let Some(last) = last {
            tracing::info!(from = %model, to = %space.model, "the documents of a room are embedded again by another model");
            set_state(connection, LAST, &last.to_string())?;
            set_state(connection, DONE, "0")?;
        }
        // The files of the indexes are of no use without it.
        connection.execute("DELETE FROM state WHERE key LIKE 'index_%'", [])?;
    }
    set_state(connection, "embedder", &space.model)?;
    set_state(connection, "dimensions", &dimensions)
}

/// The keys of chunks whose vectors are of the room's model: those that are done, and those that came since.
pub(crate) struct CurrentKeys([(i64, i64); 2]);

impl CurrentKeys {
    pub(crate) fn read(connection: &Connection) -> StoreResult<Self> {
        Ok(Self(match range(connection)? {
            Some((done, last)) => [(i64::MIN, done), (last.saturating_add(1), i64::MAX)],
            None => [(i64::MIN, i64::MAX), (1, 0)],
        }))
    }

    /// The parts of a range of keys that are current, in order; both ends are in it.
    pub(crate) fn within(&self, first: i64, last: i64) -> impl Iterator<Item = (i64, i64)> {
        let part = move |(start, end): (i64, i64)| (start.max(first), end.min(last));
        self.0.into_iter().map(part).filter(|(first, last)| first <= last)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (i64, i64)> {
        self.within(i64::MIN, i64::MAX)
    }

    pub(crate) fn has(&self, key: i64) -> bool {
        self.within(key, key).next().is_some()
    }
}

/// At most so many chunks wait to be embedded again: keys of deleted ones count too.
pub(crate) fn count(connection: &Connection) -> StoreResult<u64> {
    let waiting = range(connection)?.map_or(0, |(done, last)| last.saturating_sub(done));
    Ok(waiting.cast_unsigned())
}

/// Up to this key, chunks have vectors again.
pub(crate) fn set_done(connection: &Connection, key: i64) -> StoreResult<()> {
    set_state(connection, DONE, &key.to_string())
}

/// All have.
pub(crate) fn finish(connection: &Connection) -> StoreResult<()> {
    [LAST, DONE]
        .into_iter()
        .try_for_each(|key| delete_state(connection, key))
}

/// The keys of the last chunk that is done, and of the last one; `None` if none waits.
pub(crate) fn range(connection: &Connection) -> StoreResult<Option<(i64, i64)>> {
    let number = |key| -> StoreResult<Option<i64>> {
        let stored = get_state(connection, key)?;
        stored
            .map(|number| number.parse().map_err(|_| Failure::Data(format!("{key} is no number"))))
            .transpose()
    };
    Ok(number(DONE)?.zip(number(LAST)?))
}
