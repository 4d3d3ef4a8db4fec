//! Loads components so that they can be instantiated: from memory, from the disk cache, or by compiling them.

use crate::{
    cache::{self, CompileCache},
    check::{self, CheckedComponent},
    compiler::Compiler,
    engine,
    limits::LOADED_COMPONENTS,
    state::GuestState,
};
use bytes::Bytes;
use lru::LruCache;
use parking_lot::Mutex;
use riad_core::{Digest, Error, ErrorKind, Limits, Result, ports::ComponentSource};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};
use wasmtime::{
    Engine,
    component::{Component, Linker},
};

pub(crate) struct ComponentLoader {
    engine: Engine,
    linker: Linker<GuestState>,
    limits: Limits,
    cache: CompileCache,
    loaded: Mutex<LruCache<Digest, Arc<CheckedComponent>>>,
    compiler: Compiler,
    /// One compilation at a time: the other cores serve requests.
    compile_permit: Arc<Semaphore>,
}

impl ComponentLoader {
    pub(crate) fn open(cache_folder: &Path, limits: &Limits, compiler: Compiler) -> Result<Arc<Self>> {
        let engine = engine::engine(limits)?;
        Ok(Arc::new(Self {
            linker: engine::linker(&engine)?,
            cache: CompileCache::open(cache_folder, &engine)?,
            limits: limits.clone(),
            loaded: Mutex::new(LruCache::new(LOADED_COMPONENTS)),
            compiler,
            compile_permit: Arc::new(Semaphore::new(1)),
            engine,
        }))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The component with this digest. `InvalidRequest` says what is wrong with it. Dropping the future does not stop a
    /// compilation, whose result is cached.
    pub(crate) async fn load(
        self: &Arc<Self>,
        digest: Digest,
        source: &dyn ComponentSource,
    ) -> Result<Arc<CheckedComponent>> {
        if let Some(found) = self.loaded.lock().get(&digest) {
            return Ok(Arc::clone(found));
        }
        let this = Arc::clone(self);
        let found = spawn_blocking(move || this.load_from_disk(digest)).await;
        if let Some(found) = found.map_err(Error::internal)? {
            return Ok(found);
        }
        let bytes = source.read().await?;
        let bytes = spawn_blocking(move || verify(digest, bytes))
            .await
            .map_err(Error::internal)??;
        // Not a part of the time that compiling this component may take.
        let longest = Duration::from_millis(self.limits.queue_ms);
        let permit = timeout(longest, Arc::clone(&self.compile_permit).acquire_owned())
            .await
            .map_err(|_| {
                Error::new(
                    ErrorKind::Busy,
                    "other plugins are being compiled; try again in a moment",
                )
            })?
            .map_err(Error::internal)?;
        let this = Arc::clone(self);
        tokio::spawn(async move { this.compile(digest, bytes, permit).await })
            .await
            .map_err(Error::internal)?
    }

    fn load_from_disk(&self, digest: Digest) -> Option<Arc<CheckedComponent>> {
        let component = self.cache.load(&self.engine, &digest)?;
        self.check_and_remember(digest, &component)
            .inspect_err(|error| tracing::warn!(?error, %digest, "a compiled component no longer passes the checks"))
            .ok()
    }

    /// Keeps the permit until the compilation ends, even if the request has gone.
    async fn compile(
        self: &Arc<Self>,
        digest: Digest,
        bytes: Bytes,
        _permit: OwnedSemaphorePermit,
    ) -> Result<Arc<CheckedComponent>> {
        // Another request may have compiled it meanwhile.
        if let Some(found) = self.loaded.lock().get(&digest) {
            return Ok(Arc::clone(found));
        }
        tracing::debug!(%digest, bytes = bytes.len(), "compiling a component");
        let code = self
            .compiler
            .compile(&self.engine, &self.limits, &digest, &bytes)
            .await?;
        let this = Arc::clone(self);
        spawn_blocking(move || {
            // Only now is it known whether the pool is large enough for the component.
            let component = cache::deserialize(&this.engine, &code)
                .map_err(|error| check::invalid(format!("the component cannot be run: {}", check::describe(&error))))?;
            let checked = this.check_and_remember(digest, &component)?;
            this.cache.store(&digest, &code);
            Ok(checked)
        })
        .await
        .map_err(Error::internal)?
    }

    fn check_and_remember(&self, digest: Digest, component: &Component) -> Result<Arc<CheckedComponent>> {
        let checked = Arc::new(check::check(digest, component, &self.linker, &self.limits)?);
        self.loaded.lock().put(digest, Arc::clone(&checked));
        Ok(checked)
    }
}

fn verify(digest: Digest, bytes: Bytes) -> Result<Bytes> {
    if Digest::of(&bytes) != digest {
        return Err(Error::internal("a component's bytes do not have its digest"));
    }
    check::check_header(&bytes)?;
    Ok(bytes)
}
