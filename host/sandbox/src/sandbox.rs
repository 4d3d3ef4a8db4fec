//! The port `Sandbox` on wasmtime: uploads are checked and compiled, requests get their guests.
//! Not here: each of these steps (`library.rs`, `guest.rs`, `run.rs`).

use crate::{
    call::Shared,
    check::Checked,
    compiler::Compiler,
    errors,
    guest::Guest,
    instance_limiter::InstanceLimiter,
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
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// Runs components of tenants. Dropping it ends its thread once the last run is gone.
pub struct WasmSandbox {
    library: Arc<Library>,
    limits: Arc<Limits>,
    instances: InstanceLimiter,
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
            instances: InstanceLimiter::new(limits),
            limits: Arc::new(limits.clone()),
            library,
        })
    }

    /// Guests that may be started now.
    #[must_use]
    pub fn free_instances(&self) -> usize {
        self.instances.free() as usize
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
            | ErrorKind::Forbidden
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
        let count = u32::try_from(components.len()).map_err(Error::internal)?;
        let permit = self.instances.acquire(plan.account, count).await?;
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
