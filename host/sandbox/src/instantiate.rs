//! Starts a guest: instantiating a component may run the guest's code, so it has the limits of a call.

use crate::{call::Call, check::CheckedComponent, context::RunContext, guest::Guest};
use riad_core::{Error, Result, plugin::Stage, ports::Capabilities};
use std::sync::Arc;
use wasmtime::Engine;

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
        let stages = instance.and_then(|instance| component.indices.load(&mut call.guest.store, &instance));
        guest.stages = call.end(stages)?;
        Ok(guest)
    };
    context.run(instantiation).await
}
