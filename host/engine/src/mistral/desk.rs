//! Which lanes there are, which are idle, and which goes next. Not here: what a lane does, and who waits for one in which order
//! (the scheduler).

use parking_lot::Mutex;
use riad_core::{Error, Result};
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A ticket of the scheduler means that a lane is idle; callers without a scheduler wait here.
pub(super) struct Desk<L> {
    lanes: Mutex<Lanes<L>>,
    places: Arc<Semaphore>,
}

struct Lanes<L> {
    all: Vec<Arc<L>>,
    /// The one that has rested longest is in front: one that fails comes behind all others, not first again.
    idle: VecDeque<Arc<L>>,
    next_to_look: usize,
}

/// A lane in use. It is idle again when this is dropped.
pub(super) struct Place<L> {
    lane: Arc<L>,
    desk: Arc<Desk<L>>,
    _permit: OwnedSemaphorePermit,
}

impl<L> Desk<L> {
    pub fn new(lanes: Vec<L>) -> Self {
        let all: Vec<_> = lanes.into_iter().map(Arc::new).collect();
        Self {
            places: Arc::new(Semaphore::new(all.len())),
            lanes: Mutex::new(Lanes {
                idle: all.iter().cloned().collect(),
                all,
                next_to_look: 0,
            }),
        }
    }

    pub async fn take(self: &Arc<Self>) -> Result<Place<L>> {
        let permit = self.places.clone().acquire_owned().await.map_err(Error::internal)?;
        let lane = self.lanes.lock().idle.pop_front();
        Ok(Place {
            lane: lane.ok_or_else(|| Error::internal("a place without an idle lane"))?,
            desk: self.clone(),
            _permit: permit,
        })
    }

    /// A lane to ask something between two steps: an idle one, which answers at once, else each in its turn.
    pub fn look(&self) -> Option<Arc<L>> {
        let mut lanes = self.lanes.lock();
        if let Some(idle) = lanes.idle.back() {
            return Some(idle.clone());
        }
        lanes.next_to_look += 1;
        let turn = lanes.next_to_look % lanes.all.len().max(1);
        lanes.all.get(turn).cloned()
    }
}

impl<L> Place<L> {
    pub fn lane(&self) -> &L {
        &self.lane
    }

    /// Puts another lane where this one was.
    pub fn replace(&mut self, lane: L) {
        let lane = Arc::new(lane);
        for place in &mut self.desk.lanes.lock().all {
            if Arc::ptr_eq(place, &self.lane) {
                *place = lane.clone();
            }
        }
        self.lane = lane;
    }
}

impl<L> Drop for Place<L> {
    fn drop(&mut self) {
        // Before the permit, which is dropped after this: who gets it finds the lane.
        self.desk.lanes.lock().idle.push_back(self.lane.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    async fn take(desk: &Arc<Desk<&'static str>>) -> Place<&'static str> {
        desk.take().await.unwrap()
    }

    #[tokio::test]
    async fn the_lane_that_rested_longest_goes_first() {
        let desk = Arc::new(Desk::new(vec!["a", "b", "c"]));
        let (first, second) = (take(&desk).await, take(&desk).await);
        assert_eq!((*first.lane(), *second.lane()), ("a", "b"));
        // The one that came back last is the last to be taken.
        drop(second);
        drop(first);
        let mut order = Vec::new();
        for _ in 0..6 {
            order.push(*take(&desk).await.lane());
        }
        assert_eq!(order, ["c", "b", "a", "c", "b", "a"]);
    }

    #[tokio::test]
    async fn whoever_finds_no_lane_waits_for_one() {
        let desk = Arc::new(Desk::new(vec!["a"]));
        let place = take(&desk).await;
        let waiting = desk.take();
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(place);
        assert_eq!(*waiting.await.unwrap().lane(), "a");
    }

    #[tokio::test]
    async fn a_lane_that_was_replaced_is_never_seen_again() {
        let desk = Arc::new(Desk::new(vec!["a", "broken"]));
        let first = take(&desk).await;
        let mut second = take(&desk).await;
        second.replace("new");
        let seen: Vec<_> = (0..4).map(|_| *desk.look().unwrap()).collect();
        assert!(seen.contains(&"a") && seen.contains(&"new"), "all are busy: {seen:?}");
        assert!(!seen.contains(&"broken"));
        drop((first, second));
        let (one, two) = (take(&desk).await, take(&desk).await);
        assert_eq!((*one.lane(), *two.lane()), ("a", "new"));
    }
}
