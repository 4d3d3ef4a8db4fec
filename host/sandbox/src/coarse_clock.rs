//! The time that a guest sees, in coarse steps: one clock behind `riad:clock`, WASI's clocks and WASI's timers. All of them change at the same
//! moments, because the moments between the steps of two clocks would be a finer one. Not here: the guest time that is limited (`clock`).

use crate::limits::CLOCK_STEP_MS;
use async_trait::async_trait;
use riad_core::Timestamp;
use std::time::{Duration, Instant};
use tokio::time::sleep_until;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock,
    p2::{DynPollable, Pollable, bindings::clocks::monotonic_clock, subscribe},
};

const STEP_NANOS: u64 = CLOCK_STEP_MS * 1_000_000;

/// Reads the system's time once and goes on from it, so that it never goes back. For one guest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CoarseClock {
    started: Instant,
    /// Nanoseconds since 1970-01-01 UTC.
    started_nanos: u64,
}

impl CoarseClock {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            started_nanos: Timestamp::now().as_millis().saturating_mul(1_000_000),
        }
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) fn now_ms(self) -> u64 {
        self.now_nanos() / 1_000_000
    }

    fn now_nanos(self) -> u64 {
        let elapsed = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let now = self.started_nanos.saturating_add(elapsed);
        now - now % STEP_NANOS
    }

    /// The moment at which it shows this time or a later one. `None`: it is too far away.
    fn shows(self, nanos: u64) -> Option<Instant> {
        let step = nanos.div_ceil(STEP_NANOS).checked_mul(STEP_NANOS)?;
        let wait = step.saturating_sub(self.started_nanos);
        self.started.checked_add(Duration::from_nanos(wait))
    }
}

impl HostWallClock for CoarseClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(STEP_NANOS)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.now_nanos())
    }
}

impl HostMonotonicClock for CoarseClock {
    fn resolution(&self) -> u64 {
        STEP_NANOS
    }

    fn now(&self) -> u64 {
        self.now_nanos()
    }
}

/// `wasi:clocks/monotonic-clock` of one guest.
pub(crate) struct MonotonicClock<'a> {
    pub(crate) clock: CoarseClock,
    pub(crate) table: &'a mut ResourceTable,
}

impl HasData for CoarseClock {
    type Data<'a> = MonotonicClock<'a>;
}

impl monotonic_clock::Host for MonotonicClock<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.clock.now_nanos())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(STEP_NANOS)
    }

    /// Ready when the clock shows `when`, as a guest could find out by reading it: not before the step, whatever the time within it.
    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let timer = match when <= self.clock.now_nanos() {
            true => Timer::Past { yielded: false },
            false => self.clock.shows(when).map_or(Timer::Never, Timer::At),
        };
        let timer = self.table.push(timer)?;
        subscribe(self.table, timer)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let when = self.clock.now_nanos().saturating_add(duration);
        self.subscribe_instant(when)
    }
}

enum Timer {
    Past { yielded: bool },
    At(Instant),
    Never,
}

#[async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        match self {
            Self::Past { yielded: true } => {}
            // Once, so that a guest that polls in a loop lets others run.
            Self::Past { yielded } => {
                *yielded = true;
                tokio::task::yield_now().await;
            }
            Self::At(moment) => sleep_until((*moment).into()).await,
            Self::Never => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{monotonic_clock::Host as _, *};
    use futures::FutureExt;

    fn started_at(ms: u64) -> CoarseClock {
        CoarseClock {
            started: Instant::now(),
            started_nanos: ms * 1_000_000,
        }
    }

    #[test]
    fn all_clocks_change_at_the_same_moments() {
        // 30 ms before a step.
        let clock = started_at(1_000_070);
        let step = clock.shows(1_000_000_000_001).unwrap();
        assert_eq!(step - clock.started, Duration::from_millis(30));
        let read = || {
            (
                clock.now_ms(),
                HostWallClock::now(&clock),
                HostMonotonicClock::now(&clock),
            )
        };
        while Instant::now() < step {
            let (ms, wall, monotonic) = read();
            if Instant::now() < step {
                assert_eq!((ms, wall), (1_000_000, Duration::from_secs(1000)));
                assert_eq!(monotonic, 1_000_000_000_000);
            }
        }
        let (ms, wall, monotonic) = read();
        assert_eq!(ms, 1_000_100);
        assert_eq!((wall.as_millis(), monotonic), (1_000_100, 1_000_100_000_000));
    }

    #[test]
    fn a_timer_ends_at_a_step_whatever_is_asked_for() {
        let clock = started_at(1_000_070);
        let wait = |nanos: u64| {
            clock
                .shows(1_000_000_000_000 + nanos)
                .map(|at| (at - clock.started).as_millis())
        };
        let ms = 1_000_000_u64;
        for (asked, waits) in [
            (1, 30),
            (ms, 30),
            (99 * ms, 30),
            (100 * ms, 30),
            (100 * ms + 1, 130),
            (201 * ms, 230),
        ] {
            assert_eq!(wait(asked), Some(waits), "{asked}");
        }
        assert_eq!(clock.shows(u64::MAX), None);
    }

    #[tokio::test]
    async fn what_is_over_is_ready_at_once() {
        let mut table = ResourceTable::new();
        let mut host = MonotonicClock {
            clock: started_at(1_000_000),
            table: &mut table,
        };
        let now = host.now().unwrap();
        assert_eq!(now, 1_000_000_000_000);
        for timer in [
            host.subscribe_duration(0),
            host.subscribe_instant(now),
            host.subscribe_instant(7),
        ] {
            assert!(timer.is_ok());
        }
        let mut past = Timer::Past { yielded: false };
        past.ready().await;
        assert!(past.ready().now_or_never().is_some());
        assert!(Timer::Never.ready().now_or_never().is_none());
    }
}
