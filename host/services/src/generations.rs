//! The generations of a request: the wait for a place in the engine's batch, and the start. Not here: what becomes of their text
//! (`chat`, `guest_generations`).

mod batch_permit;

use crate::{metering::UsageHandle, shared::Shared};
use batch_permit::BatchPermit;
use riad_core::{
    AdapterAlias, Error, ErrorKind, Result, TenantPass,
    adapter::AdapterSource,
    chat::Sampling,
    policy::Tier,
    ports::{EncodedPrompt, Generation, GenerationStream, Progress, QueueRequest},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// What all of them share: the tenant, the adapter, the deadline.
#[derive(Clone)]
pub(crate) struct Generations {
    pub shared: Arc<Shared>,
    pub pass: TenantPass,
    pub adapter: Option<AdapterSource>,
    /// The adapter's name.
    pub alias: Option<AdapterAlias>,
    pub tier: Tier,
    pub deadline: Instant,
}

/// What one of them is to be.
pub(crate) struct Turn<'a> {
    pub prompt: &'a EncodedPrompt,
    pub sampling: Sampling,
    /// Whether it belongs to a request that already runs. It waits until the deadline then; else for a limited time, so that a client
    /// learns early that the server is full.
    pub is_continuation: bool,
}

/// A generation that runs, and how long it waited.
pub(crate) struct Begun {
    pub stream: GenerationStream,
    pub queued: Duration,
}

impl Generations {
    /// What the guests of a request without an answer of its own generate, the base model writes.
    pub fn of_base(shared: &Arc<Shared>, pass: &TenantPass, deadline: Instant) -> Self {
        Self {
            shared: Arc::clone(shared),
            pass: pass.clone(),
            adapter: None,
            alias: None,
            tier: Tier::default().min(pass.policy().limits.service_tier),
            deadline,
        }
    }

    /// Waits for a place in the batch and starts. The request stays open until the engine has reported what it used.
    pub async fn begin(&self, meter: &UsageHandle, turn: Turn<'_>) -> Result<Begun> {
        let arrived = Instant::now();
        let progress = Arc::new(Progress::default());
        let request = QueueRequest {
            pass: &self.pass,
            tier: self.tier,
            prompt_tokens: turn.prompt.count(),
            max_tokens: turn.sampling.max_tokens,
            adapter: self.adapter.as_ref().map(|adapter| adapter.generation),
            deadline: self.deadline.into_std(),
            continuation: turn.is_continuation,
            progress: Arc::clone(&progress),
        };
        let BatchPermit { permit, adapter } =
            batch_permit::acquire(&self.shared, meter, request, self.adapter.as_ref()).await?;
        let queued = arrived.elapsed();
        let generation = Generation {
            prompt: turn.prompt.clone(),
            sampling: turn.sampling,
            adapter: self.adapter.clone(),
            account: self.pass.account(),
            weight: self.pass.policy().weight,
            prefix_cache: self.pass.policy().prefix_cache,
            usage_reporter: meter.usage_reporter(&progress),
        };
        let starting = self.shared.engine.generate(generation, permit);
        let stream = self.record_engine_result(meter, starting.await)?;
        // The generation holds it from here on.
        drop(adapter);
        Ok(Begun { stream, queued })
    }

    /// Records the engine's result. An error that is the adapter's names it.
    pub fn record_engine_result<T>(&self, meter: &UsageHandle, result: Result<T>) -> Result<T> {
        let named = result.map_err(|error| match (error.kind(), &self.alias) {
            (ErrorKind::AdapterFailed, Some(alias)) => {
                Error::new(error.kind(), format!("the adapter {alias}: {}", error.message())).with_param("model")
            }
            _ => error,
        });
        meter.record_engine_result(named)
    }
}
