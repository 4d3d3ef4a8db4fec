//! From a component's bytes to something that can be instantiated: from memory, from the disk cache, or by compiling it.
//! Not here: the file format (`cache.rs`), the rules for components (`check.rs`), compiling (`compiler.rs`).

use crate::{
    cache::{self, CompileCache},
    check::{self, Checked},
    compiler::Compiler,
    engine,
    limits::LOADED_COMPONENTS,
    state::GuestState,
};
use bytes::Bytes;
use parking_lot::Mutex;
use riad_core::{Digest, Error, ErrorKind, Limits, Result, ports::ComponentSource};
use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};
use wasmtime::{
    Engine,
    component::{Component, Linker},
};

pub(crate) struct Library {
    engine: Engine,
    linker: Linker<GuestState>,
    limits: Limits,
    cache: CompileCache,
    loaded: Mutex<Loaded>,
    compiler: Compiler,
    /// One compilation at a time: the rest of the machine belongs to requests.
    turn: Arc<Semaphore>,
}

impl Library {
    pub(crate) fn open(cache_folder: &Path, limits: &Limits, compiler: Compiler) -> Result<Arc<Self>> {
        let engine = engine::engine(limits)?;
        Ok(Arc::new(Self {
            linker: engine::linker(&engine)?,
            cache: CompileCache::open(cache_folder, &engine)?,
            limits: limits.clone(),
            loaded: Mutex::default(),
            compiler,
            turn: Arc::new(Semaphore::new(1)),
            engine,
        }))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The component with this digest. `InvalidRequest` says what is wrong with it. Whoever goes away does not stop a
    /// compilation; its result is kept for the next one.
    pub(crate) async fn get(self: &Arc<Self>, digest: Digest, source: &dyn ComponentSource) -> Result<Arc<Checked>> {
        if let Some(found) = self.loaded.lock().get(&digest) {
            return Ok(found);
        }
        let this = Arc::clone(self);
        let found = spawn_blocking(move || this.load_from_disk(digest)).await;
        if let Some(found) = found.map_err(Error::internal)? {
            return Ok(found);
        }
        let bytes = source.read().await?;
        let bytes = spawn_blocking(move || verified(digest, bytes))
            .await
            .map_err(Error::internal)??;
        // Waiting for others is not what this component takes.
        let longest = Duration::from_millis(self.limits.queue_ms);
        let permit = timeout(longest, Arc::clone(&self.turn).acquire_owned())
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

    fn load_from_disk(&self, digest: Digest) -> Option<Arc<Checked>> {
        let component = self.cache.load(&self.engine, &digest)?;
        self.keep(digest, &component)
            .inspect_err(|error| tracing::warn!(?error, %digest, "a compiled component no longer passes the checks"))
            .ok()
    }

    /// Holds the permit to its end, also when nobody waits any more.
    async fn compile(
        self: &Arc<Self>,
        digest: Digest,
        bytes: Bytes,
        _permit: OwnedSemaphorePermit,
    ) -> Result<Arc<Checked>> {
        // Somebody else may have compiled it while this one waited.
        if let Some(found) = self.loaded.lock().get(&digest) {
            return Ok(found);
        }
        tracing::debug!(%digest, bytes = bytes.len(), "compiling a component");
        let code = self
            .compiler
            .compile(&self.engine, &self.limits, &digest, &bytes)
            .await?;
        let this = Arc::clone(self);
        spawn_blocking(move || {
            // What is made of more than the pool has is only known here.
            let component = cache::deserialize(&this.engine, &code)
                .map_err(|error| check::invalid(format!("the component cannot be run: {}", check::words(&error))))?;
            let checked = this.keep(digest, &component)?;
            this.cache.store(&digest, &code);
            Ok(checked)
        })
        .await
        .map_err(Error::internal)?
    }

    fn keep(&self, digest: Digest, component: &Component) -> Result<Arc<Checked>> {
        let checked = Arc::new(check::check(digest, component, &self.linker, &self.limits)?);
        self.loaded.lock().insert(Arc::clone(&checked));
        Ok(checked)
    }
}

fn verified(digest: Digest, bytes: Bytes) -> Result<Bytes> {
    if Digest::of(&bytes) != digest {
        return Err(Error::internal("a component's bytes do not have its digest"));
    }
    check::check_header(&bytes)?;
    Ok(bytes)
}

/// The components in memory; the one that was used longest ago goes first.
#[derive(Default)]
struct Loaded {
    components: HashMap<Digest, (Arc<Checked>, u64)>,
    uses: u64,
}

impl Loaded {
    fn get(&mut self, digest: &Digest) -> Option<Arc<Checked>> {
        self.uses += 1;
        let (component, used) = self.components.get_mut(digest)?;
        *used = self.uses;
        Some(Arc::clone(component))
    }

    fn insert(&mut self, component: Arc<Checked>) {
        self.uses += 1;
        self.components.insert(component.digest, (component, self.uses));
        if self.components.len() > LOADED_COMPONENTS {
            let oldest = self.components.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(digest) = oldest.map(|(digest, _)| *digest) {
                self.components.remove(&digest);
            }
        }
    }
}
