//! The documents of one room.

use super::RequestMark;
use crate::{
    Digest, DocumentId, Result,
    document::{
        ChunkSource, Document, NewChunk, NewDocument, Page, Passage, SearchQuery, StoredChunk, UnembeddedChunk,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use std::ops::Range;

/// The implementation is bound to one room: no method can name another.
#[async_trait]
pub trait Documents: Send + Sync {
    /// Stores a document with its chunks in one transaction and puts them into the open index. When it returns, a search
    /// finds it and `kill -9` does not lose it. A caller that goes away does not cancel it half-way. `mark` is the request that is not to
    /// store it a second time: kept in the same transaction, for [`super::IdempotencyStore::get`]. `Conflict` if there is a document of the
    /// same source. Its original becomes a file of the room.
    async fn insert(&self, document: NewDocument, chunks: Vec<NewChunk>, mark: Option<RequestMark>)
    -> Result<Document>;

    /// The document, and the bytes of its text that are in the range, which may begin and end between those of a character. `NotFound` if
    /// this room has none with the id.
    async fn get(&self, id: &DocumentId, text: Range<u64>) -> Result<(Document, Bytes)>;

    /// The document, and those of its chunks whose numbers are in the range, in their order. `NotFound` if this room has none with the id.
    async fn chunks(&self, id: &DocumentId, numbers: Range<u32>) -> Result<(Document, Vec<StoredChunk>)>;

    /// The document that was made of the same file in the same way.
    async fn find_source(&self, source: &Digest) -> Result<Option<Document>>;

    /// Where each of these chunks, a document of the room or of a vector store and a position in it, stands; the default for one that is
    /// not there. In the same order.
    async fn locate(&self, chunks: &[(DocumentId, u32)]) -> Result<Vec<ChunkSource>>;

    /// By id, which is the order of insertion.
    async fn list(&self, page: &Page) -> Result<Vec<Document>>;

    /// When it returns, no search finds the document, and its original is no file of the room any more. `NotFound` if this room has none with the id.
    async fn delete(&self, id: &DocumentId) -> Result<()>;

    /// FTS5 BM25 of words' stems and vectors, joined by weighted reciprocal rank fusion; best first. Any text is a valid query.
    async fn search(&self, query: &SearchQuery) -> Result<Vec<Passage>>;

    /// At most so many chunks, of the room's own documents and of its vector stores, have no vector because another model embedded them.
    /// They are found by words only.
    fn unembedded(&self) -> u64;

    /// The next of them, at most so many.
    async fn next_unembedded(&self, most: u32) -> Result<Vec<UnembeddedChunk>>;

    /// Stores the vectors of all that [`Self::next_unembedded`] gave, by key and in its order. When it returns, searches find them. Chunks that were deleted
    /// meanwhile are left out.
    async fn set_embeddings(&self, embedded: Vec<(i64, Vec<f32>)>) -> Result<()>;

    /// The vectors of chunks, also in vector stores, that the room's embedding model made of texts with these digests
    /// ([`crate::document::embedded_text`]). In the same order.
    async fn find_embeddings(&self, texts: &[Digest]) -> Result<Vec<Option<Vec<f32>>>>;

    /// Number of the last change that searches see.
    async fn watermark(&self) -> Result<u64>;
}
