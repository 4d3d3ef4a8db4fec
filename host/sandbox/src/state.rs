//! The state in a guest's store: the capabilities of one room, and what is left of the guest's limits.

use crate::{
    budget::Budget,
    clock::{ClockPause, GuestClock},
    coarse_clock::CoarseClock,
    limits::{HANDLES, MemoryLimiter, RANDOM_BYTES},
};
use riad_core::{Limits, document::Metadata, ports::Capabilities};
use std::sync::Arc;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

pub(crate) struct GuestState {
    pub(crate) capabilities: Capabilities,
    /// Read once, so that a request sees one version of the settings.
    pub(crate) settings: Option<Metadata>,
    /// Tokens that one of the guest's own generations may have.
    pub(crate) generation_tokens: u32,
    pub(crate) budget: Arc<Budget>,
    pub(crate) clock: Arc<GuestClock>,
    /// What the guest sees of the time.
    pub(crate) time: CoarseClock,
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
        let time = CoarseClock::start();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self {
            capabilities,
            settings: None,
            generation_tokens: limits.guest_generation_tokens,
            budget,
            clock,
            time,
            memory: MemoryLimiter::new(limits.guest_memory_bytes),
            table,
            wasi: empty_wasi(time),
        }
    }

    /// Begins a host call: counts it, and pauses guest time until the guard is dropped.
    pub(crate) fn begin_host_call(&self) -> wasmtime::Result<ClockPause> {
        self.budget.take_host_call()?;
        Ok(self.clock.pause())
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// No files, no environment, no arguments, no network. Output to the standard streams is discarded.
fn empty_wasi(time: CoarseClock) -> WasiCtx {
    WasiCtx::builder()
        .wall_clock(time)
        .monotonic_clock(time)
        .max_random_size(RANDOM_BYTES)
        .build()
}
