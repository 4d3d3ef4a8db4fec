//! Hybrid search in one room: a word list by BM25, a vector list by cosine, fused. With a filter, SQLite names the
//! candidates first: few are scored exactly, among many the index searches.
//! Not here: the fusion (`fusion`), the words of a query (`words`), the index (`index`).

use crate::{changes, error::StoreResult, fusion, metadata, position, room::RoomState, words};
use riad_core::{
    Error,
    document::{Metadata, Passage, SearchQuery},
};
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use std::collections::HashSet;

/// Candidates of a filter that are scored exactly; reading these takes about as long as a search in a large index.
const EXACT_MAX: usize = 2_000;
/// How deep each list goes for one passage that is asked for, and at least: what is low in both lists may be high in the
/// fused one.
const DEPTH_FACTOR: usize = 4;
const DEPTH_MIN: usize = 50;

pub(crate) fn search(room: &RoomState, query: &SearchQuery) -> StoreResult<Vec<Passage>> {
    let limit = query.limit as usize;
    let depth = limit.saturating_mul(DEPTH_FACTOR).max(DEPTH_MIN);
    let vector = query_vector(room, query)?;
    room.database.read(|connection| {
        let candidates = candidates(connection, &query.filter)?;
        let by_words = match words::match_expression(connection, &query.text)? {
            Some(expression) => search_words(connection, &expression, depth, candidates.as_ref())?,
            None => Vec::new(),
        };
        let by_vector = match (&vector, &candidates) {
            (None, _) => Vec::new(),
            (Some(vector), None) => room.index.search(connection, vector, depth)?,
            (Some(vector), Some(candidates)) => search_among(room, connection, vector, depth, candidates)?,
        };
        let fused = fusion::fuse(&by_words, &by_vector, f64::from(query.vector_weight));
        let mut passages = Vec::with_capacity(limit.min(fused.len()));
        for (key, score) in fused {
            if passages.len() == limit {
                break;
            }
            // The index may know a chunk that was added or removed after this transaction began.
            passages.extend(read_passage(connection, key, score)?);
        }
        Ok(passages)
    })
}

/// `None` if there is no vector list: no embedding, only zeros, or a weight of 0.
fn query_vector(room: &RoomState, query: &SearchQuery) -> StoreResult<Option<Vec<f32>>> {
    if !query.vector_weight.is_finite() || query.vector_weight < 0.0 {
        return Err(Error::invalid("the weight of the vectors must be 0 or more").into());
    }
    if query.embedding.is_empty() || query.vector_weight == 0.0 {
        return Ok(None);
    }
    if query.embedding.len() != room.space.dimensions || query.embedding.iter().any(|x| !x.is_finite()) {
        return Err(Error::invalid(format!(
            "the embedding of a query must be {} finite numbers",
            room.space.dimensions
        ))
        .into());
    }
    Ok(changes::normalized(&query.embedding))
}

/// The chunks of the documents that have every member of the filter; `None` without a filter.
fn candidates(connection: &Connection, filter: &Metadata) -> StoreResult<Option<HashSet<i64>>> {
    if filter.is_empty() {
        return Ok(None);
    }
    if filter.len() > metadata::FILTER_MAX {
        return Err(Error::invalid(format!(
            "a filter may have {} members, this one has {}",
            metadata::FILTER_MAX,
            filter.len()
        ))
        .with_param("filter")
        .into());
    }
    let documents = vec!["SELECT document FROM tags WHERE tag = ?"; filter.len()].join(" INTERSECT ");
    let mut statement = connection.prepare_cached(&format!("SELECT id FROM chunks WHERE document IN ({documents})"))?;
    let keys = statement.query_map(params_from_iter(metadata::tags(filter)), |row| row.get(0))?;
    Ok(Some(keys.collect::<Result<_, _>>()?))
}

fn search_words(
    connection: &Connection,
    expression: &str,
    depth: usize,
    candidates: Option<&HashSet<i64>>,
) -> StoreResult<Vec<i64>> {
    let mut statement =
        connection.prepare_cached("SELECT rowid FROM words WHERE words MATCH ?1 ORDER BY rank, rowid")?;
    let mut rows = statement.query([expression])?;
    let mut found = Vec::with_capacity(depth);
    while found.len() < depth
        && let Some(row) = rows.next()?
    {
        let key = row.get(0)?;
        if candidates.is_none_or(|candidates| candidates.contains(&key)) {
            found.push(key);
        }
    }
    Ok(found)
}

fn search_among(
    room: &RoomState,
    connection: &Connection,
    vector: &[f32],
    depth: usize,
    candidates: &HashSet<i64>,
) -> StoreResult<Vec<i64>> {
    if candidates.len() > EXACT_MAX {
        let found = room.index.search_among(connection, vector, depth, candidates)?;
        // With a filter that few vectors match, usearch's graph search may find fewer than `depth`.
        if found.len() >= depth {
            return Ok(found);
        }
    }
    search_exactly(connection, vector, depth, candidates)
}

fn search_exactly(
    connection: &Connection,
    vector: &[f32],
    depth: usize,
    candidates: &HashSet<i64>,
) -> StoreResult<Vec<i64>> {
    let mut statement =
        connection.prepare_cached("SELECT embedding FROM chunks WHERE id = ?1 AND embedding IS NOT NULL")?;
    let mut stored = Vec::with_capacity(vector.len());
    let mut scored = Vec::with_capacity(candidates.len());
    for key in candidates {
        let mut rows = statement.query([key])?;
        if let Some(row) = rows.next()? {
            changes::from_blob(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?, &mut stored);
            let cosine: f32 = vector.iter().zip(&stored).map(|(left, right)| left * right).sum();
            scored.push((*key, cosine));
        }
    }
    scored.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    scored.truncate(depth);
    Ok(scored.into_iter().map(|(key, _)| key).collect())
}

fn read_passage(connection: &Connection, key: i64, score: f64) -> StoreResult<Option<Passage>> {
    let found = connection
        .prepare_cached(
            "SELECT documents.id, position, title, chunks.text, metadata, heading, page
             FROM chunks JOIN documents ON documents.number = chunks.document WHERE chunks.id = ?1",
        )?
        .query_row([key], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get::<_, String>(4)?,
                row.get(5)?,
                row.get(6)?,
            ))
        })
        .optional()?;
    let Some((document, chunk, title, text, metadata, heading, page)) = found else {
        return Ok(None);
    };
    Ok(Some(Passage {
        document: document.parse()?,
        chunk,
        title,
        text,
        score,
        metadata: serde_json::from_str(&metadata)?,
        position: position::read(heading, page)?,
    }))
}
