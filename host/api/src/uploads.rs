//! The turn of an upload that is held in memory as a whole: a bounded number at the same time, few of them one tenant's, so that
//! neither many nor slow ones keep the others out. Who waits holds nothing but a connection, and few may.
//! Not here: how large an upload may be (`router`).

use parking_lot::Mutex;
use riad_core::{Account, Error, ErrorKind};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Of one tenant that may wait.
const WAITING: usize = 8;
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(crate) struct Uploads {
    places: Arc<Semaphore>,
    /// Places of one tenant.
    each: usize,
    /// The places of each tenant that uploads now.
    tenants: Arc<Mutex<HashMap<Account, Weak<Semaphore>>>>,
}

/// Given back when it is dropped.
pub(crate) struct Turn {
    _own: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Uploads {
    /// At most `most` at the same time, and `each` of one tenant.
    pub fn new(most: u32, each: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most as usize)),
            each,
            tenants: Arc::default(),
        }
    }

    /// Waits for the tenant's own turn first: a tenant waits for a place with few uploads only.
    ///
    /// # Errors
    /// `Busy` when many of the tenant's wait, or the wait is too long.
    pub async fn enter(&self, account: Account) -> Result<Turn, Error> {
        let busy = || {
            let words = "too many uploads wait; send this one again when others have ended";
            Error::new(ErrorKind::Busy, words).with_retry_after(Duration::from_secs(1))
        };
        // Each that waits or uploads holds the semaphore once.
        let own = self.own(account);
        if Arc::strong_count(&own) > self.each + WAITING {
            return Err(busy());
        }
        let turn = async {
            let own = own.acquire_owned().await.map_err(Error::internal)?;
            let place = Arc::clone(&self.places);
            let place = place.acquire_owned().await.map_err(Error::internal)?;
            Ok(Turn {
                _own: own,
                _place: place,
            })
        };
        timeout(LONGEST, turn).await.map_err(|_| busy())?
    }

    fn own(&self, account: Account) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock();
        if let Some(own) = tenants.get(&account).and_then(Weak::upgrade) {
            return own;
        }
        tenants.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Semaphore::new(self.each));
        tenants.insert(account, Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_tenant_has_one_turn_at_a_time_and_keeps_nobody_else_out() {
        let uploads = Uploads::new(2, 1);
        let first = uploads.enter(Account::new(1)).await.unwrap();
        let mut second = Box::pin(uploads.enter(Account::new(1)));
        assert!((&mut second).now_or_never().is_none(), "its own upload is running");
        let other = uploads.enter(Account::new(2)).now_or_never().unwrap();
        assert!(other.is_ok(), "the other tenant has a turn of its own");
        let mut third = Box::pin(uploads.enter(Account::new(3)));
        assert!((&mut third).now_or_never().is_none(), "all places are taken");
        let mut waiting = Vec::new();
        for _ in 0..WAITING - 1 {
            let mut more = Box::pin(uploads.enter(Account::new(1)));
            assert!((&mut more).now_or_never().is_none());
            waiting.push(more);
        }
        let refused = uploads.enter(Account::new(1)).await.err().unwrap();
        assert_eq!(
            refused.kind(),
            ErrorKind::Busy,
            "nobody holds all connections with what waits"
        );
        drop(waiting);
        drop(first);
        drop(other);
        assert!(second.now_or_never().is_some());
        assert!(third.now_or_never().is_some());
        assert!(uploads.enter(Account::new(4)).now_or_never().is_some());
        assert_eq!(uploads.tenants.lock().len(), 1, "tenants that are done are forgotten");
    }
}
