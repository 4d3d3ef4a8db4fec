//! The numbered changes of a room and the embeddings as they are stored. The number of the last change is the watermark.
//! Not here: the index that follows them (`index`).

use crate::{
    embedding_space::CurrentKeys,
    error::{Failure, StoreResult},
};
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

/// The vector stores that have changes.
pub(crate) fn stores(connection: &Connection) -> StoreResult<BTreeSet<i64>> {
    let mut statement = connection.prepare("SELECT DISTINCT vector_store FROM changes")?;
    let numbers = statement.query_map([], |row| row.get(0))?;
    Ok(numbers.collect::<Result<_, _>>()?)
}

/// Forgets all changes of a vector store, whose index is built from its chunks.
pub(crate) fn forget(connection: &Connection, vector_store: i64) -> StoreResult<()> {
    connection.execute("DELETE FROM changes WHERE vector_store = ?1", [vector_store])?;
    Ok(())
}

/// Forgets the changes that the saved index has.
pub(crate) fn prune(connection: &Connection, vector_store: i64, watermark: u64) -> StoreResult<()> {
    connection.execute(
        "DELETE FROM changes WHERE number <= ?1 AND vector_store = ?2",
        (watermark.cast_signed(), vector_store),
    )?;
    Ok(())
}

/// Chunks that belong into the index: those that the room's model has embedded.
pub(crate) fn count_embedded(connection: &Connection, vector_store: i64) -> StoreResult<usize> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*) FROM chunks WHERE vector_store = ?1 AND embedding IS NOT NULL AND id BETWEEN ?2 AND ?3",
    )?;
    let mut count = 0_i64;
    for (first, last) in CurrentKeys::read(connection)?.all() {
        count += statement.query_row((vector_store, first, last), |row| row.get::<_, i64>(0))?;
    }
    usize::try_from(count).map_err(|error| Failure::Data(error.to_string()))
}

/// Calls `each` with the chunks that the room's model has embedded, from `first` to `last` that exist.
pub(crate) fn embedded(
    connection: &Connection,
    first: i64,
    last: i64,
    mut each: impl FnMut(i64, &[f32]) -> StoreResult<()>,
) -> StoreResult<()> {
    let mut statement = connection.prepare_cached(
        "SELECT id, embedding FROM chunks WHERE id BETWEEN ?1 AND ?2 AND embedding IS NOT NULL ORDER BY id",
    )?;
    CurrentKeys::read(connection)?
        .within(first, last)
        .try_for_each(|keys| call_each(statement.query(keys)?, &mut each))
}

/// As `embedded`, with all chunks that belong into the index.
pub(crate) fn all_embedded(
    connection: &Connection,
    vector_store: i64,
    mut each: impl FnMut(i64, &[f32]) -> StoreResult<()>,
) -> StoreResult<()> {
    let mut statement = connection.prepare_cached(
        "SELECT id, embedding FROM chunks WHERE vector_store = ?1 AND embedding IS NOT NULL AND id BETWEEN ?2 AND ?3
         ORDER BY id",
    )?;
    CurrentKeys::read(connection)?
        .all()
        .try_for_each(|(first, last)| call_each(statement.query((vector_store, first, last))?, &mut each))
}

fn call_each(mut rows: Rows<'_>, each: &mut impl FnMut(i64, &[f32]) -> StoreResult<()>) -> StoreResult<()> {
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
        "SELECT id, embedding FROM chunks WHERE vector_store = ?1 AND embedding IS NOT NULL AND id BETWEEN ?2 AND ?3
         ORDER BY id LIMIT ?4",
    )?;
    let mut found = Vec::new();
    for (first, last) in CurrentKeys::read(connection)?.within(key.saturating_add(1), i64::MAX) {
        let left = i64::try_from(most - found.len()).unwrap_or(i64::MAX);
        let rows = statement.query((vector_store, first, last, left))?;
        call_each(rows, &mut |key, vector: &[f32]| {
            found.push((key, vector.to_vec()));
            Ok(())
        })?;
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

/// Whether it is one that [`normalized`] has made.
pub(crate) fn is_unit(vector: &[f32]) -> bool {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    // Of numbers that are not finite, it is not either.
    (length - 1.0).abs() < 0.01
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
