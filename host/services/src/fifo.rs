//! The first-come queue for lanes: as many tickets as the engine has lanes, a bounded number of waiters, a bounded wait.
//! Not here: fairness between tenants, which needs a scheduler that knows what each has used.

use async_trait::async_trait;
use riad_core::{
    Error, ErrorKind, Limits, Result,
    ports::{LaneTicket, QueueAsk, Scheduler},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Semaphore, time::timeout};

pub struct Fifo {
    /// Tokio's semaphore serves waiters in the order they came; a free permit means that nobody waits.
    lanes: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    queue: usize,
    wait: Duration,
}

impl Fifo {
    /// `lanes` is what the engine says it has.
    #[must_use]
    pub fn new(lanes: usize, limits: &Limits) -> Self {
        Self {
            lanes: Arc::new(Semaphore::new(lanes.max(1))),
            waiting: Arc::new(AtomicUsize::new(0)),
            queue: limits.queue as usize,
            wait: Duration::from_millis(limits.queue_ms),
        }
    }
}

#[async_trait]
impl Scheduler for Fifo {
    async fn enter(&self, _ask: QueueAsk<'_>) -> Result<LaneTicket> {
        if let Ok(permit) = Arc::clone(&self.lanes).try_acquire_owned() {
            return Ok(LaneTicket::new(move || drop(permit)));
        }
        let _place = Place::take(&self.waiting, self.queue)?;
        match timeout(self.wait, Arc::clone(&self.lanes).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(LaneTicket::new(move || drop(permit))),
            Ok(Err(closed)) => Err(Error::internal(closed)),
            Err(_) => Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "no lane became free within {} ms; try again later",
                    self.wait.as_millis()
                ),
            )),
        }
    }

    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }
}

/// A place among the waiters, given back when the wait ends or its future is dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(waiting: &Arc<AtomicUsize>, queue: usize) -> Result<Self> {
        waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                (now < queue).then_some(now + 1)
            })
            .map(|_| Self(Arc::clone(waiting)))
            .map_err(|_| Error::new(ErrorKind::Busy, "too many requests wait for the model; try again later"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, future::BoxFuture};
    use riad_core::{
        KeyId, OperatorPass, Secret, TenantId, TenantPass,
        pass::{KeyHash, hash_key},
        ports::{FoundKey, Keyring},
        tenant::Key,
    };

    struct OneKey(KeyHash);

    #[async_trait]
    impl Keyring for OneKey {
        async fn find(&self, hash: &KeyHash) -> Result<Option<FoundKey>> {
            Ok((*hash == self.0).then(|| FoundKey {
                tenant: "acme".parse().unwrap(),
                key: "key_1".parse().unwrap(),
                hash: self.0,
            }))
        }
        async fn insert(&self, _: &OperatorPass, _: &TenantId, _: &Key, _: &KeyHash) -> Result<()> {
            Err(Error::internal("not used"))
        }
        async fn list(&self, _: &OperatorPass, _: &TenantId) -> Result<Vec<Key>> {
            Err(Error::internal("not used"))
        }
        async fn revoke(&self, _: &OperatorPass, _: &TenantId, _: &KeyId) -> Result<()> {
            Err(Error::internal("not used"))
        }
        async fn operator_hash(&self) -> Result<Option<KeyHash>> {
            Ok(None)
        }
        async fn set_operator_hash(&self, _: &KeyHash) -> Result<()> {
            Ok(())
        }
    }

    async fn pass() -> TenantPass {
        let key = Secret::new("k".to_owned());
        TenantPass::authorise(&OneKey(hash_key(&key)), &key).await.unwrap()
    }

    fn enter<'a>(fifo: &'a Fifo, pass: &'a TenantPass) -> BoxFuture<'a, Result<LaneTicket>> {
        fifo.enter(QueueAsk {
            pass,
            prompt_tokens: 1,
            max_tokens: 1,
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
        let (fifo, pass) = (Fifo::new(1, &limits(8)), pass().await);
        let lane = enter(&fifo, &pass).await.unwrap();
        let mut first = enter(&fifo, &pass);
        let mut second = enter(&fifo, &pass);
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        assert_eq!(fifo.waiting(), 2);
        drop(lane);
        assert!((&mut second).now_or_never().is_none());
        let lane = (&mut first).now_or_never().unwrap().unwrap();
        assert!((&mut second).now_or_never().is_none());
        drop(lane);
        assert!((&mut second).now_or_never().unwrap().is_ok());
        assert_eq!(fifo.waiting(), 0);
    }

    #[tokio::test]
    async fn a_full_queue_is_busy_and_a_waiter_that_leaves_makes_room() {
        let (fifo, pass) = (Fifo::new(1, &limits(1)), pass().await);
        let _lane = enter(&fifo, &pass).await.unwrap();
        let mut waits = enter(&fifo, &pass);
        assert!((&mut waits).now_or_never().is_none());
        let refused = enter(&fifo, &pass).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        drop(waits);
        assert_eq!(fifo.waiting(), 0);
        assert!(
            enter(&fifo, &pass).now_or_never().is_none(),
            "there is room to wait again"
        );
    }

    #[tokio::test]
    async fn a_waiter_that_leaves_with_a_lane_in_its_hand_gives_it_to_the_next() {
        let (fifo, pass) = (Fifo::new(1, &limits(8)), pass().await);
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
        let (fifo, pass) = (Fifo::new(1, &limits), pass().await);
        let _lane = enter(&fifo, &pass).await.unwrap();
        let refused = enter(&fifo, &pass).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Timeout);
        assert_eq!(fifo.waiting(), 0);
    }
}
