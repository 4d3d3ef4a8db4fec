//! Work that is done once for all who ask for it at the same time. It ends with the last of them.

use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use parking_lot::Mutex;
use std::{collections::HashMap, future::Future, hash::Hash};

pub(crate) struct SingleFlight<K, T: Clone>(Mutex<HashMap<K, WeakShared<BoxFuture<'static, T>>>>);

impl<K: Eq + Hash, T: Clone> SingleFlight<K, T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::default())
    }

    /// Joins what is being done for this key, or begins `work`. It makes progress while anybody polls; when the last future of it is
    /// dropped, so is the work.
    pub(crate) fn join(&self, key: K, work: impl Future<Output = T> + Send + 'static) -> Shared<BoxFuture<'static, T>> {
        let mut flights = self.0.lock();
        if let Some(flight) = flights.get(&key).and_then(WeakShared::upgrade) {
            return flight;
        }
        flights.retain(|_, flight| flight.upgrade().is_some());
        let flight = work.boxed().shared();
        flights.extend(flight.downgrade().map(|weak| (key, weak)));
        flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn work_is_done_once_and_ends_with_the_last_who_waits() {
        let flights = SingleFlight::new();
        let (end, ended) = oneshot::channel::<u8>();
        let held = Arc::new(());
        let kept = Arc::clone(&held);
        let mut first = flights.join("a", async move {
            let _kept = kept;
            ended.await.unwrap()
        });
        let mut second = flights.join("a", async { unreachable!("it is under way") });
        assert!((&mut first).now_or_never().is_none());
        drop(first);
        assert_eq!(Arc::strong_count(&held), 2, "one still waits");
        assert!((&mut second).now_or_never().is_none());
        end.send(7).unwrap();
        assert_eq!(second.await, 7);
        // What has ended is begun anew.
        assert_eq!(flights.join("a", async { 8 }).await, 8);

        let kept = Arc::clone(&held);
        let flight = flights.join("b", async move {
            let _kept = kept;
            std::future::pending().await
        });
        drop(flight);
        assert_eq!(Arc::strong_count(&held), 1, "nobody waits, so the work is gone");
        assert_eq!(flights.join("b", async { 9 }).await, 9);
        assert_eq!(flights.0.lock().len(), 1, "what has ended is forgotten");
    }
}
