//! Hybrid search in one room, in its own documents or in vector stores: a word list by BM25, a vector list by cosine, fused. With a filter, SQLite names the
//! candidates first: few are scored exactly, among many the index searches.
//! Not here: the fusion (`fusion`), the words of a query (`words`), the indexes (`indexes`), filters over attributes (`attributes`).

mod diversity;
mod passages;
mod snippet;

use crate::{
    attributes, changes,
    embedding_space::CurrentKeys,
    error::StoreResult,
    fusion::{self, Listed},
    index::VectorIndex,
    indexes::OWN,
    metadata,
    room::RoomState,
    vector_stores, words,
};
use riad_core::{
    Error,
    document::{Passage, SearchQuery},
    search_scope::SearchScope,
};
use rusqlite::{Connection, OptionalExtension, params_from_iter, types::Value as SqlValue};
use std::{collections::HashSet, sync::Arc};

/// Candidates of a filter that are scored exactly; reading these takes about as long as a search in a large index.
const EXACT_MAX: usize = 2_000;
/// How deep each list goes for one passage that is asked for, and at least: what is low in both lists may be high in the
/// fused one.
const DEPTH_FACTOR: usize = 4;
const DEPTH_MIN: usize = 50;

pub(crate) fn search(room: &RoomState, query: &SearchQuery) -> StoreResult<Vec<Passage>> {
    query.ranking.check()?;
    let limit = query.limit as usize;
    let depth = limit.saturating_mul(DEPTH_FACTOR).max(DEPTH_MIN);
    let vector = query_vector(room, query)?;
    let scope = room.database.read(|connection| Scope::find(connection, &query.scope))?;
    // Opened before the transaction below: an index may be ahead of it, never behind.
    let indexes = match &vector {
        None => Vec::new(),
        Some(_) => {
            let open = |number: &i64| room.indexes.of(*number, &room.database);
            scope.vector_stores.iter().map(open).collect::<StoreResult<Vec<_>>>()?
        }
    };
    let read = room.database.read(|connection| {
        let candidates = candidates(connection, &scope, query)?;
        let by_words = match query.ranking.text_weight > 0.0 {
            true => search_words(connection, room, &query.text, depth, &scope, candidates.as_ref())?,
            false => Vec::new(),
        };
        let by_vector = match (&vector, &candidates) {
            (None, _) => Vec::new(),
            (Some(vector), Some(candidates)) if candidates.len() <= EXACT_MAX => {
                search_exactly(connection, vector, depth, candidates)?
            }
            (Some(vector), candidates) => {
                let found = search_indexes(connection, &indexes, vector, depth, candidates.as_ref())?;
                match candidates {
                    // With a filter that few vectors match, usearch's graph search may find fewer than `depth`.
                    Some(candidates) if found.len() < depth => search_exactly(connection, vector, depth, candidates)?,
                    Some(_) | None => found,
                }
            }
        };
        let mut fused = fusion::fuse(&by_words, &by_vector, &query.ranking);
        if query.ranking.diversity > 0.0 {
            // The last ones are never shown, and each is compared with each that is.
            fused.truncate(depth);
            fused = diversity::diversify(connection, fused, limit, &query.ranking)?;
        }
        passages::read_all(connection, fused, query)
    })?;
    Ok(passages::finish(read, query))
}

/// The vector stores that are searched.
struct Scope {
    /// Their numbers.
    vector_stores: Vec<i64>,
    /// Whether the room has documents beside those of the scope, perhaps.
    is_part: bool,
}

impl Scope {
    fn find(connection: &Connection, scope: &SearchScope) -> StoreResult<Self> {
        match scope {
            SearchScope::Documents => Ok(Self {
                vector_stores: vec![OWN],
                is_part: vector_stores::are_there(connection)?,
            }),
            SearchScope::VectorStores(ids) => {
                let numbers = ids.iter().map(|id| vector_stores::number(connection, id));
                Ok(Self {
                    vector_stores: numbers.collect::<StoreResult<_>>()?,
                    is_part: true,
                })
            }
        }
    }
}

fn search_indexes(
    connection: &Connection,
    indexes: &[Arc<VectorIndex>],
    vector: &[f32],
    depth: usize,
    candidates: Option<&HashSet<i64>>,
) -> StoreResult<Vec<Listed>> {
    let mut found = Vec::new();
    for index in indexes {
        found.extend(match candidates {
            None => index.search(connection, vector, depth)?,
            Some(candidates) => index.search_among(connection, vector, depth, candidates)?,
        });
    }
    // Of one index they are in order.
    if indexes.len() > 1 {
        found.sort_by(|left, right| left.1.total_cmp(&right.1).then(left.0.cmp(&right.0)));
        found.truncate(depth);
    }
    // From the distance to the cosine.
    Ok(found
        .into_iter()
        .map(|(key, distance)| (key, 1.0 - f64::from(distance)))
        .collect())
}

/// `None` if there is no vector list: no embedding, only zeros, or a weight of 0.
fn query_vector(room: &RoomState, query: &SearchQuery) -> StoreResult<Option<Vec<f32>>> {
    if query.embedding.is_empty() || query.ranking.embedding_weight == 0.0 {
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

/// The chunks of the documents that the filters match; `None` without a filter.
fn candidates(connection: &Connection, scope: &Scope, query: &SearchQuery) -> StoreResult<Option<HashSet<i64>>> {
    if query.filter.is_empty() && query.attributes.is_none() {
        return Ok(None);
    }
    if query.filter.len() > metadata::FILTER_MAX {
        return Err(Error::invalid(format!(
            "a filter may have {} members, this one has {}",
            metadata::FILTER_MAX,
            query.filter.len()
        ))
        .with_param("filter")
        .into());
    }
    let stores = vec!["?"; scope.vector_stores.len()].join(", ");
    let mut conditions = vec![format!("documents.vector_store IN ({stores})")];
    let mut parameters: Vec<_> = scope.vector_stores.iter().copied().map(SqlValue::Integer).collect();
    if !query.filter.is_empty() {
        let tagged = vec!["SELECT document FROM tags WHERE tag = ?"; query.filter.len()].join(" INTERSECT ");
        conditions.push(format!("documents.number IN ({tagged})"));
        parameters.extend(
            metadata::tags(&query.filter)
                .into_iter()
                .map(|tag| SqlValue::Blob(tag.to_vec())),
        );
    }
    if let Some(filter) = &query.attributes {
        let (condition, values) = attributes::condition(filter)?;
        conditions.push(condition);
        parameters.extend(values);
    }
    let mut statement = connection.prepare_cached(&format!(
        "SELECT chunks.id FROM documents JOIN chunks ON chunks.document = documents.number WHERE {}",
        conditions.join(" AND ")
    ))?;
    let keys = statement.query_map(params_from_iter(parameters), |row| row.get(0))?;
    Ok(Some(keys.collect::<Result<_, _>>()?))
}

fn search_words(
    connection: &Connection,
    room: &RoomState,
    text: &str,
    depth: usize,
    scope: &Scope,
    candidates: Option<&HashSet<i64>>,
) -> StoreResult<Vec<Listed>> {
    let mut store_of = connection.prepare_cached(
        "SELECT vector_store FROM chunks INDEXED BY chunks_in_vector_stores WHERE id = ?1 AND vector_store > 0",
    )?;
    let is_candidate = |key| match candidates {
        Some(candidates) => Ok(candidates.contains(&key)),
        None => {
            let store = store_of.query_row([key], |row| row.get(0)).optional()?;
            Ok(scope.vector_stores.contains(&store.unwrap_or(OWN)))
        }
    };
    let is_filtered = candidates.is_some() || scope.is_part;
    let is_candidate = is_filtered.then_some(is_candidate);
    words::find(connection, &room.phrase_counts, text, depth, is_candidate)
}

fn search_exactly(
    connection: &Connection,
    vector: &[f32],
    depth: usize,
    candidates: &HashSet<i64>,
) -> StoreResult<Vec<Listed>> {
    let mut statement =
        connection.prepare_cached("SELECT embedding FROM chunks WHERE id = ?1 AND embedding IS NOT NULL")?;
    let mut stored = Vec::with_capacity(vector.len());
    let mut scored = Vec::with_capacity(candidates.len());
    let current = CurrentKeys::read(connection)?;
    for key in candidates.iter().filter(|key| current.has(**key)) {
        let mut rows = statement.query([key])?;
        if let Some(row) = rows.next()? {
            changes::from_blob(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?, &mut stored);
            let cosine: f32 = vector.iter().zip(&stored).map(|(left, right)| left * right).sum();
            scored.push((*key, cosine));
        }
    }
    scored.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    scored.truncate(depth);
    Ok(scored
        .into_iter()
        .map(|(key, cosine)| (key, f64::from(cosine)))
        .collect())
}
