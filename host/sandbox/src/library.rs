//! From a component's bytes to something that can be instantiated: from memory, from the disk cache, or by compiling it.
//! Not here: the file format (`cache.rs`), the rules for components (`check.rs`).

use crate::{
    cache::CompileCache,
    check::{self, Checked},
    engine, errors,
    limits::LOADED_COMPONENTS,
    state::GuestState,
};
use bytes::Bytes;
use parking_lot::Mutex;
use riad_core::{Digest, Error, ErrorKind, Limits, Result};
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
    /// One compilation at a time: the rest of the machine belongs to requests.
    compiler: Arc<Semaphore>,
}

impl Library {
    pub(crate) fn open(cache_folder: &Path, limits: &Limits) -> Result<Arc<Self>> {
        let engine = engine::engine(limits)?;
        Ok(Arc::new(Self {
            linker: engine::linker(&engine)?,
            cache: CompileCache::open(cache_folder, &engine)?,
            limits: limits.clone(),
            loaded: Mutex::default(),
            compiler: Arc::new(Semaphore::new(1)),
            engine,
        }))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The component with this digest. `InvalidRequest` says what is wrong with it. Whoever goes away does not stop a
    /// compilation; its result is kept for the next one.
    pub(crate) async fn get(self: &Arc<Self>, digest: Digest, bytes: Bytes) -> Result<Arc<Checked>> {
        if let Some(found) = self.loaded.lock().get(&digest) {
            return Ok(found);
        }
        let this = Arc::clone(self);
        if let Some(found) = spawn_blocking(move || this.load_from_disk(digest))
            .await
            .map_err(Error::internal)?
        {
            return Ok(found);
        }
        let within = Duration::from_millis(self.limits.compile_ms);
        let compiling = async {
            let permit = Arc::clone(&self.compiler)
                .acquire_owned()
                .await
                .map_err(Error::internal)?;
            let this = Arc::clone(self);
            spawn_blocking(move || this.compile(digest, &bytes, permit))
                .await
                .map_err(Error::internal)?
        };
        timeout(within, compiling).await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::PluginLimit,
                format!(
                    "{} was not compiled within {} ms; make it smaller, or try again when nothing else is being compiled",
                    errors::plugin(&digest),
                    self.limits.compile_ms
                ),
            ))
        })
    }

    fn load_from_disk(&self, digest: Digest) -> Option<Arc<Checked>> {
        let component = self.cache.load(&self.engine, &digest)?;
        self.keep(digest, &component)
            .inspect_err(|error| tracing::warn!(?error, %digest, "a compiled component no longer passes the checks"))
            .ok()
    }

    /// Holds the permit to its end, also when nobody waits any more.
    fn compile(&self, digest: Digest, bytes: &[u8], _permit: OwnedSemaphorePermit) -> Result<Arc<Checked>> {
        // Somebody else may have compiled it while this one waited.
        if let Some(found) = self.loaded.lock().get(&digest) {
            return Ok(found);
        }
        if Digest::of(bytes) != digest {
            return Err(Error::internal("a component's bytes do not have its digest"));
        }
        check::check_header(bytes)?;
        tracing::debug!(%digest, bytes = bytes.len(), "compiling a component");
        let component = Component::from_binary(&self.engine, bytes)
            .map_err(|error| check::invalid(format!("the component cannot be compiled: {}", check::words(&error))))?;
        let checked = self.keep(digest, &component)?;
        self.cache.store(&digest, &component);
        Ok(checked)
    }

    fn keep(&self, digest: Digest, component: &Component) -> Result<Arc<Checked>> {
        let checked = Arc::new(check::check(digest, component, &self.linker, &self.limits)?);
        self.loaded.lock().insert(Arc::clone(&checked));
        Ok(checked)
    }
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
