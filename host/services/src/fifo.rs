//! The first-come queue for lanes: a bounded queue and a bounded wait. For a server with one tenant, and to compare with.
//! Not here: fairness between tenants (`fair.rs`).

use crate::fair::{acquire, bounds};
use async_trait::async_trait;
use riad_admission::{Fifo, Limiter, MonotonicClock, TokioClock};
use riad_core::{
    Limits, Result,
    ports::{LaneTicket, QueueRequest, QueueState, Scheduler},
};
use std::{sync::Arc, time::Duration};

pub struct FifoQueue {
    /// The detail of a request is the tokens that it may use.
    lanes: Limiter<Fifo<u64>>,
    longest: Duration,
}

impl FifoQueue {
    /// `lanes` is how many the engine has.
    #[must_use]
    pub fn new(lanes: usize, limits: &Limits) -> Self {
        Self::with_clock(lanes, limits, Arc::new(TokioClock))
    }

    /// With a clock that a simulation drives.
    #[must_use]
    pub fn with_clock(lanes: usize, limits: &Limits, clock: Arc<dyn MonotonicClock>) -> Self {
        Self {
            lanes: Limiter::with_clock(bounds(lanes, limits), Fifo::default(), clock),
            longest: Duration::from_millis(limits.queue_ms),
        }
    }
}

#[async_trait]
impl Scheduler for FifoQueue {
    async fn enter(&self, request: QueueRequest<'_>) -> Result<LaneTicket> {
        let tokens = u64::from(request.prompt_tokens) + u64::from(request.max_tokens);
        acquire(&self.lanes, self.longest, &request, tokens).await
    }

    /// Measures nothing: there is no estimate, and nothing is shed.
    fn state(&self) -> QueueState {
        self.lanes.inspect(|queue| QueueState {
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
    use crate::fair::passes::pass;
    use futures::{FutureExt, future::BoxFuture};
    use riad_core::{ErrorKind, TenantPass, policy::Tier, ports::Progress};

    fn enter<'a>(fifo: &'a FifoQueue, pass: &'a TenantPass) -> BoxFuture<'a, Result<LaneTicket>> {
        fifo.enter(QueueRequest {
            pass,
            tier: Tier::Default,
            prompt_tokens: 2,
            max_tokens: 3,
            adapter: None,
            deadline: fifo.lanes.now() + Duration::from_secs(3600),
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
        let (fifo, pass) = (FifoQueue::new(1, &limits(8)), pass(1, 1));
        let lane = enter(&fifo, &pass).await.unwrap();
        let mut first = enter(&fifo, &pass);
        let mut second = enter(&fifo, &pass);
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        assert_eq!(fifo.state().waiting, 2);
        drop(lane);
        assert!((&mut second).now_or_never().is_none());
        let lane = (&mut first).now_or_never().unwrap().unwrap();
        assert!((&mut second).now_or_never().is_none());
        drop(lane);
        assert!((&mut second).now_or_never().unwrap().is_ok());
        assert_eq!(fifo.state().waiting, 0);
    }

    #[tokio::test]
    async fn a_waiter_that_leaves_a_full_queue_makes_room() {
        let (fifo, pass) = (FifoQueue::new(1, &limits(1)), pass(1, 1));
        let _lane = enter(&fifo, &pass).await.unwrap();
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
    async fn a_waiter_that_leaves_with_a_lane_passes_it_on() {
        let (fifo, pass) = (FifoQueue::new(1, &limits(8)), pass(1, 1));
        let lane = enter(&fifo, &pass).await.unwrap();
        let mut first = enter(&fifo, &pass);
        let mut second = enter(&fifo, &pass);
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        drop(lane);
        drop(first);
        assert!((&mut second).now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_wait_that_is_too_long_times_out() {
        let limits = Limits {
            queue_ms: 1,
            ..Limits::default()
        };
        let (fifo, pass) = (FifoQueue::new(1, &limits), pass(1, 1));
        let _lane = enter(&fifo, &pass).await.unwrap();
        let refused = enter(&fifo, &pass).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Timeout);
        assert_eq!(fifo.state().waiting, 0);
    }
}
