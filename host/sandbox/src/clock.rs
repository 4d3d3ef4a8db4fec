//! Guest time: the time in which a guest's own code runs or sleeps. Time in host calls, and time in which a guest that has
//! yielded waits for its turn, does not count: neither a slow disk nor a busy neighbor uses up a plugin's time.
//! Not here: what happens when the time is up (`call.rs`).

use parking_lot::Mutex;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A guest that is in a host call when its time is nearly up is looked at again after this.
const LEAST_WAIT: Duration = Duration::from_millis(10);

pub(crate) struct GuestClock {
    allowed: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: Duration,
    /// Used by calls before this one.
    before: Duration,
    calling: bool,
    running_since: Option<Instant>,
    /// Reasons for which the guest does not run now.
    away: u32,
}

impl GuestClock {
    pub(crate) fn new(allowed: Duration) -> Arc<Self> {
        Arc::new(Self {
            allowed,
            state: Mutex::default(),
        })
    }

    /// The beginning of a call: nothing is used.
    pub(crate) fn start(&self) {
        let mut state = self.state.lock();
        *state = State {
            running_since: Some(Instant::now()),
            calling: true,
            before: state.before + state.used,
            ..State::default()
        };
    }

    /// The end of a call.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.pause();
        state.calling = false;
    }

    /// Stops the clock until the guard, and every other one, is dropped.
    pub(crate) fn away(self: &Arc<Self>) -> Away {
        let mut state = self.state.lock();
        state.pause();
        state.away += 1;
        Away(Arc::clone(self))
    }

    /// Time that the call still has.
    pub(crate) fn left(&self) -> Duration {
        let state = self.state.lock();
        let running = state.running_since.map_or(Duration::ZERO, |since| since.elapsed());
        self.allowed.saturating_sub(state.used).saturating_sub(running)
    }

    /// Time that all calls have used so far.
    pub(crate) fn total(&self) -> Duration {
        let state = self.state.lock();
        let running = state.running_since.map_or(Duration::ZERO, |since| since.elapsed());
        state.before + state.used + running
    }

    /// Ends when the time is up. The epoch callback sees a guest that computes; this sees one that sleeps.
    pub(crate) async fn overrun(&self) {
        loop {
            let left = self.left();
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.max(LEAST_WAIT)).await;
        }
    }
}

impl State {
    fn pause(&mut self) {
        if let Some(since) = self.running_since.take() {
            self.used += since.elapsed();
        }
    }
}

/// The guest is in a host call, or waits for its turn.
pub(crate) struct Away(Arc<GuestClock>);

impl Drop for Away {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.away = state.away.saturating_sub(1);
        // A host call may be dropped after the call that made it.
        if state.away == 0 && state.calling {
            state.running_since = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_away_is_not_guest_time() {
        let clock = GuestClock::new(Duration::from_secs(3600));
        clock.start();
        let away = clock.away();
        let before = clock.left();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(clock.left(), before);
        drop(away);
        std::thread::sleep(Duration::from_millis(5));
        assert!(clock.left() <= before - Duration::from_millis(5));
    }

    #[test]
    fn a_guest_that_is_away_for_two_reasons_is_back_when_both_are_gone() {
        let clock = GuestClock::new(Duration::from_secs(3600));
        clock.start();
        let (outer, inner) = (clock.away(), clock.away());
        drop(inner);
        let before = clock.left();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(clock.left(), before);
        drop(outer);
        std::thread::sleep(Duration::from_millis(5));
        assert!(clock.left() < before);
    }

    #[test]
    fn the_time_of_all_calls_is_added_and_none_passes_between_them() {
        let clock = GuestClock::new(Duration::from_secs(3600));
        for _ in 0..2 {
            clock.start();
            let away = clock.away();
            std::thread::sleep(Duration::from_millis(5));
            drop(away);
            std::thread::sleep(Duration::from_millis(5));
            let away = clock.away();
            clock.stop();
            drop(away);
        }
        let total = clock.total();
        assert!(total >= Duration::from_millis(10), "{total:?}");
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(clock.total(), total);
        clock.start();
        assert!(clock.left() > Duration::from_secs(3599), "each call has all its time");
    }

    #[tokio::test]
    async fn an_overrun_is_seen_while_the_guest_sleeps() {
        let clock = GuestClock::new(Duration::from_millis(20));
        clock.start();
        clock.overrun().await;
        assert!(clock.left().is_zero());
    }
}
