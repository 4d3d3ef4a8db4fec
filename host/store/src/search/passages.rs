//! A chunk that was found, as a passage with its neighbors. Not here: which are found (`search`).

use crate::{document_text::read_text, error::StoreResult, fusion::Fused, position};
use riad_core::{
    DocumentId,
    document::{Hit, Metadata, Passage, SearchQuery},
};
use riad_language::{Language, Query, highlight, query};
use rusqlite::{Connection, OptionalExtension};
use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
};

/// Phrases of a query that are highlighted; the search has more.
const PHRASES_MAX: usize = 64;

/// A passage, and the language whose rules made its words.
pub(super) struct Read {
    passage: Passage,
    language: Option<String>,
}

/// The best `query.limit` of the chunks, each with its neighbors. A chunk that a better one has as its neighbor is left out.
pub(super) fn read_all(connection: &Connection, fused: Vec<Fused>, query: &SearchQuery) -> StoreResult<Vec<Read>> {
    let limit = query.limit as usize;
    let mut passages = Vec::with_capacity(limit.min(fused.len()));
    let mut covered = HashSet::new();
    for found in fused {
        if passages.len() == limit {
            break;
        }
        if covered.contains(&found.key) {
            continue;
        }
        // The index may know a chunk that was added or removed after this transaction began.
        passages.extend(read(connection, found, query.neighbors, &mut covered)?);
    }
    Ok(passages)
}

fn read(
    connection: &Connection,
    found: Fused,
    neighbors: u32,
    covered: &mut HashSet<i64>,
) -> StoreResult<Option<Read>> {
    let row = connection
        .prepare_cached(
            "SELECT documents.id, position, title, metadata, heading, page, language, number, start, chunks.text
             FROM chunks JOIN documents ON documents.number = chunks.document WHERE chunks.id = ?1",
        )?
        .query_row([found.key], |row| {
            Ok(Row {
                document: row.get(0)?,
                chunk: row.get(1)?,
                title: row.get(2)?,
                metadata: row.get(3)?,
                heading: row.get(4)?,
                page: row.get(5)?,
                language: row.get(6)?,
                number: row.get(7)?,
                text: Joined {
                    start: row.get::<_, i64>(8)?.cast_unsigned(),
                    text: row.get(9)?,
                },
            })
        })
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let text = match neighbors {
        0 => row.text,
        _ => {
            let chunks = row.chunk.saturating_sub(neighbors)..=row.chunk.saturating_add(neighbors);
            join(connection, row.number, &chunks, covered)?.unwrap_or(row.text)
        }
    };
    let metadata: Metadata = serde_json::from_str(&row.metadata)?;
    Ok(Some(Read {
        passage: Passage {
            document: row.document.parse::<DocumentId>()?,
            chunk: row.chunk,
            title: row.title,
            score: found.score,
            metadata,
            position: position::read(row.heading, row.page)?,
            file: None,
            hit: Some(Box::new(Hit {
                range: text.start..text.end(),
                by_words: found.by_words,
                by_vectors: found.by_vectors,
                ..Hit::default()
            })),
            text: text.text,
        },
        language: row.language,
    }))
}

struct Row {
    document: String,
    chunk: u32,
    title: String,
    metadata: String,
    heading: Option<String>,
    page: Option<u32>,
    language: Option<String>,
    number: i64,
    text: Joined,
}

/// Text of a document, and where it begins in it.
struct Joined {
    start: u64,
    text: String,
}

impl Joined {
    fn end(&self) -> u64 {
        self.start.saturating_add(self.text.len() as u64)
    }
}

/// Chunks of a document that follow each other as one text: the document's own, with what stands between them.
fn join(
    connection: &Connection,
    document: i64,
    positions: &RangeInclusive<u32>,
    covered: &mut HashSet<i64>,
) -> StoreResult<Option<Joined>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, start, text FROM chunks WHERE document = ?1 AND position BETWEEN ?2 AND ?3 ORDER BY position",
    )?;
    let mut rows = statement.query((document, positions.start(), positions.end()))?;
    let mut chunks = Vec::new();
    while let Some(row) = rows.next()? {
        covered.insert(row.get(0)?);
        chunks.push(Joined {
            start: row.get::<_, i64>(1)?.cast_unsigned(),
            text: row.get(2)?,
        });
    }
    let Some(start) = chunks.iter().map(|chunk| chunk.start).min() else {
        return Ok(None);
    };
    let end = chunks.iter().map(Joined::end).max().unwrap_or(start);
    let together: u64 = chunks.iter().map(|chunk| chunk.text.len() as u64).sum();
    // A chunker may leave out most of a text.
    if end - start <= together.saturating_mul(2) {
        let whole = read_text(connection, document, start..end)?;
        let is_there = |chunk: &Joined| {
            let at = usize::try_from(chunk.start - start).ok();
            let rest = at.and_then(|at| whole.get(at..));
            rest.is_some_and(|rest| rest.starts_with(chunk.text.as_bytes()))
        };
        if chunks.iter().all(is_there)
            && let Ok(text) = String::from_utf8(whole.to_vec())
        {
            return Ok(Some(Joined { start, text }));
        }
    }
    // A tenant's own chunker may write its pieces anew.
    let texts: Vec<_> = chunks.into_iter().map(|chunk| chunk.text).collect();
    Ok(Some(Joined {
        start,
        text: texts.join("\n"),
    }))
}

/// Marks the words of the query. Without a lock or a transaction: it takes as long as the passages are.
pub(super) fn finish(read: Vec<Read>, query: &SearchQuery) -> Vec<Passage> {
    let mut queries: HashMap<String, (Language, Query)> = HashMap::new();
    let finish = |read: Read| {
        let mut passage = read.passage;
        if query.highlights
            && let Some(hit) = &mut passage.hit
        {
            let code = read.language.unwrap_or_default();
            let (language, terms) = queries.entry(code).or_insert_with_key(|code| {
                let language = Language::from_code(code);
                (language, self::query(&query.text, &[language], PHRASES_MAX))
            });
            hit.highlights = highlight(&passage.text, terms, *language);
            hit.snippet = super::snippet::snippet(&passage.text, &hit.highlights);
        }
        passage
    };
    read.into_iter().map(finish).collect()
}
