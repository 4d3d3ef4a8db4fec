//! The jobs of one room that make documents while nobody waits.

use super::RequestMark;
use crate::{
    DocumentId, DocumentJobId, Result,
    audit::AuditEntry,
    document::{Document, NewChunk, NewDocument},
    document_job::{DocumentJob, JobError, PendingDocument},
    ingestion::DocumentRequest,
};
use async_trait::async_trait;

/// The implementation is bound to one room. `NotFound` for every id that this room does not have. What waits is on the disk, and is made by
/// the use cases, which ask for the next one. A job whose document is being made is still queued here. What has ended is kept for a day, and
/// the last thousand.
#[async_trait]
pub trait DocumentJobs: Send + Sync {
    /// Keeps what a document is to be made of. When it returns, `kill -9` does not lose it. `mark` is the request that is not to be made a
    /// job a second time, as for [`super::Documents::insert`]. `StorageFull` if there is no space, `Busy` if as many wait as may.
    async fn add(&self, request: DocumentRequest, mark: Option<RequestMark>) -> Result<DocumentJob>;

    async fn get(&self, id: &DocumentJobId) -> Result<DocumentJob>;

    /// One that is queued is not made any more; one that has ended stays as it is.
    async fn cancel(&self, id: &DocumentJobId) -> Result<DocumentJob>;

    /// The job that has waited for the longest time.
    async fn next_pending(&self) -> Result<Option<DocumentJobId>>;

    /// What its document is to be made of; `None` if it does not wait any more.
    async fn pending(&self, id: &DocumentJobId) -> Result<Option<PendingDocument>>;

    /// Stores the document, whose original is what the job has kept, and its line for the audit log, whose object it is, in one transaction with the end of the job. When it returns, a
    /// search finds the document. `NotFound` if the job does not wait any more, `Conflict` if there is a document of the same source; nothing
    /// is stored then.
    async fn complete(
        &self,
        id: &DocumentJobId,
        document: NewDocument,
        chunks: Vec<NewChunk>,
        line: AuditEntry,
    ) -> Result<Document>;

    /// Ends it with a document that is there already, or without one. Does nothing if it does not wait any more.
    async fn end(&self, id: &DocumentJobId, end: Result<DocumentId, JobError>) -> Result<()>;
}
