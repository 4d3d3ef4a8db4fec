//! Limits on requests and tokens per minute: a bucket each, which refills in a minute (`governor`'s GCRA).

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

/// What is left of a tenant's limits per minute; `None` where it has no limit.
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
    /// Time until the bucket is full again.
    pub reset: Duration,
}

impl Rate {
    pub(super) fn full(limit: u32) -> Self {
        Self {
            limit,
            remaining: limit,
            reset: Duration::ZERO,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RateError {
    /// Enough has refilled after this time.
    RetryAfter(Duration),
    /// More than a minute's limit, so that waiting does not help.
    OverLimit,
}

pub(crate) struct PerMinute {
    limit: NonZeroU32,
    limiter: RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>,
    /// What was left after the last `take`, and when that was.
    left: (u32, Instant),
}

impl PerMinute {
    /// The bucket for the current limit: a changed limit starts with a full bucket.
    pub fn for_limit(slot: &mut Option<Self>, limit: Option<u32>) -> Option<&mut Self> {
        let limit = limit.and_then(NonZeroU32::new);
        if slot.as_ref().map(|bucket| bucket.limit) != limit {
            *slot = limit.map(Self::of);
        }
        slot.as_mut()
    }

    pub fn of(limit: NonZeroU32) -> Self {
        Self {
            limit,
            // resources::TENANT_RATES
            limiter: RateLimiter::direct(Quota::per_minute(limit)).with_middleware(),
            left: (limit.get(), Instant::now()),
        }
    }

    /// Takes all of it or nothing.
    pub fn take(&mut self, amount: u64) -> Result<(), RateError> {
        let Some(amount) = NonZeroU32::new(u32::try_from(amount).map_err(|_| RateError::OverLimit)?) else {
            return Ok(());
        };
        match self.limiter.check_n(amount) {
            Ok(Ok(state)) => {
                self.left = (state.remaining_burst_capacity(), Instant::now());
                Ok(())
            }
            Ok(Err(not_until)) => Err(RateError::RetryAfter(
                not_until.wait_time_from(DefaultClock::default().now()),
            )),
            Err(_) => Err(RateError::OverLimit),
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
    fn a_bucket_holds_a_minutes_limit_and_says_when_it_refills() {
        let mut slot = None;
        let bucket = PerMinute::for_limit(&mut slot, Some(3)).unwrap();
        assert_eq!(bucket.rate(), Rate::full(3));
        bucket.take(2).unwrap();
        assert_eq!(bucket.rate().remaining, 1);
        let Err(RateError::RetryAfter(wait)) = bucket.take(2) else {
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
        assert_eq!(bucket.take(4), Err(RateError::OverLimit));
        assert_eq!(bucket.take(u64::MAX), Err(RateError::OverLimit));
    }

    #[test]
    fn only_a_changed_limit_makes_a_new_bucket() {
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
