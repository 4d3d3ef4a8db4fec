//! Wrappers around the real ports that a chat calls; they record each call on a stopwatch.

use crate::stopwatch::{Part, Stopwatch};
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use riad_core::{
    Account, Digest, DocumentId, KeyId, OperatorPass, PlanName, PluginName, PluginVersion, Result, Secret, TenantId,
    TenantPass,
    audit::AuditEntry,
    chat::{FinishReason, Tool},
    document::{
        ChunkSource, Document, NewChunk, NewDocument, Page, Passage, SearchQuery, StoredChunk, UnembeddedChunk,
    },
    ledger::{ChainHead, EngineTokens, Entry, EntryCheck, Hold, Record, Spent, Verification},
    pass::{KeyHash, ManagedTenant},
    pipeline::{EndedCanary, Pipeline},
    plugin::{Ending, Prompt, StageRequest, ToolOutcome},
    ports::{
        Capabilities, ComponentInfo, Documents, Embedder, EmbeddingSpace, EnginePermit, FilterId, GuestUse,
        IngestionRun, KeyRecord, KeyStore, Ledger, PipelinePlan, PipelineRun, PlanRotation, Plans, PluginStore,
        QueueRequest, QueueState, RequestMark, Room, Rooms, Sandbox, Scheduler, SettingsStore, StoredBytes, TextRole,
    },
    price::{Plan, PriceList},
    tenant::{Key, KeyChange, Tenant},
    usage::{EntryQuery, LedgerScope, Rollup, UsageBucket, UsageQuery},
};
use riad_services::Dependencies;
use serde_json::{Map, Value};
use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

/// A port and the stopwatch of its calls.
struct Timed<T: ?Sized> {
    port: Arc<T>,
    watch: Stopwatch,
}

/// The same parts, timed.
pub fn timed(parts: Dependencies, watch: &Stopwatch) -> Dependencies {
    Dependencies {
        key_store: wrap(parts.key_store, watch),
        plans: wrap(parts.plans, watch),
        rooms: wrap(parts.rooms, watch),
        ledger: wrap(parts.ledger, watch),
        embedder: wrap(parts.embedder, watch),
        sandbox: wrap(parts.sandbox, watch),
        scheduler: wrap(parts.scheduler, watch),
        ..parts
    }
}

fn wrap<T: ?Sized>(port: Arc<T>, watch: &Stopwatch) -> Arc<Timed<T>> {
    Arc::new(Timed {
        port,
        watch: watch.clone(),
    })
}

#[async_trait]
impl KeyStore for Timed<dyn KeyStore> {
    async fn find(&self, hash: &KeyHash, now: u64) -> Result<Option<KeyRecord>> {
        self.watch.time(Part::Authorize, self.port.find(hash, now)).await
    }

    async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>> {
        self.port.tenant(id).await
    }

    async fn get(&self, tenant: &ManagedTenant, key: &KeyId) -> Result<Key> {
        self.port.get(tenant, key).await
    }

    async fn insert(&self, tenant: &ManagedTenant, key: &Key, hash: &KeyHash, audit: AuditEntry) -> Result<()> {
        self.port.insert(tenant, key, hash, audit).await
    }

    async fn rotate(&self, tenant: &ManagedTenant, old: &KeyId, plan: PlanRotation) -> Result<Key> {
        self.port.rotate(tenant, old, plan).await
    }

    async fn list(&self, tenant: &ManagedTenant, prefix: Option<&str>) -> Result<Vec<Key>> {
        self.port.list(tenant, prefix).await
    }

    async fn change(&self, tenant: &ManagedTenant, key: &KeyId, change: KeyChange, audit: AuditEntry) -> Result<Key> {
        self.port.change(tenant, key, change, audit).await
    }

    async fn revoke(&self, tenant: &ManagedTenant, key: &KeyId, audit: AuditEntry) -> Result<()> {
        self.port.revoke(tenant, key, audit).await
    }

    async fn operator_hash(&self) -> Result<Option<KeyHash>> {
        self.port.operator_hash().await
    }

    async fn set_operator_hash(&self, hash: &KeyHash) -> Result<()> {
        self.port.set_operator_hash(hash).await
    }
}

#[async_trait]
impl Plans for Timed<dyn Plans> {
    async fn add(&self, name: &PlanName, prices: &PriceList, created: u64, audit: AuditEntry) -> Result<Plan> {
        self.port.add(name, prices, created, audit).await
    }

    async fn list(&self) -> Result<Vec<Plan>> {
        self.port.list().await
    }

    async fn current(&self, name: &PlanName) -> Result<Plan> {
        self.watch.time(Part::Prices, self.port.current(name)).await
    }
}

#[async_trait]
impl Rooms for Timed<dyn Rooms> {
    async fn open(&self, pass: &TenantPass) -> Result<Room> {
        let room = self.watch.time(Part::OpenRoom, self.port.open(pass)).await?;
        Ok(Room {
            documents: wrap(room.documents, &self.watch),
            settings: wrap(room.settings, &self.watch),
            plugins: wrap(room.plugins, &self.watch),
            ..room
        })
    }

    fn check_change(&self, pass: &TenantPass) -> Result<()> {
        self.port.check_change(pass)
    }

    async fn remove(&self, operator: &OperatorPass, tenant: &TenantId) -> Result<()> {
        self.port.remove(operator, tenant).await
    }

    async fn stored(&self) -> Result<Vec<StoredBytes>> {
        self.port.stored().await
    }

    async fn close_idle(&self, idle: Duration) -> Result<()> {
        self.port.close_idle(idle).await
    }

    fn open_rooms(&self) -> u64 {
        self.port.open_rooms()
    }

    fn open_room_bytes(&self) -> u64 {
        self.port.open_room_bytes()
    }
}

#[async_trait]
impl Documents for Timed<dyn Documents> {
    async fn insert(
        &self,
        document: NewDocument,
        chunks: Vec<NewChunk>,
        mark: Option<RequestMark>,
    ) -> Result<Document> {
        self.port.insert(document, chunks, mark).await
    }

    async fn get(&self, id: &DocumentId, text: Range<u64>) -> Result<(Document, Bytes)> {
        self.port.get(id, text).await
    }

    async fn chunks(&self, id: &DocumentId, numbers: Range<u32>) -> Result<(Document, Vec<StoredChunk>)> {
        self.port.chunks(id, numbers).await
    }

    async fn find_source(&self, source: &Digest) -> Result<Option<Document>> {
        self.port.find_source(source).await
    }

    async fn locate(&self, chunks: &[(DocumentId, u32)]) -> Result<Vec<ChunkSource>> {
        self.watch.time(Part::Search, self.port.locate(chunks)).await
    }

    async fn list(&self, page: &Page) -> Result<Vec<Document>> {
        self.port.list(page).await
    }

    async fn delete(&self, id: &DocumentId) -> Result<()> {
        self.port.delete(id).await
    }

    async fn search(&self, query: &SearchQuery) -> Result<Vec<Passage>> {
        self.watch.time(Part::Search, self.port.search(query)).await
    }

    fn unembedded(&self) -> u64 {
        self.port.unembedded()
    }

    async fn next_unembedded(&self, most: u32) -> Result<Vec<UnembeddedChunk>> {
        self.port.next_unembedded(most).await
    }

    async fn set_embeddings(&self, embedded: Vec<(i64, Vec<f32>)>) -> Result<()> {
        self.port.set_embeddings(embedded).await
    }

    async fn find_embeddings(&self, texts: &[Digest]) -> Result<Vec<Option<Vec<f32>>>> {
        self.port.find_embeddings(texts).await
    }

    async fn watermark(&self) -> Result<u64> {
        self.watch.time(Part::Watermark, self.port.watermark()).await
    }
}

#[async_trait]
impl SettingsStore for Timed<dyn SettingsStore> {
    async fn get(&self) -> Result<Map<String, Value>> {
        self.watch.time(Part::Settings, self.port.get()).await
    }

    async fn put(&self, settings: &Map<String, Value>) -> Result<()> {
        self.port.put(settings).await
    }
}

#[async_trait]
impl PluginStore for Timed<dyn PluginStore> {
    async fn put(&self, version: &PluginVersion, component: Bytes) -> Result<()> {
        self.port.put(version, component).await
    }

    async fn list(&self) -> Result<Vec<PluginVersion>> {
        self.port.list().await
    }

    async fn load(&self, name: &PluginName, version: &Digest) -> Result<(PluginVersion, Bytes)> {
        self.port.load(name, version).await
    }

    async fn delete(&self, name: &PluginName, version: &Digest) -> Result<()> {
        self.port.delete(name, version).await
    }

    async fn pipeline(&self) -> Result<Pipeline> {
        self.watch.time(Part::Pipeline, self.port.pipeline()).await
    }

    async fn set_pipeline(&self, pipeline: &Pipeline) -> Result<Pipeline> {
        self.port.set_pipeline(pipeline).await
    }

    async fn end_canary(&self, trial: &Digest, ended: &EndedCanary, line: &AuditEntry) -> Result<bool> {
        self.port.end_canary(trial, ended, line).await
    }

    async fn move_audit_lines(&self) -> Result<()> {
        self.port.move_audit_lines().await
    }
}

impl Embedder for Timed<dyn Embedder> {
    fn space(&self) -> &EmbeddingSpace {
        self.port.space()
    }

    fn fusion_weight(&self) -> f32 {
        self.port.fusion_weight()
    }

    fn call_bytes(&self) -> usize {
        self.port.call_bytes()
    }

    fn most_tokens(&self, bytes: usize) -> u64 {
        self.port.most_tokens(bytes)
    }

    fn waits(&self) -> bool {
        self.port.waits()
    }

    fn embed(&self, texts: &[String], role: TextRole) -> Result<(Vec<Vec<f32>>, u32)> {
        self.watch.time_now(Part::Embed, || self.port.embed(texts, role))
    }

    fn counted(&self) -> u64 {
        self.port.counted()
    }
}

#[async_trait]
impl Ledger for Timed<dyn Ledger> {
    fn append(&self, record: Record) -> BoxFuture<'static, Result<()>> {
        let part = match &record {
            Record::Hold(hold) if hold.at_most.prompt_tokens == 0 => Part::HoldQuery,
            Record::Hold(_) => Part::Hold,
            Record::Entry(_) => Part::Entry,
        };
        // From here and not from where it is awaited: it is written meanwhile.
        let begun = Instant::now();
        let (writing, watch) = (self.port.append(record), self.watch.clone());
        Box::pin(async move {
            let written = writing.await;
            watch.write(part, begun);
            written
        })
    }

    async fn abandoned(&self) -> Result<Vec<Hold>> {
        self.port.abandoned().await
    }

    async fn head(&self, account: Account) -> Result<ChainHead> {
        self.port.head(account).await
    }

    async fn spent(&self, account: Account, key: Option<&KeyId>, now: u64) -> Result<Spent> {
        self.port.spent(account, key, now).await
    }

    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageBucket>> {
        self.port.usage(query).await
    }

    async fn rollups(&self, scope: LedgerScope, start: u64, end: u64) -> Result<Vec<Rollup>> {
        self.port.rollups(scope, start, end).await
    }

    async fn entries(&self, query: EntryQuery) -> Result<Vec<(u64, Entry)>> {
        self.port.entries(query).await
    }

    async fn verify(&self, check: Box<EntryCheck>) -> Result<Verification> {
        self.port.verify(check).await
    }

    async fn end_run(&self, engine: EngineTokens) -> Result<()> {
        self.port.end_run(engine).await
    }

    async fn signing_key(&self, make: Vec<u8>) -> Result<Secret<Vec<u8>>> {
        self.port.signing_key(make).await
    }
}

#[async_trait]
impl Scheduler for Timed<dyn Scheduler> {
    async fn enter(&self, ask: QueueRequest<'_>) -> Result<EnginePermit> {
        self.watch.time(Part::Queue, self.port.enter(ask)).await
    }

    fn state(&self) -> QueueState {
        self.port.state()
    }
}

#[async_trait]
impl Sandbox for Timed<dyn Sandbox> {
    async fn compile(&self, account: Option<Account>, component: Bytes) -> Result<ComponentInfo> {
        self.port.compile(account, component).await
    }

    async fn start(&self, plan: &PipelinePlan, capabilities: Capabilities) -> Result<Box<dyn PipelineRun>> {
        let starting = self.port.start(plan, capabilities);
        let run = self.watch.time(Part::Start, starting).await?;
        Ok(Box::new(TimedRun {
            run: Some(run),
            watch: self.watch.clone(),
        }))
    }

    async fn start_ingestion(
        &self,
        plan: &PipelinePlan,
        capabilities: Capabilities,
        fuel: u64,
    ) -> Result<Box<dyn IngestionRun>> {
        self.port.start_ingestion(plan, capabilities, fuel).await
    }
}

struct TimedRun {
    /// Gone when it is dropped, and only then.
    run: Option<Box<dyn PipelineRun>>,
    watch: Stopwatch,
}

impl TimedRun {
    fn run(&self) -> &dyn PipelineRun {
        self.run.as_deref().unwrap()
    }
}

#[async_trait]
impl PipelineRun for TimedRun {
    async fn retrieve(&self, request: &StageRequest) -> Result<Vec<Passage>> {
        self.watch.time(Part::Retrieve, self.run().retrieve(request)).await
    }

    async fn build_prompt(&self, request: &StageRequest, passages: &[Passage]) -> Result<Prompt> {
        let building = self.run().build_prompt(request, passages);
        self.watch.time(Part::BuildPrompt, building).await
    }

    async fn open_filter(&self, request: &StageRequest, prompt: &Prompt) -> Result<FilterId> {
        let opening = self.run().open_filter(request, prompt);
        self.watch.time(Part::OpenFilter, opening).await
    }

    async fn push(&self, filter: FilterId, piece: &str) -> Result<String> {
        self.watch.time(Part::Push, self.run().push(filter, piece)).await
    }

    async fn finish(&self, filter: FilterId, reason: FinishReason) -> Result<Ending> {
        self.watch.time(Part::Finish, self.run().finish(filter, reason)).await
    }

    async fn offer_tools(&self) -> Result<Vec<Tool>> {
        self.run().offer_tools().await
    }

    async fn call_tool(&self, name: &str, arguments: &str) -> Result<ToolOutcome> {
        self.run().call_tool(name, arguments).await
    }
}

impl GuestUse for TimedRun {
    fn fuel(&self) -> u64 {
        self.run().fuel()
    }

    fn time(&self) -> Duration {
        self.run().time()
    }
}

impl Drop for TimedRun {
    fn drop(&mut self) {
        let begun = Instant::now();
        drop(self.run.take());
        self.watch.write(Part::EndGuests, begun);
    }
}
