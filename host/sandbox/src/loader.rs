//! Loads components so that they can be instantiated: from memory, from the disk cache, or by compiling them.

use crate::{
    cache::{self, CompileCache},
    check::{self, CheckedComponent},
    compile_limiter::CompileLimiter,
    compiler::Compiler,
    engine,
    limits::LOADED_COMPONENTS,
    single_flight::SingleFlight,
    state::GuestState,
    versions,
};
use bytes::Bytes;
use lru::LruCache;
use parking_lot::Mutex;
use riad_core::{Account, Digest, Error, Limits, Result, ports::ComponentSource};
use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::task::spawn_blocking;
use wasmtime::{
    Engine,
    component::{Component, Linker},
};

/// How often a component was found in each place, for a request or for an upload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ComponentLoads {
    /// Loaded already.
    pub memory: u64,
    /// Compiled already.
    pub disk: u64,
    pub compiled: u64,
}

impl ComponentLoads {
    #[must_use]
    pub fn all(&self) -> u64 {
        self.memory + self.disk + self.compiled
    }
}

#[derive(Default)]
struct LoadCounters {
    memory: AtomicU64,
    disk: AtomicU64,
    compiled: AtomicU64,
}

pub(crate) struct ComponentLoader {
    engine: Engine,
    linker: Linker<GuestState>,
    limits: Limits,
    cache: CompileCache,
    loaded: Mutex<LruCache<Digest, Arc<CheckedComponent>>>,
    /// The server's own, which stay whatever tenants load.
    own: Mutex<HashMap<Digest, Arc<CheckedComponent>>>,
    compiler: Compiler,
    compiling: CompileLimiter,
    /// By account too: nobody's request waits in another account's place.
    loading: SingleFlight<(Option<Account>, Digest), Result<Arc<CheckedComponent>>>,
    loads: LoadCounters,
}

impl ComponentLoader {
    pub(crate) fn open(cache_folder: &Path, limits: &Limits, compiler: Compiler) -> Result<Arc<Self>> {
        let engine = engine::engine(limits)?;
        Ok(Arc::new(Self {
            linker: engine::linker(&engine)?,
            cache: CompileCache::open(cache_folder, &engine, limits.compiled_bytes)?,
            limits: limits.clone(),
            // resources::LOADED_COMPONENTS
            loaded: Mutex::new(LruCache::new(LOADED_COMPONENTS)),
            own: Mutex::default(),
            compiler,
            compiling: CompileLimiter::new(limits),
            loading: SingleFlight::new(),
            loads: LoadCounters::default(),
            engine,
        }))
    }

    pub(crate) fn loads(&self) -> ComponentLoads {
        let LoadCounters { memory, disk, compiled } = &self.loads;
        ComponentLoads {
            memory: memory.load(Ordering::Relaxed),
            disk: disk.load(Ordering::Relaxed),
            compiled: compiled.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The component with this digest, loaded once for all of the account's requests that wait for it. `InvalidRequest` says what is
    /// wrong with it. When the last of them is dropped, a compilation in a child is stopped.
    pub(crate) async fn load(
        self: &Arc<Self>,
        account: Option<Account>,
        digest: Digest,
        source: Arc<dyn ComponentSource>,
    ) -> Result<Arc<CheckedComponent>> {
        if let Some(found) = self.loaded(&digest) {
            self.cache.record_use(&digest, account);
            self.loads.memory.fetch_add(1, Ordering::Relaxed);
            return Ok(found);
        }
        let this = Arc::clone(self);
        let loading = async move { this.load_or_compile(account, digest, &*source).await };
        self.loading.join((account, digest), loading).await
    }

    fn loaded(&self, digest: &Digest) -> Option<Arc<CheckedComponent>> {
        let own = self.own.lock().get(digest).cloned();
        own.or_else(|| self.loaded.lock().get(digest).cloned())
    }

    async fn load_or_compile(
        self: &Arc<Self>,
        account: Option<Account>,
        digest: Digest,
        source: &dyn ComponentSource,
    ) -> Result<Arc<CheckedComponent>> {
        let this = Arc::clone(self);
        let found = spawn_blocking(move || this.load_from_disk(account, digest)).await;
        if let Some(found) = found.map_err(Error::internal)? {
            self.loads.disk.fetch_add(1, Ordering::Relaxed);
            return Ok(found);
        }
        // Not a part of the time that compiling this component may take; and nothing of it is in memory while it waits.
        let permit = self.compiling.acquire(account).await?;
        // Another account's request may have compiled it meanwhile.
        if let Some(found) = self.loaded(&digest) {
            return Ok(found);
        }
        let bytes = source.read().await?;
        let bytes = spawn_blocking(move || verify(digest, bytes))
            .await
            .map_err(Error::internal)??;
        tracing::debug!(%digest, bytes = bytes.len(), "compiling a component");
        let code = self
            .compiler
            .compile(&self.engine, &self.limits, &digest, &bytes, permit.clone())
            .await?;
        let this = Arc::clone(self);
        spawn_blocking(move || {
            let _permit = permit;
            // Only now is it known whether the pool is large enough for the component.
            let component = cache::deserialize(&this.engine, &code)
                .map_err(|error| check::invalid(format!("the component cannot be run: {}", check::describe(&error))))?;
            let checked = this.check_and_remember(account, digest, &component)?;
            this.loads.compiled.fetch_add(1, Ordering::Relaxed);
            this.cache.store(&digest, &code, account);
            Ok(checked)
        })
        .await
        .map_err(Error::internal)?
    }

    fn load_from_disk(&self, account: Option<Account>, digest: Digest) -> Option<Arc<CheckedComponent>> {
        let component = self.cache.load(&self.engine, &digest, account)?;
        self.check_and_remember(account, digest, &component)
            .inspect_err(|error| tracing::warn!(?error, %digest, "a compiled component no longer passes the checks"))
            .ok()
    }

    /// Whether a component is the server's own.
    pub fn is_own(&self, digest: &Digest) -> bool {
        self.own.lock().contains_key(digest)
    }

    fn check_and_remember(
        &self,
        account: Option<Account>,
        digest: Digest,
        component: &Component,
    ) -> Result<Arc<CheckedComponent>> {
        let checked = Arc::new(check::check(digest, component, &self.linker, &self.limits)?);
        match account {
            Some(_) => drop(self.loaded.lock().put(digest, Arc::clone(&checked))),
            None => {
                self.cache.pin(&digest);
                self.own.lock().insert(digest, Arc::clone(&checked));
            }
        }
        Ok(checked)
    }
}

fn verify(digest: Digest, bytes: Bytes) -> Result<Bytes> {
    if Digest::of(&bytes) != digest {
        return Err(Error::internal("a component's bytes do not have its digest"));
    }
    check::check_header(&bytes)?;
    versions::check_names(&bytes)?;
    Ok(bytes)
}
