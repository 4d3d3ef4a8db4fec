//! Requests and tokens per minute: a bucket each, which a minute fills (`governor`'s GCRA).
//! Not here: budgets, which do not refill by the second (`budgets`).

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::{InMemoryState, NotKeyed},
};
use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

/// What is left of a tenant's limits per minute; absent where it has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateState {
    pub requests: Option<Rate>,
    pub tokens: Option<Rate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Per minute.
    pub limit: u32,
    pub remaining: u32,
    /// Until all of it is there again.
    pub reset: Duration,
}

impl Rate {
    pub(super) fn untouched(limit: u32) -> Self {
        Self {
            limit,
            remaining: limit,
            reset: Duration::ZERO,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// As much will be there after this time.
    TooFast(Duration),
    /// More than a minute has: never.
    TooMuch,
}

pub(super) struct PerMinute {
    limit: NonZeroU32,
    limiter: RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>,
    /// What was left after the last taking, and when that was.
    left: (u32, Instant),
}

impl PerMinute {
    /// The bucket for a limit as it is now: a policy that has changed begins with a full one.
    pub fn for_limit(slot: &mut Option<Self>, limit: Option<u32>) -> Option<&mut Self> {
        let limit = limit.and_then(NonZeroU32::new);
        if slot.as_ref().map(|bucket| bucket.limit) != limit {
            *slot = limit.map(Self::new);
        }
        slot.as_mut()
    }

    fn new(limit: NonZeroU32) -> Self {
        Self {
            limit,
            limiter: RateLimiter::direct(Quota::per_minute(limit)).with_middleware(),
            left: (limit.get(), Instant::now()),
        }
    }

    /// Takes all of it or nothing.
    pub fn take(&mut self, amount: u64) -> Result<(), Refused> {
        let Some(amount) = NonZeroU32::new(u32::try_from(amount).map_err(|_| Refused::TooMuch)?) else {
            return Ok(());
        };
        match self.limiter.check_n(amount) {
            Ok(Ok(state)) => {
                self.left = (state.remaining_burst_capacity(), Instant::now());
                Ok(())
            }
            Ok(Err(refused)) => Err(Refused::TooFast(refused.wait_time_from(DefaultClock::default().now()))),
            Err(_) => Err(Refused::TooMuch),
        }
    }

    pub fn rate(&self) -> Rate {
        let (left, at) = self.left;
        let limit = self.limit.get();
        let refilled = at.elapsed().as_nanos() * u128::from(limit) / Duration::from_secs(60).as_nanos();
        let remaining = u32::try_from(refilled).map_or(limit, |refilled| left.saturating_add(refilled).min(limit));
        Rate {
            limit,
            remaining,
            reset: Duration::from_secs(60)
                .saturating_mul(limit - remaining)
                .checked_div(limit)
                .unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_a_minutes_worth_and_says_when_more_is_there() {
        let mut slot = None;
        let bucket = PerMinute::for_limit(&mut slot, Some(3)).unwrap();
        assert_eq!(bucket.rate(), Rate::untouched(3));
        bucket.take(2).unwrap();
        assert_eq!(bucket.rate().remaining, 1);
        let Err(Refused::TooFast(wait)) = bucket.take(2) else {
            panic!("there was one left");
        };
        assert!(
            wait > Duration::from_secs(10) && wait <= Duration::from_secs(20),
            "{wait:?}"
        );
        bucket.take(1).unwrap();
        bucket.take(0).unwrap();
        assert_eq!(bucket.rate().remaining, 0);
        let reset = bucket.rate().reset;
        assert!(
            reset > Duration::from_secs(50) && reset <= Duration::from_secs(60),
            "{reset:?}"
        );
        assert_eq!(bucket.take(4), Err(Refused::TooMuch));
        assert_eq!(bucket.take(u64::MAX), Err(Refused::TooMuch));
    }

    #[test]
    fn a_changed_limit_makes_a_new_bucket_and_the_same_one_does_not() {
        let mut slot = None;
        PerMinute::for_limit(&mut slot, Some(1)).unwrap().take(1).unwrap();
        assert!(PerMinute::for_limit(&mut slot, Some(1)).unwrap().take(1).is_err());
        assert!(PerMinute::for_limit(&mut slot, Some(2)).unwrap().take(2).is_ok());
        assert!(PerMinute::for_limit(&mut slot, None).is_none());
        PerMinute::for_limit(&mut slot, Some(u32::MAX))
            .unwrap()
            .take(u64::from(u32::MAX))
            .unwrap();
    }
}
