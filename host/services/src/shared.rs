//! What every use case can reach: the ports, the limits and the compiled standard pipeline.
//! Not here: any rule.

use crate::{clock, logs::Logs};
use bytes::Bytes;
use riad_core::{
    Error, Limits, Result,
    plugin::Stage,
    ports::{ChatEngine, Directory, Embedder, Keyring, Meter, PlannedComponent, Rooms, Sandbox, Scheduler},
};
use std::sync::Arc;

/// The implementations that the composition root chose.
pub struct Parts {
    pub directory: Arc<dyn Directory>,
    pub keyring: Arc<dyn Keyring>,
    pub rooms: Arc<dyn Rooms>,
    pub engine: Arc<dyn ChatEngine>,
    pub embedder: Arc<dyn Embedder>,
    pub sandbox: Arc<dyn Sandbox>,
    pub scheduler: Arc<dyn Scheduler>,
    pub meter: Arc<dyn Meter>,
    /// The component that serves the stages a room has not replaced.
    pub standard_component: Bytes,
    pub limits: Limits,
}

pub(crate) struct Shared {
    pub directory: Arc<dyn Directory>,
    pub keyring: Arc<dyn Keyring>,
    pub rooms: Arc<dyn Rooms>,
    pub engine: Arc<dyn ChatEngine>,
    pub embedder: Arc<dyn Embedder>,
    pub sandbox: Arc<dyn Sandbox>,
    pub scheduler: Arc<dyn Scheduler>,
    pub meter: Arc<dyn Meter>,
    pub standard: PlannedComponent,
    pub limits: Limits,
    pub logs: Logs,
    /// When the server began, in seconds since 1970-01-01 UTC: the base model's `created`.
    pub started: u64,
}

impl Shared {
    pub async fn new(parts: Parts) -> Result<Self> {
        parts.limits.check()?;
        let info = parts.sandbox.compile(parts.standard_component.clone()).await?;
        if let Some(stage) = Stage::ALL.iter().find(|stage| !info.stages.contains(stage)) {
            return Err(Error::internal(format!(
                "the standard component does not serve the stage {stage}"
            )));
        }
        Ok(Self {
            directory: parts.directory,
            keyring: parts.keyring,
            rooms: parts.rooms,
            engine: parts.engine,
            embedder: parts.embedder,
            sandbox: parts.sandbox,
            scheduler: parts.scheduler,
            meter: parts.meter,
            standard: PlannedComponent {
                digest: info.digest,
                source: Arc::new(parts.standard_component),
            },
            limits: parts.limits,
            logs: Logs::default(),
            started: clock::now(),
        })
    }
}
