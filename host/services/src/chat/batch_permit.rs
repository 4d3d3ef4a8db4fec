//! A permit for the engine's batch, for a request whose adapter is in memory: nobody's permit waits for an adapter.
//!
//! A request whose turn has come and whose adapter is not in memory gives its permit back, has the adapter read, and waits for its turn
//! again, where it cannot be rejected any more. Only requests whose turn has come have adapters read, so memory is bounded by the engine's
//! budget and by how many may be kept (`AdapterLoads`).

use super::prepared::{Prepared, PreparedChoice};
use crate::adapter_loads::KeptAdapter;
use riad_core::{
    Result,
    adapter::AdapterSource,
    ports::{EnginePermit, Progress, QueueRequest},
};
use std::sync::Arc;
use tracing::{Instrument, info_span};

pub(super) struct BatchPermit {
    pub permit: EnginePermit,
    /// To be held until the engine has the generation.
    pub adapter: Option<KeptAdapter>,
}

/// Waits for the permit of a choice.
pub(super) async fn acquire(
    prepared: &Prepared,
    choice: &PreparedChoice,
    progress: &Arc<Progress>,
) -> Result<BatchPermit> {
    let mut request = QueueRequest {
        pass: &prepared.pass,
        tier: prepared.tier,
        prompt_tokens: choice.prompt.count(),
        max_tokens: prepared.sampling.max_tokens,
        adapter: prepared.adapter.as_ref().map(|adapter| adapter.generation),
        deadline: prepared.deadline.into_std(),
        continuation: choice.number > 0,
        progress: Arc::clone(progress),
    };
    let permit = turn(prepared, &request).await?;
    let Some(source) = &prepared.adapter else {
        return Ok(BatchPermit { permit, adapter: None });
    };
    let engine = &prepared.shared.engine;
    if let Some(adapter) = engine.resident_adapter(source, prepared.pass.account()) {
        return Ok(BatchPermit {
            permit,
            adapter: Some(KeptAdapter::found(adapter)),
        });
    }
    drop(permit);
    let adapter = load(prepared, source, &request).await?;
    request.continuation = true;
    Ok(BatchPermit {
        permit: turn(prepared, &request).await?,
        adapter: Some(adapter),
    })
}

async fn turn(prepared: &Prepared, request: &QueueRequest<'_>) -> Result<EnginePermit> {
    let entering = prepared.shared.scheduler.enter(request.clone());
    let queue = entering.instrument(info_span!(target: "riad_services", "queue"));
    prepared.meter.record_result(queue.await)
}

async fn load(prepared: &Prepared, source: &AdapterSource, request: &QueueRequest<'_>) -> Result<KeptAdapter> {
    let (shared, meter) = (&prepared.shared, &prepared.meter);
    let permit = meter.record_result(shared.adapter_loads.permit(request).await)?;
    let loading = permit.load(&shared.engine, source, prepared.pass.account());
    meter.record_engine_result(loading.await)
}
