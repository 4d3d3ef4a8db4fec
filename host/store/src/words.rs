//! The words of a room's documents in FTS5: storing those of a document, taking them out again, making them by newer rules.
//! Not here: what a word is (`riad-language`), finding chunks by words (`find`), leaving no byte of what is taken out (`deletion`).
//!
//! FTS5 keeps the words and not the text that they are of: to take a document's words out, they are made again by the rules and the language
//! that made them. All words of an open room are made by the same rules (`update`).

mod bm25;
mod deletion;
mod find;
mod statistics;

pub(crate) use bm25::install as install_score;
pub(crate) use find::find;
pub(crate) use statistics::PhraseCounts;

use crate::{
    error::{Failure, StoreResult},
    position,
    sqlite::{self, Database},
    state::{get_state, set_state},
};
use riad_language::{Indexer, Language, RULES, Terms};
use rusqlite::Connection;

/// Phrases that are searched. A question has a few dozen words; a pasted page must not become a query that takes seconds.
const PHRASES_MAX: usize = 256;
/// Text whose words one transaction makes again. A crash loses that of one, and the write-ahead log stays small.
const BATCH_BYTES: usize = 1 << 20;

/// In `state`: the rules that made all words of the room.
const MADE_BY: &str = "word_rules";
/// In `state` while words are made again: the rules, and the number of the last document that has its new words.
const PROGRESS: &str = "word_progress";

/// The words of a document, made before the transaction that stores them.
pub(crate) struct DocumentWords {
    pub(crate) language: Language,
    title: Terms,
    chunks: Vec<ChunkWords>,
}

struct ChunkWords {
    /// Of the headings above it.
    headings: Terms,
    text: Terms,
}

/// A chunk as the table has it.
struct Row<'w> {
    key: i64,
    title: String,
    text: &'w str,
    characters: String,
}

/// A chunk of a stored document: its key, the headings above it, and its text.
type StoredChunk = (i64, Vec<String>, String);

impl DocumentWords {
    /// `text` is the whole document's, from which its language is told. The words of the title are each chunk's, and so are those of its headings.
    pub(crate) fn new<'c>(title: &str, text: &str, chunks: impl IntoIterator<Item = (&'c [String], &'c str)>) -> Self {
        Self::in_language(Language::detect(text), title, chunks)
    }

    /// Those of a stored document, and the keys of its chunks; `None` if there is no such document.
    pub(crate) fn of_stored(connection: &Connection, number: i64) -> StoreResult<Option<(Self, Vec<i64>)>> {
        let mut statement = connection.prepare_cached("SELECT title, language FROM documents WHERE number = ?1")?;
        let mut rows = statement.query([number])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let (title, language): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        let language = language.ok_or_else(|| Failure::Data("a document has no words yet".into()))?;
        let chunks = stored_chunks(connection, number)?;
        let words = Self::in_language(Language::from_code(&language), &title, parts(&chunks));
        Ok(Some((words, chunks.into_iter().map(|(key, ..)| key).collect())))
    }

    fn in_language<'c>(
        language: Language,
        title: &str,
        chunks: impl IntoIterator<Item = (&'c [String], &'c str)>,
    ) -> Self {
        let mut indexer = Indexer::new(language);
        let title = indexer.index(title);
        let chunks = chunks.into_iter().map(|(headings, text)| ChunkWords {
            headings: indexer.index(&headings.join("\n")),
            text: indexer.index(text),
        });
        Self {
            language,
            title,
            chunks: chunks.collect(),
        }
    }

    /// `keys` are those of the chunks, in their order.
    pub(crate) fn insert(&self, connection: &Connection, keys: impl IntoIterator<Item = i64>) -> StoreResult<()> {
        self.rows(keys).try_for_each(|row| insert_row(connection, &row))
    }

    /// Takes out what `insert` stored: no term stays in the table that no other chunk has.
    pub(crate) fn delete(&self, connection: &Connection, keys: impl IntoIterator<Item = i64>) -> StoreResult<()> {
        let rows: Vec<Row<'_>> = self.rows(keys).collect();
        deletion::delete(connection, &rows)
    }

    fn rows(&self, keys: impl IntoIterator<Item = i64>) -> impl Iterator<Item = Row<'_>> {
        let chunks = keys.into_iter().zip(&self.chunks);
        chunks.map(|(key, ChunkWords { headings, text })| Row {
            key,
            title: format!("{} {}", self.title.words, headings.words),
            text: &text.words,
            characters: format!("{} {} {}", self.title.characters, headings.characters, text.characters),
        })
    }
}

fn insert_row(connection: &Connection, row: &Row<'_>) -> StoreResult<()> {
    connection
        .prepare_cached("INSERT INTO words (rowid, title, text, characters) VALUES (?1, ?2, ?3, ?4)")?
        .execute((row.key, &row.title, row.text, &row.characters))?;
    Ok(())
}

/// Those of the room's documents. One step through the index for each, however many documents there are.
fn languages(connection: &Connection) -> StoreResult<Vec<Language>> {
    let mut statement = connection.prepare_cached(
        "WITH RECURSIVE found (language) AS (
            SELECT min(language) FROM documents
            UNION ALL
            SELECT (SELECT min(language) FROM documents WHERE language > found.language) FROM found
                WHERE found.language IS NOT NULL
        ) SELECT language FROM found WHERE language IS NOT NULL",
    )?;
    let codes = statement.query_map([], |row| row.get::<_, String>(0))?;
    codes.map(|code| Ok(Language::from_code(&code?))).collect()
}

/// Makes the words again if other rules made them: terms of two rules do not find each other. Before the room is used; what is
/// interrupted goes on at the next opening.
pub(crate) fn update(database: &Database) -> StoreResult<()> {
    let rules = RULES.to_string();
    if database.read(|connection| get_state(connection, MADE_BY))?.as_ref() == Some(&rules) {
        return Ok(());
    }
    while database.write_reserved(|connection| make_again(connection, &rules))? {}
    Ok(())
}

/// As [`update`], whatever rules made them.
pub(crate) fn make_all_again(database: &Database) -> StoreResult<()> {
    database.write(|connection| {
        connection.execute("DELETE FROM state WHERE key IN (?1, ?2)", [MADE_BY, PROGRESS])?;
        Ok(())
    })?;
    update(database)
}

/// Whether the table has other words than those that its documents have by our rules.
pub(crate) fn differ(connection: &Connection) -> StoreResult<bool> {
    let scratch = sqlite::open_scratch()?;
    for name in ["words", "word_terms"] {
        let sql: String = connection.query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [name], |row| {
            row.get(0)
        })?;
        scratch.execute_batch(&sql)?;
    }
    let transaction = scratch.unchecked_transaction()?;
    let mut numbers = connection.prepare("SELECT number FROM documents")?;
    for number in numbers.query_map([], |row| row.get(0))? {
        if let Some((words, keys)) = DocumentWords::of_stored(connection, number?)? {
            words.insert(&scratch, keys)?;
        }
    }
    transaction.commit()?;
    Ok(digest(connection)? != digest(&scratch)?)
}

/// Of each term and all of its places.
fn digest(connection: &Connection) -> StoreResult<blake3::Hash> {
    let mut hash = blake3::Hasher::new();
    let mut statement = connection.prepare("SELECT term, doc, col, \"offset\" FROM word_terms")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let term = row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?;
        let column = row.get_ref(2)?.as_bytes().map_err(rusqlite::Error::from)?;
        for part in [
            term,
            column,
            &row.get::<_, i64>(1)?.to_le_bytes(),
            &row.get::<_, i64>(3)?.to_le_bytes(),
        ] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    Ok(hash.finalize())
}

/// A batch of documents. Returns whether there are more.
fn make_again(connection: &Connection, rules: &str) -> StoreResult<bool> {
    let progress = get_state(connection, PROGRESS)?;
    let done = progress
        .as_deref()
        .and_then(|progress| progress.split_once(' '))
        .filter(|(begun_by, _)| *begun_by == rules)
        .and_then(|(_, number)| number.parse().ok());
    let mut last: i64 = match done {
        Some(last) => last,
        None => {
            connection.execute("DELETE FROM state WHERE key = ?1", [MADE_BY])?;
            connection.execute("INSERT INTO words (words) VALUES ('delete-all')", [])?;
            0
        }
    };
    let mut bytes = 0;
    while bytes < BATCH_BYTES {
        let Some((number, read)) = make_next(connection, last)? else {
            connection.execute("DELETE FROM state WHERE key = ?1", [PROGRESS])?;
            set_state(connection, MADE_BY, rules)?;
            return Ok(false);
        };
        last = number;
        bytes = bytes.saturating_add(read);
    }
    tracing::info!(document = last, "making the words of a room again by newer rules");
    set_state(connection, PROGRESS, &format!("{rules} {last}"))?;
    Ok(true)
}

/// The next document after the number. Returns its number and how many bytes were read; `None` if it is the end.
fn make_next(connection: &Connection, after: i64) -> StoreResult<Option<(i64, usize)>> {
    let mut statement = connection
        .prepare_cached("SELECT number, title, text FROM documents WHERE number > ?1 ORDER BY number LIMIT 1")?;
    let mut rows = statement.query([after])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let (number, title, text): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let chunks = stored_chunks(connection, number)?;
    let words = DocumentWords::new(&title, &text, parts(&chunks));
    words.insert(connection, chunks.iter().map(|(key, ..)| *key))?;
    connection
        .prepare_cached("UPDATE documents SET language = ?1 WHERE number = ?2")?
        .execute((words.language.code(), number))?;
    let parts = chunks.iter().map(|(_, _, text)| text.len());
    Ok(Some((number, parts.fold(text.len(), usize::saturating_add))))
}

fn stored_chunks(connection: &Connection, document: i64) -> StoreResult<Vec<StoredChunk>> {
    let mut statement =
        connection.prepare_cached("SELECT id, heading, text FROM chunks WHERE document = ?1 ORDER BY position")?;
    let mut rows = statement.query([document])?;
    let mut chunks = Vec::new();
    while let Some(row) = rows.next()? {
        let position = position::read(row.get(1)?, None)?;
        chunks.push((row.get(0)?, position.heading, row.get(2)?));
    }
    Ok(chunks)
}

fn parts(chunks: &[StoredChunk]) -> impl Iterator<Item = (&[String], &str)> {
    chunks
        .iter()
        .map(|(_, heading, text)| (heading.as_slice(), text.as_str()))
}
