//! One instance of a component, for one request. Not here: its start (`instantiate.rs`), the limits of a call (`call.rs`).

use crate::{
    context::RunContext,
    errors::{PluginStage, StopReason},
    limits::{FUEL_SLICE, HANDLES, RECORD_BYTES},
    stages::StageFunctions,
    state::GuestState,
};
use riad_core::{Digest, plugin::Stage, ports::Capabilities};
use std::sync::Arc;
use wasmtime::{Engine, Store, UpdateDeadline};

pub(crate) struct Guest {
    pub(crate) digest: Digest,
    pub(crate) store: Store<GuestState>,
    pub(crate) stages: StageFunctions,
    /// A call trapped or was dropped midway: the guest's memory may be in any state.
    pub(crate) dead: bool,
}

impl Guest {
    /// A guest whose component is not instantiated yet.
    pub(crate) fn new(
        digest: Digest,
        engine: &Engine,
        context: &RunContext,
        capabilities: Capabilities,
    ) -> wasmtime::Result<Self> {
        Ok(Self {
            digest,
            store: new_store(engine, context, capabilities)?,
            stages: StageFunctions::default(),
            dead: false,
        })
    }

    pub(crate) fn name_stage(&self, stage: Stage) -> PluginStage {
        PluginStage {
            stage,
            digest: self.digest,
        }
    }
}

fn new_store(engine: &Engine, context: &RunContext, capabilities: Capabilities) -> wasmtime::Result<Store<GuestState>> {
    let limits = &context.limits;
    let state = GuestState::new(
        limits,
        capabilities,
        Arc::clone(&context.budget),
        Arc::clone(&context.clock),
    );
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.memory);
    // Limits what the host copies for one call, before the copy: the results of a stage and the arguments of a host call.
    let copied = usize::try_from(limits.guest_output_bytes).unwrap_or(usize::MAX);
    store.set_hostcall_fuel(copied.saturating_add(RECORD_BYTES));
    store.set_max_component_handles(HANDLES);
    store.fuel_async_yield_interval(Some(FUEL_SLICE))?;
    let clock = Arc::clone(&context.clock);
    store.epoch_deadline_callback(move |_| {
        if clock.remaining().is_zero() {
            return Err(StopReason::out_of_time(&clock).into());
        }
        // Yields to others.
        Ok(UpdateDeadline::Yield(1))
    });
    Ok(store)
}
