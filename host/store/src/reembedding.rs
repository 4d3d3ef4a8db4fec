//! Chunks that another embedding model made vectors for are embedded again, a few at a time and in the order of their keys. Meanwhile they are
//! found by words. Not here: which those are (`embedding_space`), embedding them (`services`).

use crate::{
    changes::{self, Change},
    embedding_space::{count, finish, range, set_done},
    error::{Failure, StoreResult},
    room::RoomState,
};
use riad_core::{Error, ErrorKind, document::UnembeddedChunk};
use rusqlite::Connection;

/// The next chunks, at most so many; none if all are done.
pub(crate) fn next(connection: &Connection, most: u32) -> StoreResult<Vec<UnembeddedChunk>> {
    let Some((done, last)) = range(connection)? else {
        return Ok(Vec::new());
    };
    let mut statement = connection.prepare_cached(
        "SELECT chunks.id, title, heading, chunks.text FROM chunks JOIN documents ON documents.number = chunks.document
         WHERE chunks.id > ?1 AND chunks.id <= ?2 ORDER BY chunks.id LIMIT ?3",
    )?;
    let mut rows = statement.query((done, last, most))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let heading: Option<String> = row.get(2)?;
        found.push(UnembeddedChunk {
            key: row.get(0)?,
            title: row.get(1)?,
            heading: heading
                .as_deref()
                .map(serde_json::from_str)
                .transpose()?
                .unwrap_or_default(),
            text: row.get(3)?,
        });
    }
    Ok(found)
}

/// Stores the vectors of what [`next`] gave, in its order. Chunks that were deleted meanwhile are left out.
pub(crate) fn set(room: &RoomState, embedded: &[(i64, Vec<f32>)]) -> StoreResult<()> {
    let wrong = embedded
        .iter()
        .any(|(_, vector)| vector.len() != room.space.dimensions || vector.iter().any(|x| !x.is_finite()));
    if wrong {
        let text = format!("an embedding must be {} finite numbers", room.space.dimensions);
        return Err(Failure::Known(Error::new(ErrorKind::Internal, text)));
    }
    let waiting = room.write_then(
        |connection| {
            let changes = write(connection, embedded)?;
            match (embedded.last(), range(connection)?) {
                (Some((done, _)), Some((_, last))) if *done < last => set_done(connection, *done)?,
                // The last ones may have been deleted.
                (_, _) => finish(connection)?,
            }
            Ok((changes, count(connection)?))
        },
        |connection, (changes, waiting)| {
            for change in changes {
                room.indexes.follow(connection, change);
            }
            Ok(waiting)
        },
    )?;
    room.set_unembedded(waiting);
    room.save_due_indexes();
    Ok(())
}

/// The changes that the indexes follow: each of chunks of one vector store between which there is none of another.
fn write(connection: &Connection, embedded: &[(i64, Vec<f32>)]) -> StoreResult<Vec<Change>> {
    let mut store_of = connection.prepare_cached("SELECT vector_store FROM chunks WHERE id = ?1")?;
    let mut update = connection.prepare_cached("UPDATE chunks SET embedding = ?2 WHERE id = ?1")?;
    let mut runs: Vec<(i64, i64, i64)> = Vec::new();
    for (key, vector) in embedded {
        let mut rows = store_of.query([key])?;
        let Some(row) = rows.next()? else { continue };
        let store: i64 = row.get(0)?;
        update.execute((key, changes::normalized(vector).map(|unit| changes::to_blob(&unit))))?;
        match runs.last_mut() {
            Some((of, _, last)) if *of == store => *last = *key,
            Some(_) | None => runs.push((store, *key, *key)),
        }
    }
    runs.into_iter()
        .map(|(store, first, last)| changes::record(connection, store, false, first, last))
        .collect()
}
