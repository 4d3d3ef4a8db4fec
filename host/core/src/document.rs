//! Documents, chunks, passages and what a search asks. Not here: how they are split (`services`) or stored (`store`).

use crate::DocumentId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub type Metadata = Map<String, Value>;

/// A document as a tenant sends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewDocument {
    pub title: String,
    /// Plain text or Markdown.
    pub text: String,
    pub metadata: Metadata,
}

/// A piece of a document with its embedding, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewChunk {
    pub text: String,
    /// Where the chunk begins in the document's text, in bytes.
    pub offset: u64,
    /// As long as the embedder has dimensions. All zeros: the text had no known token; such a chunk is found by words only.
    pub embedding: Vec<f32>,
}

/// A stored document without its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub id: DocumentId,
    pub title: String,
    pub metadata: Metadata,
    pub chunks: u32,
    /// Length of the text in bytes.
    pub bytes: u64,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocumentWithText {
    #[serde(flatten)]
    pub document: Document,
    pub text: String,
}

/// A page of a listing: `after` is the last id of the page before.
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
    /// Weight of the vector list in the weighted reciprocal rank fusion, where the word list has 1.
    pub vector_weight: f32,
    pub limit: u32,
    /// Only chunks of documents whose metadata has each of these members with an equal value.
    pub filter: Metadata,
}

/// A chunk that was found, or the part of it that went into a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    pub document: DocumentId,
    /// Position of the chunk in its document, from 0.
    pub chunk: u32,
    pub title: String,
    pub text: String,
    /// Fused score; only its order means something.
    pub score: f64,
    pub metadata: Metadata,
}
