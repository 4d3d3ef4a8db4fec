//! The port `Sandbox` on wasmtime: compiles and checks uploads, and starts the guests of requests.

use crate::{
    check::{self, CheckedComponent},
    compiler::Compiler,
    context::RunContext,
    errors, guest_threads,
    instance_limiter::InstanceLimiter,
    instantiate::instantiate,
    loader::{ComponentLoader, ComponentLoads},
    run::{Guests, Run},
    ticker::EpochTicker,
};
use async_trait::async_trait;
use bytes::Bytes;
use riad_admission::Workers;
use riad_core::{
    Account, Digest, Error, ErrorKind, Limits, Result, manifest,
    plugin::Stage,
    policy,
    ports::{Capabilities, ComponentInfo, IngestionRun, PipelinePlan, PipelineRun, PlannedComponent, Sandbox},
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// Runs tenants' components. Its threads end when it and its last run are dropped.
pub struct WasmSandbox {
    loader: Arc<ComponentLoader>,
    limits: Arc<Limits>,
    instances: InstanceLimiter,
    threads: Arc<Workers>,
    ticker: Arc<EpochTicker>,
}

impl WasmSandbox {
    /// Creates `cache_dir` if it is missing. Only this process may write to it: its content is loaded as code.
    ///
    /// # Errors
    /// `Internal` if the folder cannot be used or the address space for the guests cannot be reserved.
    pub fn new(cache_dir: &Path, limits: &Limits, compiler: Compiler) -> Result<Self> {
        let loader = ComponentLoader::open(cache_dir, limits, compiler)?;
        Ok(Self {
            ticker: Arc::new(EpochTicker::start(loader.engine())?),
            instances: InstanceLimiter::new(limits),
            threads: guest_threads::start(limits)?,
            limits: Arc::new(limits.clone()),
            loader,
        })
    }

    /// Guests that may be started now.
    #[must_use]
    pub fn free_instances(&self) -> usize {
        self.instances.free() as usize
    }

    /// Where components were found so far.
    #[must_use]
    pub fn loads(&self) -> ComponentLoads {
        self.loader.loads()
    }

    async fn load(&self, account: Account, stage: Stage, planned: &PlannedComponent) -> Result<Arc<CheckedComponent>> {
        let source = Arc::clone(&planned.source);
        let found = self.loader.load(Some(account), planned.digest, source).await;
        let checked = found.map_err(|error| match error.kind() {
            // It was accepted when it was uploaded; this request is not at fault.
            ErrorKind::InvalidRequest => Error::new(
                ErrorKind::PluginFailed,
                format!(
                    "{} can no longer be run: {}",
                    errors::plugin_name(&planned.digest),
                    error.message()
                ),
            ),
            ErrorKind::ContextTooLong
            | ErrorKind::Unauthenticated
            | ErrorKind::Forbidden
            | ErrorKind::Misdirected
            | ErrorKind::NotFound
            | ErrorKind::ModelNotFound
            | ErrorKind::Conflict
            | ErrorKind::TooLarge
            | ErrorKind::Busy
            | ErrorKind::QuotaExceeded
            | ErrorKind::StorageFull
            | ErrorKind::UnsupportedFile
            | ErrorKind::UnreadableFile
            | ErrorKind::PluginFailed
            | ErrorKind::PluginLimit
            | ErrorKind::AdapterFailed
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
            format!(
                "{} does not export the {stage} stage",
                errors::plugin_name(&planned.digest)
            ),
        ))
    }
}

#[async_trait]
impl Sandbox for WasmSandbox {
    async fn compile(&self, account: Option<Account>, component: Bytes) -> Result<ComponentInfo> {
        let bytes = component.len() as u64;
        if bytes > self.limits.plugin_bytes {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the component has {bytes} bytes, at most {} are accepted",
                    self.limits.plugin_bytes
                ),
            ));
        }
        let digest = Digest::of(&component);
        let checked = self.loader.load(account, digest, Arc::new(component.clone())).await?;
        let manifest = manifest::read_section(&component)?;
        if let Some(manifest) = &manifest {
            check::check_manifest(manifest, &checked)?;
        }
        Ok(ComponentInfo {
            digest,
            stages: checked.stages.clone(),
            capabilities: checked.capabilities.clone(),
            manifest,
        })
    }

    async fn start(&self, plan: &PipelinePlan, capabilities: Capabilities) -> Result<Box<dyn PipelineRun>> {
        Ok(Box::new(
            self.begin(plan, capabilities, Arc::clone(&self.limits)).await?,
        ))
    }

    async fn start_ingestion(
        &self,
        plan: &PipelinePlan,
        capabilities: Capabilities,
        fuel: u64,
    ) -> Result<Box<dyn IngestionRun>> {
        let limits = Arc::new(self.limits.of_ingestion(fuel));
        Ok(Box::new(self.begin(plan, capabilities, limits).await?))
    }
}

impl WasmSandbox {
    /// Makes the guests of a run with these limits.
    async fn begin(&self, plan: &PipelinePlan, capabilities: Capabilities, limits: Arc<Limits>) -> Result<Run> {
        let mut components: Vec<(Arc<CheckedComponent>, Stage)> = Vec::new();
        let mut guest_of_stage = BTreeMap::new();
        for (stage, planned) in &plan.stages {
            let checked = self.load(plan.account, *stage, planned).await?;
            // It may have been granted when it was uploaded.
            if !self.loader.is_own(&checked.digest) {
                policy::check_granted(&plan.granted, &checked.capabilities)?;
            }
            let known = components.iter().position(|(known, _)| known.digest == checked.digest);
            let index = known.unwrap_or_else(|| {
                components.push((checked, *stage));
                components.len() - 1
            });
            guest_of_stage.insert(*stage, index);
        }
        let count = u32::try_from(components.len()).map_err(Error::internal)?;
        let permit = self
            .instances
            .acquire(plan.account, self.instances_of(count, &limits))
            .await?;
        let work = self.threads.work_of(plan.account, plan.weight);
        let context = RunContext::new(limits, work, permit);
        let mut guests = Vec::with_capacity(components.len());
        for (checked, stage) in components {
            let guest = instantiate(checked, self.loader.engine(), &context, capabilities.clone(), stage);
            guests.push(guest.await?);
        }
        let guests = Guests {
            guests,
            guest_of_stage,
            filters: Vec::new(),
        };
        Ok(Run::new(guests, context, Arc::clone(&self.ticker)))
    }

    /// A guest that may take more memory than those of chats counts as several of them, but never as more than there are.
    fn instances_of(&self, guests: u32, limits: &Limits) -> u32 {
        let each = limits.guest_memory_bytes.div_ceil(self.limits.guest_memory_bytes);
        let each = u32::try_from(each).unwrap_or(u32::MAX);
        let all = guests.saturating_mul(each).min(self.limits.guest_instances);
        all.max(guests)
    }
}
