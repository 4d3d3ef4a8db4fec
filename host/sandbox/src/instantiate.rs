//! Starts a guest: instantiating a component may run the guest's code, so it has the limits of a call.

use crate::{
    call::Call,
    check::CheckedComponent,
    context::RunContext,
    guest::{Exports, Guest},
    state::GuestState,
};
use riad_core::{Error, Result, plugin::Stage, ports::Capabilities};
use std::sync::Arc;
use wasmtime::{Engine, Store, component::Instance};

/// `stage`: the first one that the guest serves, for messages.
pub(crate) async fn instantiate(
    component: Arc<CheckedComponent>,
    engine: &Engine,
    context: &Arc<RunContext>,
    capabilities: Capabilities,
    stage: Stage,
) -> Result<Guest> {
    let guest = Guest::new(component.digest, engine, context, capabilities).map_err(Error::internal)?;
    let kept = Arc::clone(context);
    let instantiation = async move {
        // Dropped after the guest, whose permit it has.
        let context = kept;
        let mut guest = guest;
        let call = Call::begin(&mut guest, &context, stage)?;
        let instantiation = component.instance.instantiate_async(&mut call.guest.store);
        let instance = context.limit_time(instantiation).await;
        let exports = instance.and_then(|instance| find_exports(&component, &mut call.guest.store, &instance));
        guest.exports = call.end(exports)?;
        Ok(guest)
    };
    context.run(instantiation).await
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
