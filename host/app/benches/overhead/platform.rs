//! Riad whole, put together as `wire.rs` does, but for its engine: the real store, sandbox, queue, metering, API and listener, in a
//! folder of its own, with two tenants: one whose room is empty, and one that has documents.

use crate::{
    engine::{FixedEngine, SEQUENCES},
    probes,
    stopwatch::Stopwatch,
};
use bytes::Bytes;
use riad_api::{AllowedOrigins, Lifecycle, MetricsAccess, ServeOptions, Serving, Tasks};
use riad_core::{
    Limits, OperatorPass, PlanName, Secret, TenantPass,
    audit::Origin,
    document::Metadata,
    ingestion::{DocumentRequest, DocumentSource, TextFormat},
    ports::{ChatEngine, Embedder},
    price::PriceList,
};
use riad_embeddings::StaticEmbedder;
use riad_outbound::{GuestHttp, HttpWebhooks};
use riad_sandbox::{Compiler, WasmSandbox};
use riad_services::{Dependencies, FairQueue, Services, StandardComponents};
use riad_store::Store;
use riad_telemetry::{Metrics, MetricsConfig};
use serde_json::json;
use std::{fs, path::Path, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::spawn_blocking};

const STANDARD: &[u8] = include_bytes!("../../../../plugins/standard/standard.wasm");
const EXTRACTOR: &[u8] = include_bytes!("../../../../plugins/extractor/extractor.wasm");
const CHUNKER: &[u8] = include_bytes!("../../../../plugins/chunker/chunker.wasm");
const OPERATOR: &str = "riad_op_for_the_bench_of_overhead";
const TARGET: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(10);
pub const DOCUMENTS: usize = 100;

pub struct Platform {
    pub url: String,
    /// Of the tenant whose room is empty.
    pub empty: Secret<String>,
    /// Of the tenant that has [`DOCUMENTS`] documents.
    pub filled: Secret<String>,
    services: Services,
    store: Store,
    serving: Serving,
    _folder: tempfile::TempDir,
}

impl Platform {
    /// Its data lie below `place`, or where temporary files do. With a stopwatch, its ports write down on it.
    pub async fn open(place: Option<&Path>, watch: Option<&Stopwatch>) -> Self {
        let folder = place
            .map_or_else(tempfile::tempdir, tempfile::tempdir_in)
            .expect("a folder for the data");
        let limits = Limits::default();
        let (parts, store) = parts(folder.path(), &limits).await;
        let parts = match watch {
            Some(watch) => probes::timed(parts, watch),
            None => parts,
        };
        let services = Services::new(parts).await.unwrap();
        let secret = Secret::new(OPERATOR.to_owned());
        services.ensure_operator_key(Some(secret.clone())).await.unwrap();
        let operator = services.authorize_operator(secret, Origin::default()).await.unwrap();
        let prices = PriceList {
            requests: 1_000_000,
            prompt_tokens: 150_000,
            completion_tokens: 600_000,
            embedded_tokens: 20_000,
            fuel: 1,
            ..PriceList::default()
        };
        let plan = services.plans().put(&operator, &PlanName::standard(), &prices).await;
        plan.unwrap();
        let empty = tenant(&services, &operator, "empty").await;
        let filled = tenant(&services, &operator, "filled").await;
        let pass = services.authorize(filled.clone(), Origin::default()).await.unwrap();
        fill(&services, &pass).await;

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let lifecycle = Lifecycle::default();
        lifecycle.set_ready(&riad_api::router(
            services.clone(),
            MetricsAccess::Operator,
            AllowedOrigins::default(),
            |_, _| (),
            Tasks::default(),
        ));
        Self {
            url,
            empty,
            filled,
            serving: riad_api::serve(listener, lifecycle, ServeOptions::new(&limits, None)).unwrap(),
            services,
            store,
            _folder: folder,
        }
    }

    /// Ends it in order, and checks that what was measured was billed: every entry, to the token. Returns how many.
    pub async fn close(self) -> u64 {
        assert_eq!(self.serving.drain(PATIENCE).await, 0, "requests were cut off");
        self.services.end_run(PATIENCE).await.unwrap();
        let found = self.store.ledger().verify(Box::new(|_| None)).await.unwrap();
        assert_eq!(found.faults, Vec::<String>::new(), "the ledger does not close");
        let run = found.runs.last().unwrap();
        assert_eq!(
            run.engine,
            Some(run.ledger),
            "what was billed is not what the engine counted"
        );
        self.store.close().await.unwrap();
        found.entries
    }
}

async fn parts(folder: &Path, limits: &Limits) -> (Dependencies, Store) {
    let (data, bounds) = (folder.join("data"), limits.clone());
    let (embedder, store, sandbox) = spawn_blocking(move || {
        let models = Path::new(env!("RIAD_SOURCE")).join("host/models/embed");
        let embedder = StaticEmbedder::open(&models).unwrap();
        let store = Store::open(&data, embedder.space().clone(), &bounds).unwrap();
        let sandbox = WasmSandbox::new(&data.join("compiled"), &bounds, Compiler::InProcess).unwrap();
        (embedder, store, sandbox)
    })
    .await
    .unwrap();
    let engine: Arc<dyn ChatEngine> = Arc::new(FixedEngine::new());
    let parts = Dependencies {
        tenant_store: store.tenant_store(),
        key_store: store.key_store(),
        tokens: None,
        cells: None,
        rooms: store.rooms(),
        moves: store.moves(),
        audit: store.audit(),
        plans: store.plans(),
        ledger: store.ledger(),
        scheduler: Arc::new(FairQueue::new(SEQUENCES, limits, TARGET)),
        engine,
        embedder: Arc::new(embedder),
        reranker: None,
        sandbox: Arc::new(sandbox),
        http: Arc::new(GuestHttp::new(limits)),
        telemetry: Arc::new(Metrics::new(MetricsConfig {
            tenant_label: false,
            max_tenants: 100,
        })),
        webhooks: Arc::new(HttpWebhooks::new(None)),
        snapshots: None,
        target_first_token: TARGET,
        currency: "eur".into(),
        standard: StandardComponents {
            chat: Bytes::from_static(STANDARD),
            extraction: Bytes::from_static(EXTRACTOR),
            chunking: Bytes::from_static(CHUNKER),
        },
        limits: limits.clone(),
    };
    (parts, store)
}

/// With budgets and limits of every kind, none of which refuses anything, because looking at them is part of the work.
async fn tenant(services: &Services, operator: &OperatorPass, id: &str) -> Secret<String> {
    let most = 1_000_000_000_000_u64;
    let policy = json!({
        "budget": {"total_tokens": most, "monthly_tokens": most, "daily_tokens": most, "total_micros": most},
        "limits": {
            "requests_per_minute": 1_000_000, "tokens_per_minute": 1_000_000_000, "concurrent_requests": 100,
            "context_tokens": 8000, "completion_tokens": 1000,
        },
    });
    let tenants = services.tenants();
    let made = tenants.create(operator, id.parse().unwrap(), id, &policy).await;
    made.unwrap().1.secret
}

/// Sections of the demo's documents, each a document.
async fn fill(services: &Services, pass: &TenantPass) {
    let mut sections = Vec::new();
    for tenant in ["acme", "globex"] {
        let folder = Path::new(env!("RIAD_SOURCE")).join("host/app/demo").join(tenant);
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        for file in files {
            let text = fs::read_to_string(file).unwrap();
            sections.extend(text.split("\n## ").skip(1).map(str::to_owned));
        }
    }
    assert!(sections.len() >= DOCUMENTS, "the demo has {} sections", sections.len());
    for text in sections.into_iter().take(DOCUMENTS) {
        let title = text.lines().next().unwrap().to_owned();
        let request = DocumentRequest {
            title: Some(title),
            source: DocumentSource::Text {
                text,
                format: TextFormat::Markdown,
            },
            metadata: Metadata::default(),
        };
        services
            .documents()
            .create(pass, request, Arc::new(()), None)
            .await
            .unwrap();
    }
}
