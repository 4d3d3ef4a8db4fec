//! Starts a guest: instantiating a component may run the guest's code, so it has the limits of a call.

use crate::{
    call::Call,
    check::CheckedComponent,
    context::RunContext,
    guest::{Exports, Guest},
    state::GuestState,
};
use riad_core::{Error, Result, plugin::Stage, ports::Capabilities};
use wasmtime::{Engine, Store, component::Instance};

/// `stage`: the first one that the guest serves, for messages.
pub(crate) async fn instantiate(
    component: &CheckedComponent,
    engine: &Engine,
    context: &RunContext,
    capabilities: Capabilities,
    stage: Stage,
) -> Result<Guest> {
    let mut guest = Guest::new(component.digest, engine, context, capabilities).map_err(Error::internal)?;
    let call = Call::begin(&mut guest, context, stage)?;
    let instantiation = component.instance.instantiate_async(&mut call.guest.store);
    let instance = context.limit_time(instantiation).await;
    let exports = instance.and_then(|instance| find_exports(component, &mut call.guest.store, &instance));
    guest.exports = call.end(exports)?;
    Ok(guest)
}

fn find_exports(
    component: &CheckedComponent,
    store: &mut Store<GuestState>,
    instance: &Instance,
) -> wasmtime::Result<Exports> {
    let retrieval = component.retrieval.as_ref();
    let prompting = component.prompting.as_ref();
    let postprocessing = component.postprocessing.as_ref();
    Ok(Exports {
        retrieval: retrieval.map(|stage| stage.load(&mut *store, instance)).transpose()?,
        prompting: prompting.map(|stage| stage.load(&mut *store, instance)).transpose()?,
        postprocessing: postprocessing
            .map(|stage| stage.load(&mut *store, instance))
            .transpose()?,
    })
}
