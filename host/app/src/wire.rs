//! The composition root: the one place that knows which implementation stands behind which port.
//! Not here: any rule of the service, and the socket (`serve`).

use crate::config::{self, Config};
use axum::Router;
use bytes::Bytes;
use riad_api::Readiness;
use riad_core::{Error, Result, Secret, ports::Embedder};
use riad_engine::{EngineConfig, StaticEmbedder};
use riad_sandbox::{Compiler, WasmSandbox};
use riad_services::{Counters, Fifo, Parts, Services};
use riad_store::Store;
use std::{path::PathBuf, sync::Arc, thread};

/// The component that serves the stages which a room has not replaced.
const STANDARD: &[u8] = include_bytes!("../../../plugins/standard/standard.wasm");

/// A server that is put together and does not listen yet.
pub struct Wired {
    pub router: Router,
    /// To be told when the server begins to shut down.
    pub readiness: Readiness,
    /// Closed after the last request.
    pub store: Store,
    /// The operator's key if one was made at this start; it can never be shown again.
    pub new_operator_key: Option<Secret<String>>,
}

/// Opens the data folder, loads the models and puts the parts together. Takes seconds to minutes.
///
/// # Errors
/// `InvalidRequest` names the configuration key at fault; `Conflict` if another server has the data folder;
/// `Unavailable` if this binary was built without an engine.
pub async fn wire(config: &Config, operator_key: Option<Secret<String>>, compiler: Compiler) -> Result<Wired> {
    let profile = config::profile(config)?;
    let lanes = match config.engine.lanes {
        0 => thread::available_parallelism().map_or(1, usize::from),
        lanes => lanes,
    };
    let folder = match &config.embeddings.model {
        Some(folder) => folder.clone(),
        None => config::shipped_folder()?.join("embed"),
    };
    let embedder: Arc<dyn Embedder> = Arc::new(blocking(move || StaticEmbedder::open(&folder)).await?);

    // The data folder before the engine: that it is taken is known in a moment, a model loads for minutes.
    let (data, limits, space) = (
        config.server.data.clone(),
        config.limits.clone(),
        embedder.space().clone(),
    );
    let store = blocking(move || Store::open(&data, space, &limits)).await?;
    let engine = riad_engine::open(EngineConfig {
        model: config::model_folder(&config.engine)?,
        dtype: config.engine.dtype,
        device: config.engine.device,
        lanes,
        profile,
        resident_adapter_bytes: config.limits.resident_adapter_bytes,
    })
    .await?;
    let (cache, limits): (PathBuf, _) = (config.server.data.join("compiled"), config.limits.clone());
    let sandbox = blocking(move || WasmSandbox::new(&cache, &limits, compiler)).await?;

    let services = Services::new(Parts {
        directory: store.directory(),
        keyring: store.keyring(),
        rooms: store.rooms(),
        scheduler: Arc::new(Fifo::new(engine.lanes(), &config.limits)),
        engine,
        embedder,
        sandbox: Arc::new(sandbox),
        meter: Arc::new(Counters::default()),
        standard_component: Bytes::from_static(STANDARD),
        limits: config.limits.clone(),
    })
    .await?;
    let new_operator_key = services.ensure_operator_key(operator_key).await?;
    let readiness = Readiness::default();
    Ok(Wired {
        router: riad_api::router(services, readiness.clone()),
        readiness,
        store,
        new_operator_key,
    })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}
