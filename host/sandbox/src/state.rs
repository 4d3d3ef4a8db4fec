//! What a guest's store carries: the capabilities of one room and what the guest may still use.
//! Not here: how a capability is called (`capabilities/`).

use crate::{
    budget::Budget,
    clock::{Away, GuestClock},
    limits::{HANDLES, MemoryLimiter},
    wasi,
};
use riad_core::{Limits, document::Metadata, ports::Capabilities};
use std::sync::Arc;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::WasiCtx;

pub(crate) struct GuestState {
    pub(crate) capabilities: Capabilities,
    /// Read once a guest, so that a request sees one version of the settings.
    pub(crate) settings: Option<Metadata>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) clock: Arc<GuestClock>,
    pub(crate) memory: MemoryLimiter,
    pub(crate) table: ResourceTable,
    pub(crate) wasi: WasiCtx,
}

impl GuestState {
    pub(crate) fn new(
        limits: &Limits,
        capabilities: Capabilities,
        budget: Arc<Budget>,
        clock: Arc<GuestClock>,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self {
            capabilities,
            settings: None,
            budget,
            clock,
            memory: MemoryLimiter::new(limits.guest_memory_bytes),
            table,
            wasi: wasi::empty_context(),
        }
    }

    /// Every host call of ours begins here: it is counted, and guest time stops until the guard is dropped.
    pub(crate) fn host_call(&self) -> wasmtime::Result<Away> {
        self.budget.take_host_call()?;
        Ok(self.clock.away())
    }
}
