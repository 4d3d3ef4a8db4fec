//! The first-come queue for places in the engine's batch: a bounded queue and a bounded wait. For a server with one tenant, and to compare with.
//! Not here: fairness between tenants (`fair.rs`).

use crate::fair::{acquire, bounds};
use async_trait::async_trait;
use riad_admission::{Fifo, Limiter, MonotonicClock, TokioClock};
use riad_core::{
    Limits, Result,
    ports::{EnginePermit, QueueRequest, QueueState, Scheduler},
    resources,
};
use std::{sync::Arc, time::Duration};

pub struct FifoQueue {
    /// The detail of a request is the tokens that it may use.
    permits: Limiter<Fifo<u64>>,
    longest: Duration,
}

impl FifoQueue {
    /// `permits` is how many sequences the engine's batch has.
    #[must_use]
    pub fn new(permits: usize, limits: &Limits) -> Self {
        Self::with_clock(permits, limits, Arc::new(TokioClock))
    }

    /// With a clock that a simulation drives.
    #[must_use]
    pub fn with_clock(permits: usize, limits: &Limits, clock: Arc<dyn MonotonicClock>) -> Self {
        Self {
            permits: Limiter::with_clock(&resources::BATCH, bounds(permits, limits), Fifo::default(), clock),
            longest: Duration::from_millis(limits.queue_ms),
        }
    }
}

#[async_trait]
impl Scheduler for FifoQueue {
    async fn enter(&self, request: QueueRequest<'_>) -> Result<EnginePermit> {
        let tokens = u64::from(request.prompt_tokens) + u64::from(request.max_tokens);
        acquire(&self.permits, self.longest, &request, tokens).await
    }

    /// Measures nothing: there is no estimate, and nothing is shed.
    fn state(&self) -> QueueState {
        self.permits.inspect(|queue| QueueState {
            waiting: queue.waiting() as u64,
            waiting_tokens: queue.waiting_details().sum(),
            running: queue.running() as u64,
            ..QueueState::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, future::BoxFuture};
    use riad_core::{ErrorKind, TenantPass, policy::Tier, ports::Progress};
    use riad_fakes::weighted_pass;

    fn enter<'a>(fifo: &'a FifoQueue, pass: &'a TenantPass) -> BoxFuture<'a, Result<EnginePermit>> {
        fifo.enter(QueueRequest {
            pass,
            tier: Tier::Default,
            prompt_tokens: 2,
            max_tokens: 3,
            adapter: None,
            deadline: fifo.permits.now() + Duration::from_secs(3600),
            continuation: false,
            progress: Arc::new(Progress::default()),
        })
    }

    fn limits(queue: u32) -> Limits {
        Limits {
            queue,
            queue_ms: 1000,
            ..Limits::default()
        }
    }

    #[tokio::test]
    async fn waiters_are_served_in_the_order_they_came() {
        let (fifo, pass) = (FifoQueue::new(1, &limits(8)), weighted_pass(1, 1));
        let permit = enter(&fifo, &pass).await.unwrap();
        let mut first = enter(&fifo, &pass);
        let mut second = enter(&fifo, &pass);
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        assert_eq!(fifo.state().waiting, 2);
        drop(permit);
        assert!((&mut second).now_or_never().is_none());
        let permit = (&mut first).now_or_never().unwrap().unwrap();
        assert!((&mut second).now_or_never().is_none());
        drop(permit);
        assert!((&mut second).now_or_never().unwrap().is_ok());
        assert_eq!(fifo.state().waiting, 0);
    }

    #[tokio::test]
    async fn a_waiter_that_leaves_a_full_queue_makes_room() {
        let (fifo, pass) = (FifoQueue::new(1, &limits(1)), weighted_pass(1, 1));
        let _permit = enter(&fifo, &pass).await.unwrap();
        let mut waits = enter(&fifo, &pass);
        assert!((&mut waits).now_or_never().is_none());
        let refused = enter(&fifo, &pass).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        drop(waits);
        assert_eq!(fifo.state().waiting, 0);
        assert!(
            enter(&fifo, &pass).now_or_never().is_none(),
            "there is room to wait again"
        );
    }

    #[tokio::test]
    async fn a_waiter_that_leaves_with_a_permit_passes_it_on() {
        let (fifo, pass) = (FifoQueue::new(1, &limits(8)), weighted_pass(1, 1));
        let permit = enter(&fifo, &pass).await.unwrap();
        let mut first = enter(&fifo, &pass);
        let mut second = enter(&fifo, &pass);
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        drop(permit);
        drop(first);
        assert!((&mut second).now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_wait_that_is_too_long_times_out() {
        let limits = Limits {
            queue_ms: 1,
            ..Limits::default()
        };
        let (fifo, pass) = (FifoQueue::new(1, &limits), weighted_pass(1, 1));
        let _permit = enter(&fifo, &pass).await.unwrap();
        let refused = enter(&fifo, &pass).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Timeout);
        assert_eq!(fifo.state().waiting, 0);
    }
}
