//! Documents that are made while nobody waits for them. Not here: what they are made of (`ingestion`), what they become (`document`).

use crate::{DocumentJobId, Error, ErrorKind, document::Document, ingestion::DocumentRequest};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq)]
pub struct DocumentJob {
    pub id: DocumentJobId,
    pub status: JobStatus,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
    /// Of one that is in progress.
    pub progress: Option<JobProgress>,
    /// Of one that is completed, unless it was deleted since.
    pub document: Option<Document>,
    /// Of one that has failed.
    pub error: Option<JobError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStatus {
    Queued,
    /// Known to the process that makes the document, and not kept: after a crash it is queued.
    InProgress,
    Completed,
    Failed,
    Cancelled,
}

impl JobStatus {
    pub const ALL: [Self; 5] = [
        Self::Queued,
        Self::InProgress,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// `None` for any other word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether nothing follows it.
    #[must_use]
    pub fn is_end(self) -> bool {
        match self {
            Self::Queued | Self::InProgress => false,
            Self::Completed | Self::Failed | Self::Cancelled => true,
        }
    }
}

/// What is being done for a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStage {
    Extraction,
    Chunking,
    Embedding,
    Storing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobProgress {
    pub stage: JobStage,
    /// Chunks that are embedded.
    pub chunks_done: u32,
    /// `None` until the document is cut into chunks.
    pub chunks_total: Option<u32>,
}

impl JobProgress {
    /// A stage before there are chunks.
    #[must_use]
    pub fn before_chunks(stage: JobStage) -> Self {
        Self {
            stage,
            chunks_done: 0,
            chunks_total: None,
        }
    }
}

/// Why there is no document, in words for the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    pub kind: ErrorKind,
    pub message: String,
    /// The field of the request at fault.
    pub param: Option<String>,
    /// For programs, where that of the kind does not say enough.
    pub code: Option<String>,
}

impl From<&Error> for JobError {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.message_for_client().to_owned(),
            param: error.param().map(str::to_owned),
            code: error.code().map(str::to_owned),
        }
    }
}

/// A job whose document is to be made now.
#[derive(Debug, PartialEq)]
pub struct PendingDocument {
    pub id: DocumentJobId,
    pub request: DocumentRequest,
}
