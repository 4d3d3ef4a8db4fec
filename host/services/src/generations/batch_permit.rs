//! A permit for the engine's batch, for a request whose adapter is in memory: nobody's permit waits for an adapter.
//!
//! A request whose turn has come and whose adapter is not in memory gives its permit back, has the adapter read, and waits for its turn
//! again, where it cannot be rejected any more. Only requests whose turn has come have adapters read, so memory is bounded by the engine's
//! budget and by how many may be kept (`AdapterLoads`).

use crate::{adapter_loads::KeptAdapter, metering::UsageHandle, shared::Shared};
use riad_core::{
    Result,
    adapter::AdapterSource,
    ports::{EnginePermit, QueueRequest},
};
use tracing::{Instrument, info_span};

pub(super) struct BatchPermit {
    pub permit: EnginePermit,
    /// To be held until the engine has the generation.
    pub adapter: Option<KeptAdapter>,
}

/// Waits for the permit of a generation, with this adapter if it has one.
pub(super) async fn acquire(
    shared: &Shared,
    meter: &UsageHandle,
    mut request: QueueRequest<'_>,
    adapter: Option<&AdapterSource>,
) -> Result<BatchPermit> {
    let permit = wait(shared, meter, &request).await?;
    let Some(source) = adapter else {
        return Ok(BatchPermit { permit, adapter: None });
    };
    if let Some(adapter) = shared.engine.resident_adapter(source, request.pass.account()) {
        return Ok(BatchPermit {
            permit,
            adapter: Some(KeptAdapter::found(adapter)),
        });
    }
    drop(permit);
    let adapter = load(shared, meter, source, &request).await?;
    request.continuation = true;
    Ok(BatchPermit {
        permit: wait(shared, meter, &request).await?,
        adapter: Some(adapter),
    })
}

async fn wait(shared: &Shared, meter: &UsageHandle, request: &QueueRequest<'_>) -> Result<EnginePermit> {
    let entering = shared.scheduler.enter(request.clone());
    let queue = entering.instrument(info_span!(target: "riad_services", "queue"));
    meter.record_result(queue.await)
}

async fn load(
    shared: &Shared,
    meter: &UsageHandle,
    source: &AdapterSource,
    request: &QueueRequest<'_>,
) -> Result<KeptAdapter> {
    let permit = meter.record_result(shared.adapter_loads.permit(request).await)?;
    let loading = permit.load(&shared.engine, source, request.pass.account());
    meter.record_engine_result(loading.await)
}
