//! What a guest may ask the host for, bound to one room. The sandbox turns WIT calls into these and knows no more;
//! `services` implements them, so that quotas and rules are the same as behind HTTP.

use super::{SettingsStore, SqlStore};
use crate::{
    DocumentId, Result,
    document::{DocumentWithText, Metadata, Passage},
};
use async_trait::async_trait;
use std::sync::Arc;

#[async_trait]
pub trait DocumentReader: Send + Sync {
    /// Hybrid search in the room. `InvalidRequest` for a limit of 0 or over the server's.
    async fn search(&self, query: &str, limit: u32, filter: Metadata) -> Result<Vec<Passage>>;

    /// `NotFound` if the room has none with the id.
    async fn get(&self, id: &DocumentId) -> Result<DocumentWithText>;
}

#[async_trait]
pub trait TextEmbedder: Send + Sync {
    /// One vector per text. Embedded tokens are metered to the tenant.
    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>>;
}

pub trait TokenCounter: Send + Sync {
    /// Tokens of a text for the model that will read the prompt.
    fn count(&self, text: &str) -> u32;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

pub trait TenantLog: Send + Sync {
    /// A line by the tenant's plugin, for the tenant. Does not block.
    fn write(&self, level: LogLevel, message: &str);
}

/// Everything that the guests of one request can reach.
#[derive(Clone)]
pub struct Capabilities {
    pub documents: Arc<dyn DocumentReader>,
    pub sql: Arc<dyn SqlStore>,
    pub embeddings: Arc<dyn TextEmbedder>,
    pub settings: Arc<dyn SettingsStore>,
    pub tokens: Arc<dyn TokenCounter>,
    pub log: Arc<dyn TenantLog>,
}
