//! What every use case shares: the ports, the limits and the compiled standard pipeline.

use crate::{
    adapter_loads::AdapterLoads,
    canary_windows::CanaryWindows,
    control_admission::ControlAdmission,
    in_flight::InFlightKeys,
    indexing_jobs::IndexingJobs,
    log_buffer::LogBuffers,
    metering::{Metering, MeteringDependencies},
    pinned_accounts::PinnedAccounts,
    plugin_stats::PluginStats,
    reembedding_jobs::ReembeddingJobs,
    signals::Signals,
    snapshots::{RoomSnapshots, SnapshotDependencies},
    standard::{Standard, StandardComponents},
    workers,
};
use riad_admission::{Bounds, FewestHeld, Limiter, Work, Workers};
use riad_core::{
    Digest, Error, ErrorKind, Limits, Result, TenantPass, Timestamp,
    plugin::Stage,
    ports::{
        AuditLog, Cells, ChatEngine, Embedder, KeyStore, Ledger, Moves, OutboundHttp, PlannedComponent, Plans,
        Reranker, Rooms, Sandbox, Scheduler, Telemetry, TenantStore, Tokens, Webhooks,
    },
    resources,
    slot::Slot,
};
use std::{collections::HashSet, sync::Arc, time::Duration};

/// Chats of an account that may wait for the permit to have a file in memory.
const ATTACHED_FILES_WAITING: usize = 32;

/// The implementations that the composition root chose.
pub struct Dependencies {
    pub tenant_store: Arc<dyn TenantStore>,
    pub key_store: Arc<dyn KeyStore>,
    /// Tokens of an identity provider; without it only keys are taken.
    pub tokens: Option<Arc<dyn Tokens>>,
    /// Without it, this server has every tenant.
    pub cells: Option<Arc<dyn Cells>>,
    pub rooms: Arc<dyn Rooms>,
    /// Tenants that go to another cell, or come from one.
    pub moves: Arc<dyn Moves>,
    pub audit: Arc<dyn AuditLog>,
    pub plans: Arc<dyn Plans>,
    pub ledger: Arc<dyn Ledger>,
    pub engine: Arc<dyn ChatEngine>,
    pub embedder: Arc<dyn Embedder>,
    /// Reads the best passages of a search; without it they stay in the order of the fused lists.
    pub reranker: Option<Arc<dyn Reranker>>,
    pub sandbox: Arc<dyn Sandbox>,
    pub http: Arc<dyn OutboundHttp>,
    pub scheduler: Arc<dyn Scheduler>,
    pub telemetry: Arc<dyn Telemetry>,
    pub webhooks: Arc<dyn Webhooks>,
    /// Where rooms are saved; without it, nowhere.
    pub snapshots: Option<SnapshotDependencies>,
    /// Target for the time to the first token, which the scheduler aims at and autoscalers read.
    pub target_first_token: Duration,
    /// Currency of the prices: an ISO 4217 code in lower case.
    pub currency: String,
    pub standard: StandardComponents,
    pub limits: Limits,
}

pub(crate) struct Shared {
    pub tenant_store: Arc<dyn TenantStore>,
    pub key_store: Arc<dyn KeyStore>,
    pub tokens: Option<Arc<dyn Tokens>>,
    pub cells: Option<Arc<dyn Cells>>,
    pub rooms: Arc<dyn Rooms>,
    pub moves: Arc<dyn Moves>,
    /// Of tenants whose move out is at its end: their requests are refused though the moves are not closed.
    pub left_slots: tokio::sync::Mutex<HashSet<Slot>>,
    pub audit: Arc<dyn AuditLog>,
    pub plans: Arc<dyn Plans>,
    pub ledger: Arc<dyn Ledger>,
    pub engine: Arc<dyn ChatEngine>,
    pub embedder: Arc<dyn Embedder>,
    pub reranker: Option<Arc<dyn Reranker>>,
    pub sandbox: Arc<dyn Sandbox>,
    pub http: Arc<dyn OutboundHttp>,
    pub scheduler: Arc<dyn Scheduler>,
    pub telemetry: Arc<dyn Telemetry>,
    pub snapshots: Option<RoomSnapshots>,
    pub metering: Metering,
    pub signals: Signals,
    pub target_first_token: Duration,
    pub currency: String,
    standard: Standard,
    pub limits: Limits,
    pub logs: LogBuffers,
    pub plugin_stats: PluginStats,
    pub canary_windows: CanaryWindows,
    pub in_flight: InFlightKeys,
    pub indexing: IndexingJobs,
    pub reembedding: ReembeddingJobs,
    pub pinned_accounts: PinnedAccounts,
    pub adapter_loads: Arc<AdapterLoads>,
    pub workers: Arc<Workers>,
    /// For an embedder that waits for another server.
    embedding_calls: Option<Arc<Workers>>,
    /// Files of chats that are in memory.
    pub attached_files: Limiter<FewestHeld>,
    pub control: ControlAdmission,
    /// When the server began, in seconds since 1970-01-01 UTC: the base model's `created`.
    pub started: u64,
    /// OpenAI's `system_fingerprint`.
    pub fingerprint: String,
}

impl Shared {
    /// Work that the pass's account pays for.
    pub fn work(&self, pass: &TenantPass) -> Work {
        self.workers.work_of(pass.account(), pass.policy().weight)
    }

    /// Where the embedder's calls are done for some work.
    pub fn embedding_work(&self, work: &Work) -> Work {
        match &self.embedding_calls {
            Some(workers) => work.by(workers),
            None => work.clone(),
        }
    }

    /// Tokens that the embedder and the reranker have read since the process began.
    pub fn embedded(&self) -> u64 {
        let reranked = self.reranker.as_ref().map_or(0, |reranker| reranker.counted());
        self.embedder.counted().saturating_add(reranked)
    }

    /// The server's own component for a stage.
    pub async fn standard(&self, stage: Stage) -> Result<PlannedComponent> {
        self.standard.get(&self.sandbox, stage).await
    }

    /// Compiles those that no start waits for.
    pub async fn warm(&self) -> Result<()> {
        self.standard.warm(&self.sandbox).await
    }

    /// Whether the server's own component for chats has this digest.
    pub fn is_standard(&self, digest: &Digest) -> bool {
        self.standard.is_chat(digest)
    }

    /// The error of a request that is ended by its deadline.
    pub fn deadline_exceeded(&self) -> Error {
        Error::new(
            ErrorKind::Timeout,
            format!("the request took longer than {} ms", self.limits.request_ms),
        )
    }

    /// Tokens that prompt and answer of the pass's tenant may have together.
    pub fn context_tokens(&self, pass: &TenantPass) -> u32 {
        let limit = pass.policy().limits.context_tokens.unwrap_or(u32::MAX);
        self.engine.profile().context_tokens.min(limit)
    }

    pub async fn new(dependencies: Dependencies) -> Result<Self> {
        dependencies.limits.check()?;
        let standard = Standard::compile(dependencies.sandbox.as_ref(), dependencies.standard).await?;
        let metering = Metering::open(MeteringDependencies {
            ledger: Arc::clone(&dependencies.ledger),
            plans: Arc::clone(&dependencies.plans),
            webhooks: dependencies.webhooks,
            telemetry: Arc::clone(&dependencies.telemetry),
        })
        .await?;
        let adapter_loads = Arc::new(AdapterLoads::new(
            dependencies.engine.max_sequences(),
            &dependencies.limits,
        ));
        let workers = workers::start(&dependencies.limits)?;
        let embedding_calls = match dependencies.embedder.waits() {
            true => Some(workers::start_embedding_calls(&dependencies.limits)?),
            false => None,
        };
        let control = ControlAdmission::new(&dependencies.limits);
        let bounds = Bounds {
            per_account: 1,
            waiting_per_account: ATTACHED_FILES_WAITING,
            ..Bounds::of(dependencies.limits.uploads)
        };
        let attached_files = Limiter::new(&resources::ATTACHED_FILES, bounds, FewestHeld);
        let indexing = IndexingJobs::new(&dependencies.limits);
        let system = format!("{} {:?}", env!("CARGO_PKG_VERSION"), dependencies.engine.profile());
        let digest = Digest::of(system.as_bytes()).hex();
        Ok(Self {
            tenant_store: dependencies.tenant_store,
            key_store: dependencies.key_store,
            tokens: dependencies.tokens,
            cells: dependencies.cells,
            rooms: dependencies.rooms,
            signals: Signals::default(),
            moves: dependencies.moves,
            left_slots: tokio::sync::Mutex::default(),
            audit: dependencies.audit,
            plans: dependencies.plans,
            ledger: dependencies.ledger,
            engine: dependencies.engine,
            embedder: dependencies.embedder,
            reranker: dependencies.reranker,
            sandbox: dependencies.sandbox,
            http: dependencies.http,
            scheduler: dependencies.scheduler,
            telemetry: dependencies.telemetry,
            snapshots: dependencies.snapshots.map(RoomSnapshots::new),
            metering,
            target_first_token: dependencies.target_first_token,
            currency: dependencies.currency,
            standard,
            limits: dependencies.limits,
            logs: LogBuffers::default(),
            plugin_stats: PluginStats::default(),
            canary_windows: CanaryWindows::default(),
            in_flight: InFlightKeys::default(),
            indexing,
            reembedding: ReembeddingJobs::default(),
            pinned_accounts: PinnedAccounts::default(),
            adapter_loads,
            workers,
            embedding_calls,
            attached_files,
            control,
            started: Timestamp::now().as_seconds(),
            fingerprint: format!("fp_{}", digest.chars().take(10).collect::<String>()),
        })
    }
}
