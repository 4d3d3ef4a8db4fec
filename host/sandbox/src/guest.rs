//! One instance of a component, for one request. Not here: the bounds of a call (`call.rs`).

use crate::{
    bindings::{postprocessing, prompting, retrieval},
    call::{Call, Shared},
    check::Checked,
    errors::{Breach, Who},
    limits::{FUEL_SLICE, HANDLES, RECORD_BYTES},
    state::GuestState,
};
use riad_core::{Digest, Error, Result, plugin::Stage, ports::Capabilities};
use std::sync::Arc;
use wasmtime::{Engine, Store, UpdateDeadline};

pub(crate) struct Guest {
    pub(crate) digest: Digest,
    pub(crate) store: Store<GuestState>,
    pub(crate) exports: Exports,
    /// A call trapped or was dropped half-way: the guest's memory may be in any state.
    pub(crate) dead: bool,
}

/// The stages that the component has.
#[derive(Default)]
pub(crate) struct Exports {
    pub(crate) retrieval: Option<retrieval::Guest>,
    pub(crate) prompting: Option<prompting::Guest>,
    pub(crate) postprocessing: Option<postprocessing::Guest>,
}

impl Guest {
    /// Instantiates the component, which may run code of the guest, so under the bounds of a call. `stage`: the first one
    /// that it serves, for messages.
    pub(crate) async fn start(
        checked: &Checked,
        engine: &Engine,
        shared: &Shared,
        capabilities: Capabilities,
        stage: Stage,
    ) -> Result<Self> {
        let mut guest = Self {
            digest: checked.digest,
            store: new_store(engine, shared, capabilities).map_err(Error::internal)?,
            exports: Exports::default(),
            dead: false,
        };
        let call = Call::begin(&mut guest, shared, stage)?;
        let instantiate = checked.instance.instantiate_async(&mut call.guest.store);
        let instance = shared.within(instantiate).await;
        let load = |store: &mut Store<GuestState>, instance| -> wasmtime::Result<Exports> {
            Ok(Exports {
                retrieval: checked
                    .retrieval
                    .as_ref()
                    .map(|found| found.load(&mut *store, &instance))
                    .transpose()?,
                prompting: checked
                    .prompting
                    .as_ref()
                    .map(|found| found.load(&mut *store, &instance))
                    .transpose()?,
                postprocessing: checked
                    .postprocessing
                    .as_ref()
                    .map(|found| found.load(&mut *store, &instance))
                    .transpose()?,
            })
        };
        let exports = instance.and_then(|instance| load(&mut call.guest.store, instance));
        guest.exports = call.end(exports)?;
        Ok(guest)
    }

    pub(crate) fn who(&self, stage: Stage) -> Who {
        Who {
            stage,
            digest: self.digest,
        }
    }
}

fn new_store(engine: &Engine, shared: &Shared, capabilities: Capabilities) -> wasmtime::Result<Store<GuestState>> {
    let limits = &shared.limits;
    let state = GuestState::new(
        limits,
        capabilities,
        Arc::clone(&shared.budget),
        Arc::clone(&shared.clock),
    );
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.memory);
    // Bounds what the host copies for one call, before it is copied: the results of a stage and the arguments of a host call.
    let copied = usize::try_from(limits.guest_output_bytes).unwrap_or(usize::MAX);
    store.set_hostcall_fuel(copied.saturating_add(RECORD_BYTES));
    store.set_max_component_handles(HANDLES);
    store.fuel_async_yield_interval(Some(FUEL_SLICE))?;
    let clock = Arc::clone(&shared.clock);
    store.epoch_deadline_callback(move |_| {
        if clock.left().is_zero() {
            return Err(Breach::Time.into());
        }
        // The turn of others. Waiting for the next own one is not guest time.
        let away = clock.away();
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(async move {
                tokio::task::yield_now().await;
                drop(away);
            }),
        ))
    });
    Ok(store)
}
