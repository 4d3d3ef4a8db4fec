//! The fair queue for lanes: whoever has had the least for its weight is next, so that a noisy tenant waits for itself. It is
//! bounded, keeps a latency target by refusing the newest of whoever asks for the most, and never leaves a lane idle while
//! somebody waits.
//!
//! Here: its futures and its lock. The decisions are in `queue.rs`, which knows neither.

pub mod clock;
mod counters;
#[cfg(test)]
mod decisions;
mod estimate;
mod measure;
#[cfg(test)]
pub(crate) mod passes;
mod queue;
mod service;
mod shed;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use clock::{Clock, TokioClock};

use async_trait::async_trait;
use counters::Ask;
use parking_lot::Mutex;
use queue::{Decision, Queue, Verdict};
use riad_core::{
    Error, ErrorKind, Limits, Result,
    ports::{LaneTicket, QueueRequest, QueueState, Scheduler},
};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

pub struct FairQueue(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    longest: Duration,
    state: Mutex<State>,
}

struct State {
    queue: Queue,
    /// Where those who wait learn what was decided.
    doors: HashMap<u64, oneshot::Sender<Verdict>>,
}

impl FairQueue {
    /// `lanes` is what the engine says it has. Requests for whose first token the backlog leaves more than `target_first_token`
    /// are refused.
    #[must_use]
    pub fn new(lanes: usize, limits: &Limits, target_first_token: Duration) -> Self {
        Self::with_clock(lanes, limits, target_first_token, Arc::new(TokioClock))
    }

    /// With a clock that a simulation drives.
    #[must_use]
    pub fn with_clock(lanes: usize, limits: &Limits, target_first_token: Duration, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared {
            clock,
            longest: Duration::from_millis(limits.queue_ms),
            state: Mutex::new(State {
                queue: Queue::new(lanes, limits.queue as usize, target_first_token),
                doors: HashMap::new(),
            }),
        }))
    }
}

#[async_trait]
impl Scheduler for FairQueue {
    async fn enter(&self, ask: QueueRequest<'_>) -> Result<LaneTicket> {
        let now = self.0.clock.now();
        let until = latest(now, self.0.longest, &ask);
        let (place, mut answer) = Place::take(&self.0, now, until, ask);
        let verdict = match answer.try_recv() {
            Ok(verdict) => verdict,
            Err(_) => tokio::select! {
                biased;
                verdict = answer => verdict.map_err(Error::internal)?,
                () = self.0.clock.sleep_until(until) => Verdict::Expired,
            },
        };
        match verdict {
            Verdict::Run => Ok(place.into_ticket()),
            Verdict::Full { retry_after } => Err(busy("too many requests wait for the model", retry_after)),
            Verdict::Shed { retry_after } => Err(busy(
                "more requests wait for the model than it can soon serve",
                retry_after,
            )),
            Verdict::Late { retry_after } => Err(busy(
                "the model has too much to do to answer this request before its deadline",
                retry_after,
            )),
            Verdict::Expired => {
                let waited = self.0.clock.now().saturating_duration_since(now).as_millis();
                let text = format!("no lane became free within {waited} ms; try again later");
                Err(Error::new(ErrorKind::Timeout, text))
            }
        }
    }

    fn state(&self) -> QueueState {
        let now = self.0.clock.now();
        self.0.state.lock().queue.state(now)
    }
}

impl Shared {
    /// Does something with the queue and tells those whom it concerns, after the lock: waking may run anything.
    fn decide<T>(&self, change: impl FnOnce(&mut State) -> (T, Vec<Decision>)) -> T {
        let (result, told) = {
            let mut state = self.state.lock();
            let (result, decisions) = change(&mut state);
            let told: Vec<_> = decisions
                .into_iter()
                .map(|(number, verdict)| (state.doors.remove(&number), verdict))
                .collect();
            (result, told)
        };
        for (door, verdict) in told {
            if let Some(door) = door {
                // Whoever has gone in between gives the lane back when its place is dropped.
                let _ = door.send(verdict);
            }
        }
        result
    }
}

/// A request's place, from its coming until it has its lane. Dropped earlier, it leaves, and whoever is next gets a lane that was
/// already its own.
struct Place {
    shared: Arc<Shared>,
    number: Option<u64>,
}

impl Place {
    fn take(
        shared: &Arc<Shared>,
        now: Instant,
        until: Instant,
        ask: QueueRequest<'_>,
    ) -> (Self, oneshot::Receiver<Verdict>) {
        let (door, answer) = oneshot::channel();
        let ask = Ask {
            account: ask.pass.account(),
            weight: ask.pass.policy().weight,
            tier: ask.tier,
            prompt_tokens: ask.prompt_tokens,
            max_tokens: ask.max_tokens,
            adapter: ask.adapter,
            deadline: ask.deadline,
            until,
            begun: ask.begun,
            progress: ask.progress,
        };
        let number = shared.decide(|state| {
            let (number, decisions) = state.queue.arrive(now, ask);
            state.doors.insert(number, door);
            (number, decisions)
        });
        let place = Self {
            shared: Arc::clone(shared),
            number: Some(number),
        };
        (place, answer)
    }

    fn into_ticket(mut self) -> LaneTicket {
        let (shared, number) = (Arc::clone(&self.shared), self.number.take());
        LaneTicket::new(move || {
            if let Some(number) = number {
                let now = shared.clock.now();
                shared.decide(|state| ((), state.queue.give_back(now, number)));
            }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(number) = self.number.take() {
            let now = self.shared.clock.now();
            self.shared.decide(|state| {
                state.doors.remove(&number);
                ((), state.queue.leave(now, number))
            });
        }
    }
}

/// The end of a wait that begins now.
pub(crate) fn latest(now: Instant, longest: Duration, ask: &QueueRequest<'_>) -> Instant {
    match now.checked_add(longest) {
        Some(end) if !ask.begun => end.min(ask.deadline),
        Some(_) | None => ask.deadline,
    }
}

fn busy(why: &str, retry_after: Duration) -> Error {
    let seconds = retry_after.as_secs();
    Error::new(ErrorKind::Busy, format!("{why}; try again in about {seconds} s")).with_retry_after(retry_after)
}
