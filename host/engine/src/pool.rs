//! Which lanes there are, which are idle, and which is used next. Not here: what a lane does, and which request gets one
//! (the scheduler).

use parking_lot::Mutex;
use riad_admission::{Bounds, Fifo, Limiter, Permit, Request};
use riad_core::{Account, Error, Result};
use std::{collections::VecDeque, sync::Arc};

/// The lanes of an engine. A ticket of the scheduler means that one is idle; callers without a scheduler wait here.
pub(crate) struct EnginePool<L> {
    lanes: Mutex<Lanes<L>>,
    slots: Limiter<Fifo>,
}

struct Lanes<L> {
    all: Vec<Arc<L>>,
    /// The one that has been idle longest is in front: one that fails comes behind all others, not first again.
    idle: VecDeque<Arc<L>>,
    next_to_query: usize,
}

/// A lane in use. It is idle again when this is dropped.
pub(crate) struct PooledLane<L> {
    lane: Arc<L>,
    pool: Arc<EnginePool<L>>,
    _slot: Permit<Fifo>,
}

impl<L> EnginePool<L> {
    pub fn new(lanes: Vec<L>) -> Self {
        let all: Vec<_> = lanes.into_iter().map(Arc::new).collect();
        let capacity = u32::try_from(all.len()).unwrap_or(u32::MAX);
        Self {
            slots: Limiter::new(Bounds::of(capacity), Fifo::default()),
            lanes: Mutex::new(Lanes {
                idle: all.iter().cloned().collect(),
                all,
                next_to_query: 0,
            }),
        }
    }

    pub async fn acquire(self: &Arc<Self>, account: Account) -> Result<PooledLane<L>> {
        let slot = self.slots.acquire(Request::new(account, ())).await;
        let slot = slot.map_err(|rejection| Error::internal(format!("no lane: {rejection:?}")))?;
        let lane = self.lanes.lock().idle.pop_front();
        Ok(PooledLane {
            lane: lane.ok_or_else(|| Error::internal("a slot without an idle lane"))?,
            pool: self.clone(),
            _slot: slot,
        })
    }

    /// A lane to query between two steps: an idle one, which answers at once, else the next in rotation.
    pub fn any_lane(&self) -> Option<Arc<L>> {
        let mut lanes = self.lanes.lock();
        if let Some(idle) = lanes.idle.back() {
            return Some(idle.clone());
        }
        lanes.next_to_query += 1;
        let next = lanes.next_to_query % lanes.all.len().max(1);
        lanes.all.get(next).cloned()
    }
}

impl<L> PooledLane<L> {
    pub fn lane(&self) -> &L {
        &self.lane
    }

    /// Puts another lane where this one was.
    pub fn replace(&mut self, lane: L) {
        let lane = Arc::new(lane);
        for known in &mut self.pool.lanes.lock().all {
            if Arc::ptr_eq(known, &self.lane) {
                *known = lane.clone();
            }
        }
        self.lane = lane;
    }
}

impl<L> Drop for PooledLane<L> {
    fn drop(&mut self) {
        // Before the slot, which is dropped after this: the request that gets it finds the lane.
        self.pool.lanes.lock().idle.push_back(self.lane.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    async fn acquire(pool: &Arc<EnginePool<&'static str>>) -> PooledLane<&'static str> {
        pool.acquire(Account::new(1)).await.unwrap()
    }

    #[tokio::test]
    async fn the_lane_that_was_idle_longest_is_used_first() {
        let pool = Arc::new(EnginePool::new(vec!["a", "b", "c"]));
        let (first, second) = (acquire(&pool).await, acquire(&pool).await);
        assert_eq!((*first.lane(), *second.lane()), ("a", "b"));
        // The lane that was released last is used last.
        drop(second);
        drop(first);
        let mut order = Vec::new();
        for _ in 0..6 {
            order.push(*acquire(&pool).await.lane());
        }
        assert_eq!(order, ["c", "b", "a", "c", "b", "a"]);
    }

    #[tokio::test]
    async fn a_request_that_finds_no_idle_lane_waits() {
        let pool = Arc::new(EnginePool::new(vec!["a"]));
        let lane = acquire(&pool).await;
        let waiting = pool.acquire(Account::new(2));
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(lane);
        assert_eq!(*waiting.await.unwrap().lane(), "a");
    }

    #[tokio::test]
    async fn a_replaced_lane_is_never_used_again() {
        let pool = Arc::new(EnginePool::new(vec!["a", "broken"]));
        let first = acquire(&pool).await;
        let mut second = acquire(&pool).await;
        second.replace("new");
        let seen: Vec<_> = (0..4).map(|_| *pool.any_lane().unwrap()).collect();
        assert!(seen.contains(&"a") && seen.contains(&"new"), "all are busy: {seen:?}");
        assert!(!seen.contains(&"broken"));
        drop((first, second));
        let (one, two) = (acquire(&pool).await, acquire(&pool).await);
        assert_eq!((*one.lane(), *two.lane()), ("a", "new"));
    }
}
