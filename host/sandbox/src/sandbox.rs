//! The port `Sandbox` on wasmtime: uploads are checked and compiled, requests get their guests.
//! Not here: each of these steps (`library.rs`, `guest.rs`, `run.rs`).

use crate::{
    call::Shared,
    check::Checked,
    compiler::Compiler,
    errors,
    guest::Guest,
    library::Library,
    run::{Guests, Run},
    ticker::EpochTicker,
};
use async_trait::async_trait;
use bytes::Bytes;
use riad_core::{
    Digest, Error, ErrorKind, Limits, Result,
    plugin::Stage,
    ports::{Capabilities, ComponentInfo, PipelinePlan, PipelineRun, PlannedComponent, Sandbox},
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Runs components of tenants. Dropping it ends its thread once the last run is gone.
pub struct WasmSandbox {
    library: Arc<Library>,
    limits: Arc<Limits>,
    /// One permit for each guest that may exist.
    instances: Arc<Semaphore>,
    waiting: AtomicU32,
    ticker: Arc<EpochTicker>,
}

impl WasmSandbox {
    /// Sets wasmtime up. `cache_dir` is made if it is missing; nothing but this process may write to it, because code that
    /// runs in the process is loaded from it.
    ///
    /// # Errors
    /// `Internal` if the folder cannot be used or the address space for the guests cannot be reserved.
    pub fn new(cache_dir: &Path, limits: &Limits, compiler: Compiler) -> Result<Self> {
        let library = Library::open(cache_dir, limits, compiler)?;
        Ok(Self {
            ticker: Arc::new(EpochTicker::start(library.engine())?),
            instances: Arc::new(Semaphore::new(limits.guest_instances as usize)),
            waiting: AtomicU32::new(0),
            limits: Arc::new(limits.clone()),
            library,
        })
    }

    /// Guests that may be started now.
    #[must_use]
    pub fn free_instances(&self) -> usize {
        self.instances.available_permits()
    }

    /// Waits for all the permits of a run at once: whoever waits holds none, so that runs cannot block each other. As many may
    /// wait, and as long, as for a lane; a client that hangs up leaves at once.
    async fn admit(&self, guests: u32) -> Result<OwnedSemaphorePermit> {
        if guests > self.limits.guest_instances {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "this pipeline needs {guests} guest instances, limits.guest_instances is {}",
                    self.limits.guest_instances
                ),
            ));
        }
        let instances = Arc::clone(&self.instances);
        if let Ok(permit) = Arc::clone(&instances).try_acquire_many_owned(guests) {
            return Ok(permit);
        }
        let busy = || {
            Error::new(
                ErrorKind::Busy,
                "all plugin instances of this server are in use; try again in a moment",
            )
        };
        let _waiter = Waiter::enter(&self.waiting, self.limits.queue).ok_or_else(busy)?;
        let longest = Duration::from_millis(self.limits.queue_ms);
        timeout(longest, instances.acquire_many_owned(guests))
            .await
            .map_err(|_| busy())?
            .map_err(Error::internal)
    }

    async fn load(&self, stage: Stage, planned: &PlannedComponent) -> Result<Arc<Checked>> {
        let found = self.library.get(planned.digest, planned.source.as_ref()).await;
        let checked = found.map_err(|error| match error.kind() {
            // It was accepted once; the client of this request has sent nothing wrong.
            ErrorKind::InvalidRequest => Error::new(
                ErrorKind::PluginFailed,
                format!(
                    "{} can no longer be run: {}",
                    errors::plugin(&planned.digest),
                    error.message()
                ),
            ),
            ErrorKind::ContextTooLong
            | ErrorKind::Unauthenticated
            | ErrorKind::NotFound
            | ErrorKind::ModelNotFound
            | ErrorKind::Conflict
            | ErrorKind::TooLarge
            | ErrorKind::Busy
            | ErrorKind::QuotaExceeded
            | ErrorKind::PluginFailed
            | ErrorKind::PluginLimit
            | ErrorKind::Cancelled
            | ErrorKind::Timeout
            | ErrorKind::Unavailable
            | ErrorKind::Internal => error,
        })?;
        if checked.stages.contains(&stage) {
            return Ok(checked);
        }
        Err(Error::new(
            ErrorKind::PluginFailed,
            format!("{} does not export the {stage} stage", errors::plugin(&planned.digest)),
        ))
    }
}

#[async_trait]
impl Sandbox for WasmSandbox {
    async fn compile(&self, component: Bytes) -> Result<ComponentInfo> {
        let bytes = component.len() as u64;
        if bytes > self.limits.plugin_bytes {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the component has {bytes} bytes, at most {} are taken",
                    self.limits.plugin_bytes
                ),
            ));
        }
        let digest = Digest::of(&component);
        let checked = self.library.get(digest, &component).await?;
        Ok(ComponentInfo {
            digest,
            stages: checked.stages.clone(),
        })
    }

    async fn start(&self, plan: &PipelinePlan, capabilities: Capabilities) -> Result<Box<dyn PipelineRun>> {
        let mut components: Vec<(Arc<Checked>, Stage)> = Vec::new();
        let mut serving = BTreeMap::new();
        for (stage, planned) in &plan.stages {
            let checked = self.load(*stage, planned).await?;
            let known = components.iter().position(|(known, _)| known.digest == checked.digest);
            let index = known.unwrap_or_else(|| {
                components.push((checked, *stage));
                components.len() - 1
            });
            serving.insert(*stage, index);
        }
        let permit = self
            .admit(u32::try_from(components.len()).map_err(Error::internal)?)
            .await?;
        let shared = Shared::new(Arc::clone(&self.limits));
        let mut guests = Vec::with_capacity(components.len());
        for (checked, stage) in &components {
            let guest = Guest::start(checked, self.library.engine(), &shared, capabilities.clone(), *stage);
            guests.push(guest.await?);
        }
        let guests = Guests {
            guests,
            serving,
            filters: Vec::new(),
        };
        Ok(Box::new(Run::new(guests, shared, permit, Arc::clone(&self.ticker))))
    }
}

/// One of those who wait for instances.
struct Waiter<'a>(&'a AtomicU32);

impl<'a> Waiter<'a> {
    fn enter(waiting: &'a AtomicU32, most: u32) -> Option<Self> {
        waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                (now < most).then_some(now + 1)
            })
            .ok()
            .map(|_| Self(waiting))
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
