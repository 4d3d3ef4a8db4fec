//! The use cases: the only place where ports meet. HTTP handlers and guests' host calls both end here, so that
//! authorization, limits and metering are the same for both.
//!
//! Every use case takes a `TenantPass` or an `OperatorPass`, but for the public receipt keys and the metrics; only the operator's
//! take a tenant's id.
//! Not here: HTTP (`api`), WIT (`sandbox`), SQL (`store`), tensors (`engine`), and how they are put together (`app`).

pub mod accrual;
mod adapter_loads;
pub mod adapters;
pub mod audit;
pub mod call_minutes;
mod canary;
mod canary_windows;
mod capabilities;
pub mod chat;
mod control_admission;
pub mod document_jobs;
mod document_maker;
pub mod documents;
pub mod embeddings;
pub mod fair;
pub mod fifo;
mod file_search;
pub mod files;
mod generations;
mod guest_generations;
pub mod idempotency;
pub mod idle_rooms;
mod in_flight;
mod indexing;
mod indexing_jobs;
mod ingestion;
pub mod keys;
mod log_buffer;
pub mod logs;
pub mod metering;
pub mod models;
pub mod moves;
mod pinned_accounts;
pub mod pipeline;
pub mod plans;
pub mod plugin_stats;
pub mod plugins;
mod prompts;
mod query_rewriting;
mod reembedding;
mod reembedding_jobs;
mod reranking;
pub mod responses;
pub mod scale;
pub mod search;
pub mod settings;
mod shared;
pub mod signals;
pub mod snapshots;
mod standard;
pub mod tenants;
pub mod text;
mod time_classes;
pub mod tokens;
pub mod tools;
pub mod uploads;
pub mod usage;
pub mod vector_stores;
mod workers;

pub use fair::FairQueue;
pub use fifo::FifoQueue;
pub use riad_admission::Kept;
pub use shared::Dependencies;
pub use standard::StandardComponents;
pub use time_classes::TimeClasses;
pub use workers::digest_of_parts;

use riad_core::{Limits, OperatorPass, Result, Secret, TenantPass, Timestamp, audit::Origin, ledger::EngineTokens};
use shared::Shared;
use std::{sync::Arc, time::Duration};

/// All use cases over one set of dependencies. Cloning is cheap.
#[derive(Clone)]
pub struct Services(Arc<Shared>);

impl Services {
    /// Checks the limits and compiles the standard pipeline, once.
    ///
    /// # Errors
    /// A limit that cannot work, or a standard component that does not serve every stage.
    pub async fn new(dependencies: Dependencies) -> Result<Self> {
        let shared = Arc::new(Shared::new(dependencies).await?);
        moves::keep_slots(&shared).await?;
        Ok(Self(shared))
    }

    /// Compiles what no start waits for, so that the first file does not.
    ///
    /// # Errors
    /// A component of the server's that cannot be compiled.
    pub async fn warm(&self) -> Result<()> {
        self.0.warm().await
    }

    /// Work for a request, such as parsing a large body.
    #[must_use]
    pub fn work(&self, pass: &TenantPass) -> riad_admission::Work {
        self.0.work(pass)
    }

    /// # Errors
    /// `Unauthenticated` for a key or token that is unknown, expired or revoked; `Misdirected` for one of a tenant in another cell.
    pub async fn authorize(&self, presented: Secret<String>, origin: Origin) -> Result<TenantPass> {
        TenantPass::authorize(
            self.0.key_store.as_ref(),
            self.0.tokens.as_deref(),
            self.0.cells.as_deref(),
            &presented,
            origin,
            Timestamp::now().as_seconds(),
        )
        .await
    }

    /// # Errors
    /// `Unauthenticated` for anything but the operator's key.
    pub async fn authorize_operator(&self, presented: Secret<String>, origin: Origin) -> Result<OperatorPass> {
        OperatorPass::authorize(self.0.key_store.as_ref(), &presented, origin).await
    }

    /// Makes sure that there is an operator's key: the configured one, or the one that was made at an earlier start, or a
    /// new one, which is returned to be shown once.
    ///
    /// # Errors
    /// `InvalidRequest` for a configured key that is too short to be a secret.
    pub async fn ensure_operator_key(&self, configured: Option<Secret<String>>) -> Result<Option<Secret<String>>> {
        keys::ensure_operator_key(self.0.key_store.as_ref(), configured).await
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
    pub fn document_jobs(&self) -> document_jobs::DocumentJobService {
        document_jobs::DocumentJobService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn files(&self) -> files::FileService {
        files::FileService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn uploads(&self) -> uploads::UploadService {
        uploads::UploadService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn vector_stores(&self) -> vector_stores::VectorStoreService {
        vector_stores::VectorStoreService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn responses(&self) -> responses::ResponseService {
        responses::ResponseService(Arc::clone(&self.0))
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

    /// When the server began, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.0.started
    }

    #[must_use]
    pub fn tools(&self) -> tools::ToolService {
        tools::ToolService(Arc::clone(&self.0))
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
    pub fn tokens(&self) -> tokens::TokenService {
        tokens::TokenService(Arc::clone(&self.0))
    }

    /// The same as long as the version of the server and its model are: with the same seed, answers are then the same.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
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
    pub fn moves(&self) -> moves::MoveService {
        moves::MoveService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn keys(&self) -> keys::KeyService {
        keys::KeyService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn audit(&self) -> audit::AuditService {
        audit::AuditService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn plans(&self) -> plans::PlanService {
        plans::PlanService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn idempotency(&self) -> idempotency::IdempotencyService {
        idempotency::IdempotencyService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn scale(&self) -> scale::ScaleService {
        scale::ScaleService(Arc::clone(&self.0))
    }

    #[must_use]
    pub fn usage(&self) -> usage::UsageService {
        usage::UsageService(Arc::clone(&self.0))
    }

    /// The caller's rate limits and what is left of them.
    #[must_use]
    pub fn rates(&self, pass: &TenantPass) -> metering::RateState {
        self.0.metering.rates(pass)
    }

    /// The currency of prices: ISO 4217, lower case.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.0.currency
    }

    /// Records the engine's token counts after the last request, so that the ledger of this run can be verified to the token.
    /// Requests that were cut off are settled within a token or two; waits for them, for `patience` at most.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub async fn end_run(&self, patience: Duration) -> Result<()> {
        let metering = &self.0.metering;
        let settled = async {
            while metering.held_tokens() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(patience, settled).await.is_err() {
            tracing::warn!(
                held_tokens = metering.held_tokens(),
                "requests could not be settled at the end"
            );
        }
        let counted = EngineTokens {
            embedded: self.0.embedded(),
            ..self.0.engine.counted()
        };
        self.0.ledger.end_run(counted).await
    }
}
