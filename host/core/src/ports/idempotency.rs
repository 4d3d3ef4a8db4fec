//! Stored responses: a request that is repeated under its idempotency key gets the first one's and does not run again.

use crate::{Digest, DocumentId, DocumentJobId, Result};
use async_trait::async_trait;
use bytes::Bytes;

/// A finished answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// Of method, path and body of the request that it answers.
    pub request: Digest,
    pub status: u16,
    /// Empty if the answer was too long to be kept, as is the body then.
    pub content_type: String,
    pub body: Bytes,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
}

/// A request under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestMark {
    pub key: String,
    /// Of method, path and body.
    pub request: Digest,
}

/// What is kept of a request under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptRequest {
    Answered(StoredResponse),
    /// It has stored something, and its answer was not kept: the process died in between, or the answer was too long.
    Stored {
        request: Digest,
        object: StoredObject,
    },
}

/// What a request has stored that is not to be stored twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredObject {
    Document(DocumentId),
    DocumentJob(DocumentJobId),
}

/// The implementation is bound to one room: an answer has a tenant's content in it.
#[async_trait]
pub trait IdempotencyStore: Send + Sync {
    /// What is kept under an idempotency key, if it is not older than `not_before`.
    async fn get(&self, key: &str, not_before: u64) -> Result<Option<KeptRequest>>;

    /// Keeps an answer and forgets those that are older than `not_before`.
    async fn put(&self, key: &str, response: &StoredResponse, not_before: u64) -> Result<()>;
}
