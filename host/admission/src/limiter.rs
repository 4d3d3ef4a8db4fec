//! The async front of a [`Queue`]: futures that wait for a permit. Not here: any decision (`queue.rs`).

use crate::{
    clock::{MonotonicClock, TokioClock},
    queue::{Bounds, Decision, Policy, Queue, Rejection, Request, RequestId, Verdict},
};
use parking_lot::Mutex;
use riad_core::{Account, Error, resources::Resource};
use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Hands out permits for a resource. Clones share it.
pub struct Limiter<P: Policy>(Arc<Shared<P>>);

struct Shared<P: Policy> {
    resource: &'static Resource,
    clock: Arc<dyn MonotonicClock>,
    inner: Mutex<Inner<P>>,
}

struct Inner<P: Policy> {
    queue: Queue<P>,
    /// Where futures that wait learn their verdict.
    waiters: HashMap<RequestId, oneshot::Sender<Verdict>>,
}

/// The right to use the units that were asked for. Given back when dropped, once.
#[must_use = "dropping a permit gives it back"]
pub struct Permit<P: Policy>(QueueTicket<P>);

impl<P: Policy> Limiter<P> {
    #[must_use]
    pub fn new(resource: &'static Resource, bounds: Bounds, policy: P) -> Self {
        Self::with_clock(resource, bounds, policy, Arc::new(TokioClock))
    }

    /// With a clock that a simulation drives.
    #[must_use]
    pub fn with_clock(resource: &'static Resource, bounds: Bounds, policy: P, clock: Arc<dyn MonotonicClock>) -> Self {
        Self(Arc::new(Shared {
            resource,
            clock,
            inner: Mutex::new(Inner {
                queue: Queue::new(bounds, policy),
                waiters: HashMap::new(),
            }),
        }))
    }

    /// What is limited, and what is said to those who are refused.
    #[must_use]
    pub fn resource(&self) -> &'static Resource {
        self.0.resource
    }

    #[must_use]
    pub fn now(&self) -> Instant {
        self.0.clock.now()
    }

    /// Waits for a permit. Dropping the future leaves the queue at once; units it had been given by then go to the next.
    ///
    /// # Errors
    /// Says why the request is not admitted.
    pub async fn acquire(&self, request: Request<P::Detail>) -> Result<Permit<P>, Rejection> {
        let expires = request.expires;
        let (mut ticket, mut waiter) = QueueTicket::enqueue(&self.0, request);
        let verdict = match waiter.try_recv() {
            Ok(verdict) => verdict,
            Err(_) => tokio::select! {
                biased;
                // The sender is dropped without a verdict only when the ticket is.
                verdict = waiter => verdict.unwrap_or(Verdict::Rejected(Rejection::TimedOut)),
                () = self.0.sleep_until(expires) => Verdict::Rejected(Rejection::TimedOut),
            },
        };
        match verdict {
            Verdict::Admitted => {
                ticket.used = true;
                Ok(Permit(ticket))
            }
            Verdict::Rejected(rejection) => Err(rejection),
        }
    }

    /// Waits for `units` of the resource, for `longest` at the most.
    ///
    /// # Errors
    /// What the resource says to those who are refused, and to come again after `retry`.
    pub async fn acquire_within(
        &self,
        account: Account,
        units: u32,
        longest: Duration,
        retry: Duration,
    ) -> Result<Permit<P>, Error>
    where
        P: Policy<Detail = ()>,
    {
        let request = Request {
            units,
            expires: self.now().checked_add(longest),
            ..Request::new(account, ())
        };
        let permit = self.acquire(request).await;
        permit.map_err(|_| self.resource().refuse_for(retry))
    }

    /// Reads the queue as it is now.
    pub fn inspect<T>(&self, read: impl FnOnce(&Queue<P>) -> T) -> T {
        let now = self.now();
        let mut inner = self.0.inner.lock();
        inner.queue.observe(now);
        read(&inner.queue)
    }
}

impl<P: Policy> Clone for Limiter<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Policy> Shared<P> {
    async fn sleep_until(&self, time: Option<Instant>) {
        match time {
            Some(time) => self.clock.sleep_until(time).await,
            None => std::future::pending().await,
        }
    }

    /// Changes the queue and wakes those it decided about, after the lock: waking may run any code.
    fn decide<T>(&self, change: impl FnOnce(&mut Inner<P>) -> (T, Vec<Decision>)) -> T {
        let (result, verdicts) = {
            let mut inner = self.inner.lock();
            let (result, decisions) = change(&mut inner);
            let verdicts: Vec<_> = decisions
                .into_iter()
                .map(|(id, verdict)| (inner.waiters.remove(&id), verdict))
                .collect();
            (result, verdicts)
        };
        for (waiter, verdict) in verdicts {
            if let Some(waiter) = waiter {
                // A future that was dropped in between gives its permit back when its ticket is dropped.
                let _ = waiter.send(verdict);
            }
        }
        result
    }
}

impl<P: Policy> fmt::Debug for Permit<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.0.id).finish()
    }
}

/// A request from its arrival to the end of its permit. Dropped before that, it leaves the queue, or gives back units that it was
/// given and has not used.
struct QueueTicket<P: Policy> {
    shared: Arc<Shared<P>>,
    id: RequestId,
    /// Whether its future has returned the permit.
    used: bool,
}

impl<P: Policy> QueueTicket<P> {
    fn enqueue(shared: &Arc<Shared<P>>, request: Request<P::Detail>) -> (Self, oneshot::Receiver<Verdict>) {
        let (sender, waiter) = oneshot::channel();
        let now = shared.clock.now();
        let id = shared.decide(|inner| {
            let (id, decisions) = inner.queue.arrive(now, request);
            inner.waiters.insert(id, sender);
            (id, decisions)
        });
        let ticket = Self {
            shared: Arc::clone(shared),
            id,
            used: false,
        };
        (ticket, waiter)
    }
}

impl<P: Policy> Drop for QueueTicket<P> {
    fn drop(&mut self) {
        let now = self.shared.clock.now();
        self.shared.decide(|inner| {
            inner.waiters.remove(&self.id);
            let decisions = match self.used {
                true => inner.queue.release(now, self.id),
                false => inner.queue.leave(now, self.id),
            };
            ((), decisions)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FewestHeld;
    use futures::FutureExt;
    use riad_core::{Account, resources};
    use std::time::Duration;

    fn request(account: u64) -> Request {
        Request::new(Account::new(account), ())
    }

    #[tokio::test]
    async fn a_dropped_future_passes_its_permit_on() {
        let limiter = Limiter::new(&resources::UPLOADS, Bounds::of(1), FewestHeld);
        let clone = limiter.clone();
        let permit = limiter.acquire(request(1)).await.unwrap();
        let mut first = Box::pin(clone.acquire(request(2)));
        let mut second = Box::pin(clone.acquire(request(3)));
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        drop(permit);
        // The first has been admitted by now, and does not know it.
        drop(first);
        let permit = second.now_or_never().unwrap().unwrap();
        assert_eq!(limiter.inspect(Queue::free), 0);
        drop(permit);
        assert_eq!(limiter.inspect(|queue| (queue.free(), queue.accounts())), (1, 0));
        assert!(limiter.0.inner.lock().waiters.is_empty());
    }

    #[tokio::test]
    async fn a_wait_ends_at_its_expiry() {
        let limiter = Limiter::new(&resources::UPLOADS, Bounds::of(1), FewestHeld);
        let _permit = limiter.acquire(request(1)).await.unwrap();
        let expires = Some(limiter.now() + Duration::from_millis(1));
        let late = limiter.acquire(Request { expires, ..request(2) });
        assert_eq!(late.await.unwrap_err(), Rejection::TimedOut);
        assert_eq!(limiter.inspect(Queue::waiting), 0);
    }
}
