//! Guest time: the time in which a guest's own code runs or sleeps. Host calls, and waiting after a yield, do not count: neither
//! a slow disk nor a busy neighbor uses up a plugin's time.

use parking_lot::Mutex;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The shortest wait before remaining time is read again, for a guest that is in a host call when its time is nearly up.
const MIN_WAIT: Duration = Duration::from_millis(10);

pub(crate) struct GuestClock {
    /// In one call, and in all calls of the request.
    allowed: Duration,
    allowed_together: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: Duration,
    used_by_earlier_calls: Duration,
    in_call: bool,
    running_since: Option<Instant>,
    /// Guards that are alive.
    pauses: u32,
}

impl GuestClock {
    pub(crate) fn new(allowed: Duration, allowed_together: Duration) -> Arc<Self> {
        Arc::new(Self {
            allowed,
            allowed_together,
            state: Mutex::default(),
        })
    }

    /// Begins a call, which has all its time, as far as the request has it left.
    pub(crate) fn start(&self) {
        let mut state = self.state.lock();
        *state = State {
            running_since: Some(Instant::now()),
            in_call: true,
            used_by_earlier_calls: state.used_by_earlier_calls + state.used,
            ..State::default()
        };
    }

    /// Ends a call.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.stop_running();
        state.in_call = false;
    }

    /// Pauses the clock until this guard and all others are dropped.
    pub(crate) fn pause(self: &Arc<Self>) -> ClockPause {
        let mut state = self.state.lock();
        state.stop_running();
        state.pauses += 1;
        ClockPause(Arc::clone(self))
    }

    /// Time that the call has left.
    pub(crate) fn remaining(&self) -> Duration {
        let state = self.state.lock();
        let running = state.running_since.map_or(Duration::ZERO, |since| since.elapsed());
        let left = self.allowed_together.saturating_sub(state.used_by_earlier_calls);
        self.allowed
            .min(left)
            .saturating_sub(state.used)
            .saturating_sub(running)
    }

    /// Whether the request, and not only the call, has no time left.
    pub(crate) fn is_used_up(&self) -> bool {
        self.total() >= self.allowed_together
    }

    /// Time that all calls have used so far.
    pub(crate) fn total(&self) -> Duration {
        let state = self.state.lock();
        let running = state.running_since.map_or(Duration::ZERO, |since| since.elapsed());
        state.used_by_earlier_calls + state.used + running
    }

    /// Resolves when the time is up. The epoch callback stops a guest that computes; this stops one that sleeps.
    pub(crate) async fn expired(&self) {
        loop {
            let remaining = self.remaining();
            if remaining.is_zero() {
                return;
            }
            tokio::time::sleep(remaining.max(MIN_WAIT)).await;
        }
    }
}

impl State {
    fn stop_running(&mut self) {
        if let Some(since) = self.running_since.take() {
            self.used += since.elapsed();
        }
    }
}

/// Held during a host call, and while a guest that has yielded waits to run again.
pub(crate) struct ClockPause(Arc<GuestClock>);

impl Drop for ClockPause {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.pauses = state.pauses.saturating_sub(1);
        // A host call may be dropped after the call that made it.
        if state.pauses == 0 && state.in_call {
            state.running_since = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paused_time_is_not_guest_time() {
        let clock = GuestClock::new(Duration::from_secs(3600), Duration::MAX);
        clock.start();
        let pause = clock.pause();
        let before = clock.remaining();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(clock.remaining(), before);
        drop(pause);
        std::thread::sleep(Duration::from_millis(5));
        assert!(clock.remaining() <= before - Duration::from_millis(5));
    }

    #[test]
    fn the_clock_runs_again_when_both_pauses_have_ended() {
        let clock = GuestClock::new(Duration::from_secs(3600), Duration::MAX);
        clock.start();
        let (outer, inner) = (clock.pause(), clock.pause());
        drop(inner);
        let before = clock.remaining();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(clock.remaining(), before);
        drop(outer);
        std::thread::sleep(Duration::from_millis(5));
        assert!(clock.remaining() < before);
    }

    #[test]
    fn total_adds_up_calls_and_stands_still_between_them() {
        let clock = GuestClock::new(Duration::from_secs(3600), Duration::MAX);
        for _ in 0..2 {
            clock.start();
            let pause = clock.pause();
            std::thread::sleep(Duration::from_millis(5));
            drop(pause);
            std::thread::sleep(Duration::from_millis(5));
            let pause = clock.pause();
            clock.stop();
            drop(pause);
        }
        let total = clock.total();
        assert!(total >= Duration::from_millis(10), "{total:?}");
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(clock.total(), total);
        clock.start();
        assert!(
            clock.remaining() > Duration::from_secs(3599),
            "each call has all its time"
        );
    }

    #[tokio::test]
    async fn a_sleeping_guest_runs_out_of_time() {
        let clock = GuestClock::new(Duration::from_millis(20), Duration::MAX);
        clock.start();
        clock.expired().await;
        assert!(clock.remaining().is_zero());
    }
}
