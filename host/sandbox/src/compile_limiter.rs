//! Which components may be compiled: two at the same time, of two accounts. A compilation cannot be interrupted in favor of
//! another, so one account never has both places, whatever it uploads: the others' next component waits for none of its own.

use riad_admission::{Bounds, FewestHeld, Limiter, Permit};
use riad_core::{Account, Limits, Result, resources};
use std::{sync::Arc, time::Duration};

/// Compilations at the same time: the other cores serve requests.
const PLACES: u32 = 2;
/// Components that may wait, over all accounts, and of one account.
const WAITING: usize = 64;
const WAITING_PER_ACCOUNT: usize = 4;
/// When a place may be free again.
const RETRY: Duration = Duration::from_secs(5);

pub(crate) struct CompileLimiter {
    places: Limiter<FewestHeld>,
    longest: Duration,
}

/// The right to compile one component. Given back when dropped.
pub(crate) type CompilePermit = Permit<FewestHeld>;

impl CompileLimiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        let bounds = Bounds {
            per_account: 1,
            waiting: WAITING,
            waiting_per_account: WAITING_PER_ACCOUNT,
            ..Bounds::of(PLACES)
        };
        Self {
            places: Limiter::new(&resources::COMPILER, bounds, FewestHeld),
            longest: Duration::from_millis(limits.queue_ms),
        }
    }

    /// Waits for a place, as long as for guest instances. `None` is the server itself, which needs none.
    pub(crate) async fn acquire(&self, account: Option<Account>) -> Result<Option<Arc<CompilePermit>>> {
        let Some(account) = account else { return Ok(None) };
        let permit = self.places.acquire_within(account, 1, self.longest, RETRY).await?;
        Ok(Some(Arc::new(permit)))
    }
}
