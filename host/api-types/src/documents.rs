//! `/v1/documents`. A document may also come as a form with a file, which the server reads as a stream.

use crate::{error::ErrorDetail, nulls};
use riad_core::{document, document_job};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use utoipa::{IntoParams, ToSchema};

#[derive(Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DocumentParams {
    /// Documents in the answer, 20 if it is not given.
    pub limit: Option<u32>,
    /// The last id of the page before, also if it was deleted since.
    pub after: Option<String>,
}

#[derive(Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NewDocumentParams {
    /// With `false` the answer is a job, which makes the document; with `true`, as if it is not given, it is the document.
    pub wait: Option<bool>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDocument {
    pub title: String,
    pub text: String,
    #[serde(default, deserialize_with = "nulls::or_default")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Map<String, Value>,
    /// `text` if it is not given.
    #[serde(default, deserialize_with = "nulls::or_default")]
    #[schema(value_type = Option<TextFormat>)]
    pub format: TextFormat,
}

/// How the text is written, which says where it may be cut.
#[derive(Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TextFormat {
    #[default]
    Text,
    Markdown,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct DocumentList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    /// In the order of insertion.
    pub data: Vec<Document>,
    pub has_more: bool,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Document {
    #[schema(example = "document")]
    pub object: Cow<'static, str>,
    pub id: String,
    pub title: String,
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    pub chunks: u32,
    /// Of the text.
    pub bytes: u64,
    pub created: u64,
    /// Of its file, as found in the bytes; absent of a document that came as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What its file has and the text has not, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The id of its original among the files of `/v1/files`; absent of a document that came as text, and if that file was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct DocumentWithText {
    #[serde(flatten)]
    pub document: Document,
    pub text: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct DeletedDocument {
    #[schema(example = "document.deleted")]
    pub object: Cow<'static, str>,
    pub id: String,
    pub deleted: bool,
}

/// A document that is made while nobody waits. What has ended is kept for a day, and the last thousand.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct DocumentJob {
    pub id: String,
    #[schema(example = "document.job")]
    pub object: Cow<'static, str>,
    pub status: DocumentJobStatus,
    pub created_at: u64,
    /// While it is in progress.
    pub progress: Option<DocumentJobProgress>,
    /// Once it is completed, unless it was deleted since.
    pub document: Option<Document>,
    /// Once it has failed: what the answer would have been.
    pub error: Option<ErrorDetail>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentJobStatus {
    Queued,
    InProgress,
    Completed,
    Failed,
    Cancelled,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct DocumentJobProgress {
    pub stage: DocumentJobStage,
    /// Chunks that are embedded.
    pub chunks_done: u32,
    /// Once the document is cut into chunks.
    pub chunks_total: Option<u32>,
}

#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentJobStage {
    Extraction,
    Chunking,
    Embedding,
    Storing,
}

impl DocumentJob {
    /// `error` is of one that has failed, in words for clients.
    #[must_use]
    pub fn new(job: document_job::DocumentJob, error: Option<ErrorDetail>) -> Self {
        Self {
            id: job.id.into(),
            object: "document.job".into(),
            status: job.status.into(),
            created_at: job.created,
            progress: job.progress.map(DocumentJobProgress::from),
            document: job.document.map(Document::from),
            error,
        }
    }
}

impl From<document_job::JobStatus> for DocumentJobStatus {
    fn from(status: document_job::JobStatus) -> Self {
        match status {
            document_job::JobStatus::Queued => Self::Queued,
            document_job::JobStatus::InProgress => Self::InProgress,
            document_job::JobStatus::Completed => Self::Completed,
            document_job::JobStatus::Failed => Self::Failed,
            document_job::JobStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl From<document_job::JobProgress> for DocumentJobProgress {
    fn from(progress: document_job::JobProgress) -> Self {
        Self {
            stage: match progress.stage {
                document_job::JobStage::Extraction => DocumentJobStage::Extraction,
                document_job::JobStage::Chunking => DocumentJobStage::Chunking,
                document_job::JobStage::Embedding => DocumentJobStage::Embedding,
                document_job::JobStage::Storing => DocumentJobStage::Storing,
            },
            chunks_done: progress.chunks_done,
            chunks_total: progress.chunks_total,
        }
    }
}

impl From<document::Document> for Document {
    fn from(document: document::Document) -> Self {
        Self {
            object: "document".into(),
            id: document.id.into(),
            title: document.title,
            metadata: document.metadata,
            chunks: document.chunks,
            bytes: document.bytes,
            created: document.created,
            media_type: document.media_type,
            warnings: document.warnings,
            file: document.file.map(String::from),
        }
    }
}
