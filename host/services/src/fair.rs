//! The fair queue for places in the engine's batch: the account that has had the fewest tokens for its weight is next, so that a noisy tenant
//! waits for itself. It is bounded and keeps a latency target by rejecting requests of the account that asks for the most.
//!
//! Here: the port. The decisions are in `riad_admission`.

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use riad_admission::{
    Bounds, Limiter, MonotonicClock, Policy, Rejection, Request, TokenRequest, TokioClock, VirtualTime,
};
use riad_core::{
    Error, ErrorKind, Limits, Result,
    ports::{EnginePermit, QueueRequest, QueueState, Scheduler},
    resources::{self, Resource},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub struct FairQueue {
    permits: Limiter<VirtualTime>,
    longest: Duration,
}

impl FairQueue {
    /// `permits` is how many sequences the engine's batch has. Requests whose first token the backlog would delay by more than `target_first_token`
    /// are rejected.
    #[must_use]
    pub fn new(permits: usize, limits: &Limits, target_first_token: Duration) -> Self {
        Self::with_clock(permits, limits, target_first_token, Arc::new(TokioClock))
    }

    /// With a clock that a simulation drives.
    #[must_use]
    pub fn with_clock(
        permits: usize,
        limits: &Limits,
        target_first_token: Duration,
        clock: Arc<dyn MonotonicClock>,
    ) -> Self {
        Self {
            permits: Limiter::with_clock(
                &resources::BATCH,
                bounds(permits, limits),
                VirtualTime::new(target_first_token),
                clock,
            ),
            longest: Duration::from_millis(limits.queue_ms),
        }
    }
}

#[async_trait]
impl Scheduler for FairQueue {
    async fn enter(&self, request: QueueRequest<'_>) -> Result<EnginePermit> {
        let detail = TokenRequest {
            tier: request.tier,
            prompt_tokens: request.prompt_tokens,
            max_tokens: request.max_tokens,
            adapter: request.adapter,
            progress: Arc::clone(&request.progress),
        };
        acquire(&self.permits, self.longest, &request, detail).await
    }

    fn state(&self) -> QueueState {
        self.permits.inspect(|queue| {
            let (policy, state) = queue.policy();
            QueueState {
                waiting: queue.waiting() as u64,
                waiting_tokens: policy.waiting_tokens(state),
                running: queue.running() as u64,
                estimated_wait: policy.whole_wait(state),
                tokens_per_second: policy.tokens_per_second(),
                shed: queue.shed(),
            }
        })
    }
}

pub(crate) fn bounds(permits: usize, limits: &Limits) -> Bounds {
    Bounds {
        waiting: limits.queue as usize,
        ..Bounds::of(u32::try_from(permits).unwrap_or(u32::MAX).max(1))
    }
}

/// Waits for one place in the batch.
pub(crate) async fn acquire<P>(
    permits: &Limiter<P>,
    longest: Duration,
    request: &QueueRequest<'_>,
    detail: P::Detail,
) -> Result<EnginePermit>
where
    P: Policy<Detail: Send, Rank: Send, Account: Send, Run: Send> + Send + 'static,
{
    let arrived = permits.now();
    let asked = Request {
        weight: request.pass.policy().weight,
        expires: Some(expiry(arrived, longest, request)),
        deadline: Some(request.deadline),
        continuation: request.continuation,
        ..Request::new(request.pass.account(), detail)
    };
    let permit = permits.acquire(asked).await;
    let permit = permit.map_err(|rejection| {
        let waited = permits.now().saturating_duration_since(arrived);
        rejected(permits.resource(), rejection, waited)
    })?;
    Ok(EnginePermit::new(move || drop(permit)))
}

/// The end of a wait that begins now.
fn expiry(now: Instant, longest: Duration, request: &QueueRequest<'_>) -> Instant {
    match now.checked_add(longest) {
        Some(end) if !request.continuation => end.min(request.deadline),
        Some(_) | None => request.deadline,
    }
}

fn rejected(resource: &Resource, rejection: Rejection, waited: Duration) -> Error {
    match rejection {
        Rejection::QueueFull { retry_after } => busy(resource.refusal().1, retry_after),
        Rejection::Overloaded { retry_after } => busy(
            "more requests are waiting for the model than it can answer soon",
            retry_after,
        ),
        Rejection::TooLate { retry_after } => busy(
            "the model is too busy to answer this request before its deadline",
            retry_after,
        ),
        Rejection::TimedOut => {
            let text = format!("the model stayed busy for {} ms; try again later", waited.as_millis());
            Error::new(ErrorKind::Timeout, text)
        }
        Rejection::TooLarge { most } => Error::internal(format!("a request for more than {most} places in the batch")),
    }
}

fn busy(why: &str, retry_after: Duration) -> Error {
    let seconds = retry_after.as_secs();
    Error::new(ErrorKind::Busy, format!("{why}; try again in about {seconds} s")).with_retry_after(retry_after)
}
