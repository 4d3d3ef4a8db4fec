//! The first-come queue for lanes: as many tickets as the engine has lanes, a bounded number of waiters, a bounded wait. For a
//! server with one tenant, and to compare with. Not here: fairness between tenants (`fair.rs`).

use crate::fair::{Clock, TokioClock, latest};
use async_trait::async_trait;
use parking_lot::Mutex;
use riad_core::{
    Error, ErrorKind, Limits, Result,
    ports::{LaneTicket, QueueRequest, QueueState, Scheduler},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// When a queue that is full may have room.
const RETRY: Duration = Duration::from_secs(1);

pub struct Fifo {
    /// Tokio's semaphore serves waiters in the order they came; a free permit means that nobody waits.
    lanes: Arc<Semaphore>,
    counts: Arc<Mutex<QueueState>>,
    queue: u64,
    longest: Duration,
    clock: Arc<dyn Clock>,
}

impl Fifo {
    /// `lanes` is what the engine says it has.
    #[must_use]
    pub fn new(lanes: usize, limits: &Limits) -> Self {
        Self::with_clock(lanes, limits, Arc::new(TokioClock))
    }

    /// With a clock that a simulation drives.
    #[must_use]
    pub fn with_clock(lanes: usize, limits: &Limits, clock: Arc<dyn Clock>) -> Self {
        Self {
            lanes: Arc::new(Semaphore::new(lanes.max(1))),
            counts: Arc::default(),
            queue: limits.queue.into(),
            longest: Duration::from_millis(limits.queue_ms),
            clock,
        }
    }

    fn ticket(&self, permit: OwnedSemaphorePermit) -> LaneTicket {
        self.counts.lock().running += 1;
        let counts = Arc::clone(&self.counts);
        LaneTicket::new(move || {
            counts.lock().running -= 1;
            drop(permit);
        })
    }
}

#[async_trait]
impl Scheduler for Fifo {
    async fn enter(&self, ask: QueueRequest<'_>) -> Result<LaneTicket> {
        if let Ok(permit) = Arc::clone(&self.lanes).try_acquire_owned() {
            return Ok(self.ticket(permit));
        }
        let now = self.clock.now();
        let until = latest(now, self.longest, &ask);
        let tokens = u64::from(ask.prompt_tokens) + u64::from(ask.max_tokens);
        let _place = Place::take(&self.counts, self.queue, tokens)?;
        tokio::select! {
            biased;
            permit = Arc::clone(&self.lanes).acquire_owned() => Ok(self.ticket(permit.map_err(Error::internal)?)),
            () = self.clock.sleep_until(until) => {
                let waited = self.clock.now().saturating_duration_since(now).as_millis();
                Err(Error::new(
                    ErrorKind::Timeout,
                    format!("no lane became free within {waited} ms; try again later"),
                ))
            }
        }
    }

    /// It measures nothing, so that it has no estimate, and sheds nothing.
    fn state(&self) -> QueueState {
        *self.counts.lock()
    }
}

/// A place among the waiters, given back when the wait ends or its future is dropped.
struct Place {
    counts: Arc<Mutex<QueueState>>,
    tokens: u64,
}

impl Place {
    fn take(counts: &Arc<Mutex<QueueState>>, room: u64, tokens: u64) -> Result<Self> {
        let mut now = counts.lock();
        if now.waiting >= room {
            let text = "too many requests wait for the model; try again later";
            return Err(Error::new(ErrorKind::Busy, text).with_retry_after(RETRY));
        }
        now.waiting += 1;
        now.waiting_tokens += tokens;
        Ok(Self {
            counts: Arc::clone(counts),
            tokens,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = self.counts.lock();
        now.waiting -= 1;
        now.waiting_tokens -= self.tokens;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fair::passes::pass;
    use futures::{FutureExt, future::BoxFuture};
    use riad_core::{TenantPass, policy::Tier, ports::Progress};

    fn enter<'a>(fifo: &'a Fifo, pass: &'a TenantPass) -> BoxFuture<'a, Result<LaneTicket>> {
        fifo.enter(QueueRequest {
            pass,
            tier: Tier::Default,
            prompt_tokens: 2,
            max_tokens: 3,
            adapter: None,
            deadline: fifo.clock.now() + Duration::from_secs(3600),
            begun: false,
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
        let (fifo, pass) = (Fifo::new(1, &limits(8)), pass(1, 1));
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
    async fn a_full_queue_is_busy_and_a_waiter_that_leaves_makes_room() {
        let (fifo, pass) = (Fifo::new(1, &limits(1)), pass(1, 1));
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
    async fn a_waiter_that_leaves_with_a_lane_in_its_hand_gives_it_to_the_next() {
        let (fifo, pass) = (Fifo::new(1, &limits(8)), pass(1, 1));
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
        let (fifo, pass) = (Fifo::new(1, &limits), pass(1, 1));
        let _lane = enter(&fifo, &pass).await.unwrap();
        let refused = enter(&fifo, &pass).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Timeout);
        assert_eq!(fifo.state().waiting, 0);
    }
}
