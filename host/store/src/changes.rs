//! The numbered changes of a room and the embeddings as they are stored. The number of the last change is the watermark.
//! Not here: the index that follows them (`index`).

use crate::error::{Failure, StoreResult};
use rusqlite::{Connection, Rows};
use std::collections::BTreeSet;

/// What happened to the chunks of one document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) number: u64,
    /// The number of the document's vector store, or 0.
    pub(crate) vector_store: i64,
    pub(crate) removed: bool,
    pub(crate) first_chunk: i64,
    pub(crate) last_chunk: i64,
}

/// Records a change in the transaction that makes it.
pub(crate) fn record(
    connection: &Connection,
    vector_store: i64,
    removed: bool,
    first_chunk: i64,
    last_chunk: i64,
) -> StoreResult<Change> {
    connection
        .prepare_cached("INSERT INTO changes (removed, first_chunk, last_chunk, vector_store) VALUES (?1, ?2, ?3, ?4)")?
        .execute((removed, first_chunk, last_chunk, vector_store))?;
    Ok(Change {
        number: connection.last_insert_rowid().cast_unsigned(),
        vector_store,
        removed,
        first_chunk,
        last_chunk,
    })
}

/// Number of the last change, also when it has been pruned; 0 in a new room.
pub(crate) fn last(connection: &Connection) -> StoreResult<u64> {
    let number: i64 = connection.query_row(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'changes'), 0)",
        [],
        |row| row.get(0),
    )?;
    Ok(number.cast_unsigned())
}

pub(crate) fn after(connection: &Connection, vector_store: i64, watermark: u64) -> StoreResult<Vec<Change>> {
    let mut statement = connection.prepare(
        "SELECT number, removed, first_chunk, last_chunk FROM changes WHERE number > ?1 AND vector_store = ?2 ORDER BY number",
    )?;
    let rows = statement.query_map((watermark.cast_signed(), vector_store), |row| {
        Ok(Change {
            number: row.get::<_, i64>(0)?.cast_unsigned(),
            vector_store,
            removed: row.get(1)?,
            first_chunk: row.get(2)?,
            last_chunk: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The vector stores of which a saved index may still have what was deleted.
pub(crate) fn deleted_from(connection: &Connection) -> StoreResult<BTreeSet<i64>> {
    let mut statement =
        connection.prepare("SELECT DISTINCT vector_store FROM changes WHERE removed AND vector_store > 0")?;
    let numbers = statement.query_map([], |row| row.get(0))?;
    Ok(numbers.collect::<Result<_, _>>()?)
}

/// Forgets the changes that the saved index has.
pub(crate) fn prune(connection: &Connection, vector_store: i64, watermark: u64) -> StoreResult<()> {
    connection.execute(
        "DELETE FROM changes WHERE number <= ?1 AND vector_store = ?2",
        (watermark.cast_signed(), vector_store),
    )?;
    Ok(())
}

/// Chunks that belong into the index.
pub(crate) fn count_embedded(connection: &Connection, vector_store: i64) -> StoreResult<usize> {
    let count: i64 = connection.query_row(
        "SELECT count(*) FROM chunks WHERE vector_store = ?1 AND embedding IS NOT NULL",
        [vector_store],
        |row| row.get(0),
    )?;
    usize::try_from(count).map_err(|error| Failure::Data(error.to_string()))
}

/// Calls `each` with the embedded chunks from `first` to `last` that exist.
pub(crate) fn embedded(
    connection: &Connection,
    first: i64,
    last: i64,
    each: impl FnMut(i64, &[f32]) -> StoreResult<()>,
) -> StoreResult<()> {
    let mut statement = connection.prepare_cached(
        "SELECT id, embedding FROM chunks WHERE id BETWEEN ?1 AND ?2 AND embedding IS NOT NULL ORDER BY id",
    )?;
    call_each(statement.query([first, last])?, each)
}

/// As `embedded`, with all chunks that belong into the index.
pub(crate) fn all_embedded(
    connection: &Connection,
    vector_store: i64,
    each: impl FnMut(i64, &[f32]) -> StoreResult<()>,
) -> StoreResult<()> {
    let mut statement = connection.prepare_cached(
        "SELECT id, embedding FROM chunks WHERE vector_store = ?1 AND embedding IS NOT NULL ORDER BY id",
    )?;
    call_each(statement.query([vector_store])?, each)
}

fn call_each(mut rows: Rows<'_>, mut each: impl FnMut(i64, &[f32]) -> StoreResult<()>) -> StoreResult<()> {
    let mut vector = Vec::new();
    while let Some(row) = rows.next()? {
        from_blob(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?, &mut vector);
        each(row.get(0)?, &vector)?;
    }
    Ok(())
}

/// The next embedded chunks after a key, at most so many.
pub(crate) fn embedded_after(
    connection: &Connection,
    vector_store: i64,
    key: i64,
    most: usize,
) -> StoreResult<Vec<(i64, Vec<f32>)>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, embedding FROM chunks WHERE vector_store = ?1 AND id > ?2 AND embedding IS NOT NULL ORDER BY id LIMIT ?3",
    )?;
    let mut rows = statement.query((vector_store, key, i64::try_from(most).unwrap_or(i64::MAX)))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let mut vector = Vec::new();
        from_blob(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?, &mut vector);
        found.push((row.get(0)?, vector));
    }
    Ok(found)
}

/// A vector of length 1 in the same direction; `None` for zeros, which have none.
pub(crate) fn normalized(vector: &[f32]) -> Option<Vec<f32>> {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    #[expect(clippy::cast_possible_truncation, reason = "back to the type that it came from")]
    let unit = |x: &f32| (f64::from(*x) / length) as f32;
    (length > 0.0).then(|| vector.iter().map(unit).collect())
}

/// f32, little endian.
pub(crate) fn to_blob(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

pub(crate) fn from_blob(blob: &[u8], vector: &mut Vec<f32>) {
    vector.clear();
    let (numbers, _) = blob.as_chunks::<4>();
    vector.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
}
