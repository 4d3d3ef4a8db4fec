//! The use cases: the only place where ports meet. HTTP handlers and guests' host calls both end here, so that
//! authorisation, limits and metering are the same on both doors.
//!
//! Everything takes a `TenantPass` or an `OperatorPass`; only the operator's use cases take a tenant's id.
//! Not here: HTTP (`api`), WIT (`sandbox`), SQL (`store`), tensors (`engine`), and how they are put together (`app`).

pub mod adapters;
mod capabilities;
pub mod chat;
pub mod chunking;
mod clock;
pub mod counters;
pub mod documents;
pub mod embeddings;
pub mod fifo;
pub mod keys;
pub mod logs;
pub mod models;
pub mod pipeline;
pub mod plugins;
pub mod search;
pub mod settings;
mod shared;
pub mod tenants;

pub use counters::Counters;
pub use fifo::Fifo;
pub use shared::Parts;

use riad_core::{Limits, OperatorPass, Result, Secret, TenantPass};
use shared::Shared;
use std::sync::Arc;

/// All use cases over one set of parts. Cloning is cheap.
#[derive(Clone)]
pub struct Services(Arc<Shared>);

impl Services {
    /// Checks the limits and compiles the standard pipeline, once.
    ///
    /// # Errors
    /// A limit that cannot work, or a standard component that does not serve every stage.
    pub async fn new(parts: Parts) -> Result<Self> {
        Ok(Self(Arc::new(Shared::new(parts).await?)))
    }

    /// # Errors
    /// `Unauthenticated` for a key that no tenant has.
    pub async fn authorise(&self, presented: Secret<String>) -> Result<TenantPass> {
        TenantPass::authorise(self.0.keyring.as_ref(), &presented).await
    }

    /// # Errors
    /// `Unauthenticated` for anything but the operator's key.
    pub async fn authorise_operator(&self, presented: Secret<String>) -> Result<OperatorPass> {
        OperatorPass::authorise(self.0.keyring.as_ref(), &presented).await
    }

    /// Makes sure that there is an operator's key: the configured one, or the one that was made at an earlier start, or a
    /// new one, which is returned to be shown once.
    ///
    /// # Errors
    /// `InvalidRequest` for a configured key that is too short to be a secret.
    pub async fn ensure_operator_key(&self, configured: Option<Secret<String>>) -> Result<Option<Secret<String>>> {
        keys::ensure_operator_key(self.0.keyring.as_ref(), configured).await
    }

    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    #[must_use]
    pub fn chat(&self) -> chat::ChatService {
        chat::ChatService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn documents(&self) -> documents::DocumentService {
        documents::DocumentService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn search(&self) -> search::SearchService {
        search::SearchService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn embeddings(&self) -> embeddings::EmbeddingService {
        embeddings::EmbeddingService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn plugins(&self) -> plugins::PluginService {
        plugins::PluginService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn pipeline(&self) -> pipeline::PipelineService {
        pipeline::PipelineService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn settings(&self) -> settings::SettingsService {
        settings::SettingsService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn adapters(&self) -> adapters::AdapterService {
        adapters::AdapterService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn models(&self) -> models::ModelService {
        models::ModelService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn logs(&self) -> logs::LogService {
        logs::LogService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn tenants(&self) -> tenants::TenantService {
        tenants::TenantService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn keys(&self) -> keys::KeyService {
        keys::KeyService(Arc::clone(&self.0))
    }
}
