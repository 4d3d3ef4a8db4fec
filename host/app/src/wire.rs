//! The composition root: the one place that knows which implementation is behind which port.

use crate::{
    config::{self, Auth, Cell, Config, EmbeddingSource, SchedulerPolicy, Secrets},
    instance, model_files,
};
use axum::Router;
use bytes::Bytes;
use futures::future::BoxFuture;
use riad_api::{MetricsAccess, Tasks, reload};
use riad_cells::MapFile;
use riad_core::{
    Error, ErrorKind, Result, Secret,
    ports::{Cells, ChatEngine, Embedder, Scheduler, Tokens},
};
use riad_engine::EngineConfig;
use riad_objects::Snapshots;
use riad_outbound::{GuestHttp, HttpWebhooks, IdentityConfig, IdentityTokens, RemoteEmbedder};
use riad_sandbox::{Compiler, WasmSandbox};
use riad_services::{
    Dependencies, FairQueue, FifoQueue, Services, StandardComponents, accrual, idle_rooms, signals,
    snapshots::{self, SnapshotDependencies},
};
use riad_store::Store;
use riad_telemetry::{Metrics, MetricsConfig};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// The component that serves every stage of a chat for which a room has no plugin.
pub(crate) const STANDARD: &[u8] = include_bytes!("../../../plugins/standard/standard.wasm");
/// Those of the stages that a document passes when it is added.
const EXTRACTOR: &[u8] = include_bytes!("../../../plugins/extractor/extractor.wasm");
const CHUNKER: &[u8] = include_bytes!("../../../plugins/chunker/chunker.wasm");
/// Time to settle requests that were cut off: the engine notices after a token or two.
const SETTLE_TIME: Duration = Duration::from_secs(10);
/// Time to save rooms at the end, within what systemd and Kubernetes wait for (`host/deploy`).
const SAVE_TIME: Duration = Duration::from_secs(15);

/// Settles open requests, records the engine's counters, closes the rooms. Called once, after the last request.
pub type Finish = Box<dyn FnOnce() -> BoxFuture<'static, Result<()>> + Send>;

/// The assembled server, which does not listen yet.
pub struct App {
    pub router: Router,
    /// The operator's key if this start created one; it cannot be shown again.
    pub new_operator_key: Option<Secret<String>>,
    pub finish: Finish,
    /// Compiles the server's own components that no start waits for.
    pub warm: BoxFuture<'static, Result<()>>,
}

/// Opens the data folder, fetches a hub's model, loads the models and connects them. Takes seconds to minutes, longer for a download.
///
/// # Errors
/// `InvalidRequest` names the configuration key at fault; `Conflict` if another server uses the data folder;
/// `Unavailable` if this binary was built without an engine, or if a model can be fetched neither from its hub nor from the cache.
pub async fn build(config: &Config, secrets: Secrets, compiler: Compiler) -> Result<App> {
    // A wrong setting shows before anything is opened.
    config::model_source(&config.engine)?;
    let objects = config::objects(&config.objects, &secrets, std::env::vars_os())?;
    if let Some(objects) = &objects {
        check_objects(objects).await?;
    }
    let tokens = tokens(&config.auth)?;
    let cells = cells(&config.cell)?;
    let embedder: Arc<dyn Embedder> = match config::embedding_source(&config.embeddings, secrets.embeddings_key)? {
        EmbeddingSource::Remote(remote) => Arc::new(RemoteEmbedder::open(remote)?),
        EmbeddingSource::Folder(folder) => blocking(move || riad_embeddings::open(&folder)).await?,
    };
    let reranker = match config.search.rerank_model.clone() {
        Some(folder) => Some(blocking(move || riad_embeddings::open_reranker(&folder)).await?),
        None => None,
    };

    // The data folder comes first: a conflict shows in a moment, while a model is fetched and loads for minutes.
    let (data, limits, space) = (
        config.server.data.clone(),
        config.limits.clone(),
        embedder.space().clone(),
    );
    let store = blocking(move || Store::open(&data, space, &limits)).await?;
    let model = model_files::fetch(config).await?;
    let profile = config::profile(config, &model)?;
    let remote = config::remote_engine(&config.engine, &profile, secrets.engine_key, || {
        instance::read(&config.server.data)
    })?;
    let engine = riad_engine::open(EngineConfig {
        model: config::path_text(&model)?,
        dtype: config.engine.dtype,
        device: config.engine.device,
        quantization: config.engine.quantization,
        max_sequences: config.engine.max_sequences,
        rows_per_step: config.engine.rows_per_step,
        prefill_slowdown: (config.engine.prefill_slowdown > 0.0).then_some(config.engine.prefill_slowdown),
        kv_cache_tokens: config::kv_cache_tokens(&config.engine, &profile),
        prefix_cache: config.engine.prefix_cache,
        profile,
        resident_adapter_bytes: config.limits.resident_adapter_bytes,
        idle_unload: idle_unload(config.engine.idle_unload_s),
        remote,
    })
    .await?;
    let (cache, limits): (PathBuf, _) = (config.server.data.join("compiled"), config.limits.clone());
    let sandbox = blocking(move || WasmSandbox::new(&cache, &limits, compiler)).await?;

    let services = Services::new(Dependencies {
        tenant_store: store.tenant_store(),
        key_store: store.key_store(),
        tokens,
        cells: cells.clone().map(|cells| cells as Arc<dyn Cells>),
        rooms: store.rooms(),
        moves: store.moves(),
        audit: store.audit(),
        plans: store.plans(),
        ledger: store.ledger(),
        scheduler: scheduler(config, engine.as_ref()),
        engine,
        embedder,
        reranker,
        sandbox: Arc::new(sandbox),
        http: Arc::new(GuestHttp::new(&config.limits)),
        telemetry: Arc::new(Metrics::new(MetricsConfig {
            tenant_label: config.telemetry.tenant_label,
            max_tenants: config.telemetry.max_tenants,
        })),
        webhooks: Arc::new(HttpWebhooks::new(secrets.webhook_secret)),
        snapshots: objects.map(|objects| saved_rooms(config, &store, objects)),
        target_first_token: target(config),
        currency: config.metering.currency.clone(),
        standard: StandardComponents {
            chat: Bytes::from_static(STANDARD),
            extraction: Bytes::from_static(EXTRACTOR),
            chunking: Bytes::from_static(CHUNKER),
        },
        limits: config.limits.clone(),
    })
    .await?;
    let new_operator_key = services.ensure_operator_key(secrets.operator_key).await?;
    let metrics = match secrets.metrics_key {
        _ if config.telemetry.open_metrics => MetricsAccess::Open,
        Some(key) => MetricsAccess::key(&key),
        None => MetricsAccess::Operator,
    };
    let tasks = Tasks::default();
    let every = Duration::from_millis(config.metering.accrual_ms);
    let accruing = tokio::spawn(accrual::run(services.clone(), every));
    let closing = tokio::spawn(idle_rooms::run(services.clone()));
    let watching = cells.map(|cells| {
        let reload = move || cells.reload();
        tokio::spawn(reload::watch("the map of the cells", reload::INTERVAL, reload))
    });
    let saving = tokio::spawn(snapshots::run(services.clone()));
    let sampling = tokio::spawn(signals::run(services.clone()));
    let origins = config.server.origins();
    let secure = config.server.tls().is_some();
    let of_console = services.clone();
    let router = riad_api::router_with_pages(
        services.clone(),
        metrics,
        origins,
        riad_telemetry::follow,
        tasks.clone(),
        move |pages| riad_console::router(of_console, pages, secure),
    );
    let warming = services.clone();
    Ok(App {
        router,
        warm: Box::pin(async move { warming.warm().await }),
        new_operator_key,
        finish: Box::new(move || {
            Box::pin(async move {
                accruing.abort();
                closing.abort();
                saving.abort();
                sampling.abort();
                if let Some(watching) = watching {
                    watching.abort();
                }
                tasks.end().await;
                let ended = services.end_run(SETTLE_TIME).await;
                snapshots::finish(&services, SAVE_TIME).await;
                store.close().await?;
                ended
            })
        }),
    })
}

/// A store that does not answer keeps no server from serving: rooms are saved when it answers again.
async fn check_objects(objects: &Snapshots) -> Result<()> {
    match objects.check().await {
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            tracing::error!(%error, "the object store was not reached, and rooms are not saved until it is");
            Ok(())
        }
        checked => checked,
    }
}

fn saved_rooms(config: &Config, store: &Store, objects: Snapshots) -> SnapshotDependencies {
    let seconds = config.objects.snapshot_interval_s;
    SnapshotDependencies {
        copies: store.room_copies(),
        store: Arc::new(objects),
        interval: (seconds > 0).then(|| Duration::from_secs(seconds)),
    }
}

fn tokens(auth: &Auth) -> Result<Option<Arc<dyn Tokens>>> {
    let Some(jwks) = auth.jwks.clone() else {
        return Ok(None);
    };
    let config = IdentityConfig {
        jwks,
        issuer: auth.issuer.clone().unwrap_or_default(),
        audience: auth.audience.clone().unwrap_or_default(),
        tenant_claim: auth.tenant_claim.clone(),
        role_claim: auth.role_claim.clone(),
        scopes_claim: auth.scopes_claim.clone(),
        tenants: auth.tenants.clone(),
        leeway_seconds: auth.leeway_seconds,
    };
    Ok(Some(Arc::new(IdentityTokens::open(config)?)))
}

fn cells(cell: &Cell) -> Result<Option<Arc<MapFile>>> {
    let Some((name, map)) = cell.name.as_ref().zip(cell.map.as_ref()) else {
        return Ok(None);
    };
    Ok(Some(Arc::new(MapFile::open(map, name)?)))
}

fn scheduler(config: &Config, engine: &dyn ChatEngine) -> Arc<dyn Scheduler> {
    match config.scheduler.policy {
        SchedulerPolicy::Fair => Arc::new(FairQueue::new(engine.max_sequences(), &config.limits, target(config))),
        SchedulerPolicy::Fifo => Arc::new(FifoQueue::new(engine.max_sequences(), &config.limits)),
    }
}

fn idle_unload(seconds: u64) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

fn target(config: &Config) -> Duration {
    Duration::from_millis(config.scheduler.target_first_token_ms)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}
