//! Documents, chunks, passages and search queries. Not here: chunking (`services`) and storage (`store`).

use crate::{
    Digest, DocumentId, FileId,
    ranking::Ranking,
    search_scope::{AttributeFilter, SearchScope},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{iter, ops::Range};

pub type Metadata = Map<String, Value>;

pub const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// A text as it is stored: without a byte order mark, and with lines that end as everywhere else, because a passage is quoted as the
/// model reads it.
#[must_use]
pub fn normalize_text(mut text: String) -> String {
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len_utf8());
    }
    match text.contains('\r') {
        true => text.replace("\r\n", "\n").replace('\r', "\n"),
        false => text,
    }
}

/// What a document was made of, besides its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFile {
    /// As found in the bytes, such as `application/pdf`.
    pub media_type: String,
    /// What is missing in the text, for people.
    pub warnings: Vec<String>,
    /// Of the file's bytes and all that decides what becomes of them: the same in the same room is the same document.
    pub source: Digest,
    /// None if its bytes are kept otherwise: as a file of a vector store.
    pub original: Option<Original>,
}

/// A file as a client sent it, which is kept as one of the room's files as long as its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// As a file may be named.
    pub name: String,
    pub bytes: Bytes,
}

/// Where a chunk stands in its document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The headings above it, outermost first.
    pub heading: Vec<String>,
    /// Page, slide or sheet, from 1; none where the format has none.
    pub page: Option<u32>,
}

/// What the store knows of a chunk besides its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChunkSource {
    pub position: Position,
    /// The file of a vector store that its document was made of.
    pub file: Option<FileId>,
}

/// A document that is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDocument {
    pub title: String,
    pub text: String,
    pub metadata: Metadata,
    /// None of one that came as text.
    pub file: Option<DocumentFile>,
}

/// What the embedding model reads of a chunk. Title and headings tell it what a chunk from the middle of a document is about.
#[must_use]
pub fn embedded_text(title: &str, heading: &[String], text: &str) -> String {
    let above = heading.iter().map(String::as_str);
    let lines: Vec<_> = iter::once(title).chain(above).chain([text]).collect();
    lines.join("\n")
}

/// A chunk of a document with its embedding, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewChunk {
    pub text: String,
    /// Start of the chunk in the document's text, in bytes.
    pub offset: u64,
    pub position: Position,
    /// Of [`embedded_text`]. Length: the embedder's dimensions. A chunk of zeros is found by words only.
    pub embedding: Vec<f32>,
}

/// A stored chunk that another model has embedded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnembeddedChunk {
    /// In its room.
    pub key: i64,
    /// Of its document.
    pub title: String,
    /// The headings above it, outermost first.
    pub heading: Vec<String>,
    pub text: String,
}

/// A stored chunk as it was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChunk {
    /// In its document, from 0.
    pub number: u32,
    /// Start of the chunk in the document's text, in bytes.
    pub offset: u64,
    pub position: Position,
    pub text: String,
}

/// A stored document without its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub id: DocumentId,
    pub title: String,
    pub metadata: Metadata,
    pub chunks: u32,
    /// Length of the text in bytes.
    pub bytes: u64,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
    /// Of its file, as found in the bytes; `None` if it came as text.
    pub media_type: Option<String>,
    /// What is missing in the text, for people.
    pub warnings: Vec<String>,
    /// Its original, unless it came as text, or that file was deleted.
    pub file: Option<FileId>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DocumentWithText {
    pub document: Document,
    pub text: String,
}

/// A page of a listing; `after` is the last id of the previous page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub after: Option<DocumentId>,
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SearchQuery {
    pub text: String,
    /// The embedded text; all zeros (or empty) searches by words only.
    pub embedding: Vec<f32>,
    pub ranking: Ranking,
    pub limit: u32,
    /// Chunks before and after each one that is found, which its passage has too.
    pub neighbors: u32,
    /// Whether [`Hit::highlights`] are wanted.
    pub highlights: bool,
    pub scope: SearchScope,
    /// Matches documents whose metadata has each of these members with an equal value.
    pub filter: Metadata,
    /// And those whose metadata, as attributes, it matches.
    pub attributes: Option<AttributeFilter>,
}

/// A chunk found by a search, or the part of it that is in a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    pub document: DocumentId,
    /// Position of the chunk in its document, from 0.
    pub chunk: u32,
    pub title: String,
    pub text: String,
    /// Fused rank score; comparable only within one result list.
    pub score: f64,
    pub metadata: Metadata,
    /// Known to the store only: a guest gives it back without.
    #[serde(default)]
    pub position: Position,
    /// As `position`: the file of a vector store that its document was made of.
    #[serde(skip)]
    pub file: Option<FileId>,
    /// As `position`.
    #[serde(skip)]
    pub hit: Option<Box<Hit>>,
}

/// Where and why a search found a passage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hit {
    /// Of the document's text, in bytes.
    pub range: Range<u64>,
    /// Its place in the word list, with its BM25 score.
    pub by_words: Option<Place>,
    /// Its place in the vector list, with the cosine of the angle to the query.
    pub by_vectors: Option<Place>,
    /// Its place among the passages that a reranker read, with what it gave it from 0 to 1.
    pub by_reranker: Option<Place>,
    /// Words of the query in the passage's text, in bytes of it.
    pub highlights: Vec<Range<usize>>,
    /// The part of the passage's text that has most of them, in bytes of it.
    pub snippet: Range<usize>,
}

/// In a list of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// From 1.
    pub rank: u32,
    pub score: f64,
}
