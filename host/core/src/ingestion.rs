//! Values of the stages that a document passes when it is added: from a file to sections, from sections to chunks. The contract is
//! `wit/riad-ingestion`.

use crate::{Limits, document::Metadata};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Sections of a document: of a long book, some thousand.
const SECTIONS_MAX: u32 = 16_384;
/// Pieces of a document. Each is embedded, and has a row in two tables and a vector in the index.
const PIECES_MAX: u32 = 32_768;

/// A document that a client asks for.
#[derive(Debug, PartialEq)]
pub struct DocumentRequest {
    /// Of a file, the one that is in it or its name's if it is not given.
    pub title: Option<String>,
    pub source: DocumentSource,
    pub metadata: Metadata,
}

/// What a document is made of.
#[derive(Debug, PartialEq)]
pub enum DocumentSource {
    Text { text: String, format: TextFormat },
    File(Upload),
}

impl DocumentSource {
    /// Length.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Text { text, .. } => text.len() as u64,
            Self::File(upload) => upload.bytes.len() as u64,
        }
    }
}

/// How a text is written, which says where it may be cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TextFormat {
    #[default]
    Text,
    Markdown,
}

impl TextFormat {
    pub const ALL: [Self; 2] = [Self::Text, Self::Markdown];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "markdown",
        }
    }

    /// `None` for any other word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }
}

/// A document's file as a client sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// As the client named it, perhaps empty.
    pub name: String,
    /// As the client claimed it; may be empty or wrong.
    pub media_type: String,
    pub bytes: Bytes,
}

/// How a section's text is written, which says where it may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SectionKind {
    Prose,
    Markdown,
    Rows,
    Code,
}

/// A run of text under one heading and on one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// The headings above the text, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heading: Vec<String>,
    /// Page, slide or sheet, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    pub kind: SectionKind,
    /// Not only space.
    pub text: String,
}

/// Output of the extraction stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Extracted {
    /// As found in the bytes.
    pub media_type: String,
    /// Empty if the document has none.
    pub title: String,
    /// What the document says of itself.
    pub metadata: Metadata,
    /// At least one.
    pub sections: Vec<Section>,
    /// What is missing, for people.
    pub warnings: Vec<String>,
}

/// Bounds of an extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtractionOptions {
    /// Bytes of text: of the title, and of each section its text and headings.
    pub max_text_bytes: u32,
    pub max_sections: u32,
}

impl ExtractionOptions {
    /// What every extraction on a server with these limits gets.
    #[must_use]
    pub fn of(limits: &Limits) -> Self {
        Self {
            max_text_bytes: u32::try_from(limits.document_bytes).unwrap_or(u32::MAX),
            max_sections: SECTIONS_MAX,
        }
    }
}

/// Bounds of a chunking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkingOptions {
    /// Unicode scalar values of a piece.
    pub max_characters: u32,
    /// Of them, those that a piece may repeat of the one before it.
    pub overlap_characters: u32,
    pub max_pieces: u32,
}

impl ChunkingOptions {
    /// What every chunking on a server with these limits gets.
    #[must_use]
    pub fn of(limits: &Limits) -> Self {
        Self {
            max_characters: limits.chunk_characters,
            overlap_characters: 0,
            max_pieces: PIECES_MAX,
        }
    }
}

/// Output of the chunking stage: a part of a section's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Position of the section, from 0.
    pub section: u32,
    /// In its text, in bytes.
    pub start: usize,
    pub text: String,
}
