//! The vector stores of one room.

use crate::{
    DocumentId, FileBatchId, FileId, Result, VectorStoreId,
    document::{Metadata, NewChunk, NewDocument},
    vector_store::{
        FileBatch, IndexingError, NewVectorStore, NewVectorStoreFile, PendingFile, VectorStore, VectorStoreChange,
        VectorStoreFile, VectorStoreFilePage, VectorStorePage,
    },
};
use async_trait::async_trait;

/// The implementation is bound to one room. `NotFound` for every id that this room does not have. Files that wait are indexed by the use
/// cases, which ask for the next one; what waits is on the disk.
#[async_trait]
pub trait VectorStores: Send + Sync {
    /// They are used now, which puts off when they expire. `InvalidRequest` for one that has expired.
    async fn touch(&self, ids: &[VectorStoreId]) -> Result<()>;

    /// `Conflict` if the room has as many as it may have.
    async fn create(&self, store: NewVectorStore) -> Result<VectorStore>;

    async fn get(&self, id: &VectorStoreId) -> Result<VectorStore>;

    /// By id, which is the order in which they were made.
    async fn list(&self, page: &VectorStorePage) -> Result<Vec<VectorStore>>;

    async fn change(&self, id: &VectorStoreId, change: VectorStoreChange) -> Result<VectorStore>;

    /// When it returns, nobody finds anything of it, and what is left of it on the disk goes at the latest when the room is opened again.
    async fn delete(&self, id: &VectorStoreId) -> Result<()>;

    /// Adds files, all or none, which wait then. One that is there is indexed anew, and is found as it was until that has succeeded.
    /// `InvalidRequest` for a store that has expired.
    async fn add(&self, id: &VectorStoreId, files: Vec<NewVectorStoreFile>) -> Result<()>;

    /// As `add`, and remembers that they came together.
    async fn add_batch(&self, id: &VectorStoreId, files: Vec<NewVectorStoreFile>) -> Result<FileBatch>;

    async fn batch(&self, id: &VectorStoreId, batch: &FileBatchId) -> Result<FileBatch>;

    /// Files of it that wait are indexed no more.
    async fn cancel_batch(&self, id: &VectorStoreId, batch: &FileBatchId) -> Result<FileBatch>;

    async fn file(&self, id: &VectorStoreId, file: &FileId) -> Result<VectorStoreFile>;

    /// By when they were added.
    async fn files(&self, id: &VectorStoreId, page: &VectorStoreFilePage) -> Result<Vec<VectorStoreFile>>;

    /// The text of a file as it is searched. `NotFound` also if the file is not indexed.
    async fn text(&self, id: &VectorStoreId, file: &FileId) -> Result<String>;

    async fn set_attributes(&self, id: &VectorStoreId, file: &FileId, attributes: Metadata) -> Result<VectorStoreFile>;

    /// Takes a file out of the store. The file itself stays.
    async fn remove(&self, id: &VectorStoreId, file: &FileId) -> Result<()>;

    /// The file that has waited for the longest time.
    async fn next_pending(&self) -> Result<Option<PendingFile>>;

    /// Stores what a file that waits has become, in one transaction with its end. When it returns, a search of the store finds it.
    /// `NotFound` if it does not wait any more; nothing is stored then.
    async fn complete(&self, pending: &PendingFile, document: NewDocument, chunks: Vec<NewChunk>) -> Result<()>;

    /// Says why a file that waits is not in the store. Does nothing if it does not wait any more.
    async fn fail(&self, pending: &PendingFile, error: IndexingError) -> Result<()>;

    /// Id and name of the file that each document is; `None` for a document that is in no vector store.
    async fn sources(&self, documents: &[DocumentId]) -> Result<Vec<Option<(FileId, String)>>>;
}
