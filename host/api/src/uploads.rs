//! Permits for uploads that are held in memory as a whole: a bounded number at the same time, few of them one tenant's, so that
//! neither many nor slow ones keep the others out. An upload that waits holds nothing but a connection, and few may wait.
//! Not here: how large an upload may be (`router`).

use riad_admission::{Bounds, FewestHeld, Limiter, Permit};
use riad_core::{Account, Error, resources};
use std::time::Duration;

/// Uploads of one tenant that may wait.
const WAITING: usize = 8;
const LONGEST: Duration = Duration::from_secs(60);
/// When one of them may have ended.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(crate) struct UploadLimiter(Limiter<FewestHeld>);

/// The right to hold one upload in memory. Given back when dropped.
pub(crate) type UploadPermit = Permit<FewestHeld>;

impl UploadLimiter {
    /// At most `most` at the same time, and `each` of one tenant.
    pub fn new(most: u32, each: u32) -> Self {
        let bounds = Bounds {
            per_account: each,
            waiting_per_account: WAITING,
            ..Bounds::of(most)
        };
        Self(Limiter::new(&resources::UPLOADS, bounds, FewestHeld))
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// `Busy` when many uploads of the tenant wait, or the wait is too long.
    pub async fn acquire(&self, account: Account) -> Result<UploadPermit, Error> {
        self.0.acquire_within(account, 1, LONGEST, RETRY).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use riad_core::ErrorKind;

    #[tokio::test]
    async fn a_tenant_uploads_one_at_a_time_and_blocks_nobody() {
        let uploads = UploadLimiter::new(2, 1);
        let first = uploads.acquire(Account::new(1)).await.unwrap();
        let mut second = Box::pin(uploads.acquire(Account::new(1)));
        assert!((&mut second).now_or_never().is_none(), "its own upload is running");
        let other = uploads.acquire(Account::new(2)).now_or_never().unwrap();
        assert!(other.is_ok(), "the other tenant has a permit of its own");
        let mut third = Box::pin(uploads.acquire(Account::new(3)));
        assert!((&mut third).now_or_never().is_none(), "all permits are taken");
        let mut waiting = Vec::new();
        for _ in 0..WAITING - 1 {
            let mut more = Box::pin(uploads.acquire(Account::new(1)));
            assert!((&mut more).now_or_never().is_none());
            waiting.push(more);
        }
        let refused = uploads.acquire(Account::new(1)).await.err().unwrap();
        assert_eq!(
            refused.kind(),
            ErrorKind::Busy,
            "no tenant holds all connections with uploads that wait"
        );
        drop(waiting);
        drop(first);
        drop(other);
        assert!(second.now_or_never().is_some());
        assert!(third.now_or_never().is_some());
        assert!(uploads.acquire(Account::new(4)).now_or_never().is_some());
        assert_eq!(
            uploads.0.inspect(|queue| queue.accounts()),
            0,
            "tenants that are done are forgotten"
        );
    }
}
