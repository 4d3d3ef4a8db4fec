//! The host functions of a guest, bound to one room. The sandbox converts WIT calls to these; `services` implements them, so that
//! the same quotas and rules hold as for HTTP.

use super::{CallObserver, Generator, HttpClient, KvStore, SettingsStore, SqlStore};
use crate::{
    DocumentId, Result, VectorStoreId,
    document::{Document, DocumentWithText, Metadata, Page, Passage},
};
use async_trait::async_trait;
use std::sync::Arc;

/// Documents that a guest may list at once (`wit/riad-documents`).
pub const DOCUMENTS_LISTED: u32 = 100;

#[async_trait]
pub trait DocumentReader: Send + Sync {
    /// Hybrid search in what the room's pipeline or the request searches. `InvalidRequest` for a limit of 0 or over the server's.
    async fn search(&self, query: &str, limit: u32, filter: Metadata) -> Result<Vec<Passage>>;

    /// As `search`, in these vector stores of the room; `filter` is of the files' attributes. `NotFound` if the room does not have one of them.
    async fn search_stores(
        &self,
        stores: Vec<VectorStoreId>,
        query: &str,
        limit: u32,
        filter: Metadata,
    ) -> Result<Vec<Passage>>;

    /// `NotFound` if the room has none with the id.
    async fn get(&self, id: &DocumentId) -> Result<DocumentWithText>;

    /// In the order of their ids. `InvalidRequest` for a limit of 0 or over [`DOCUMENTS_LISTED`].
    async fn list(&self, page: &Page) -> Result<Vec<Document>>;
}

#[async_trait]
pub trait TextEmbedder: Send + Sync {
    /// One vector per text. Embedded tokens are metered to the tenant.
    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>>;
}

#[async_trait]
pub trait TokenCounter: Send + Sync {
    /// Number of tokens of a text in the chat model's vocabulary.
    async fn count(&self, text: String) -> Result<u32>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

pub trait TenantLog: Send + Sync {
    /// Appends a line of the tenant's plugin to the tenant's log. Does not block.
    fn write(&self, level: LogLevel, message: &str);
}

/// All that the guests of one request can reach.
#[derive(Clone)]
pub struct Capabilities {
    pub documents: Arc<dyn DocumentReader>,
    pub sql: Arc<dyn SqlStore>,
    pub kv: Arc<dyn KvStore>,
    pub embeddings: Arc<dyn TextEmbedder>,
    pub generation: Arc<dyn Generator>,
    pub http: Arc<dyn HttpClient>,
    pub settings: Arc<dyn SettingsStore>,
    pub tokens: Arc<dyn TokenCounter>,
    pub log: Arc<dyn TenantLog>,
    pub calls: Arc<dyn CallObserver>,
}
