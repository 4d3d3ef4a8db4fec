//! Which runs may start their guests. A run that waits for the engine keeps its instances, so that a noisy account could hold all of
//! them while its requests wait in the queue. Therefore the account that holds the fewest is next, and the last quarter is for
//! accounts that hold none: a new account waits only while the reserve is held by other new accounts.
//! Not here: the pool itself (`engine.rs`), the model engine.

use riad_admission::{Bounds, FewestHeld, Limiter, Permit, Rejection, Request};
use riad_core::{Account, Error, ErrorKind, Limits, Result, resources};
use std::time::Duration;

/// When an instance that is missing now may be free.
const RETRY: Duration = Duration::from_secs(1);

/// One unit for each guest that may exist.
pub(crate) struct InstanceLimiter {
    instances: Limiter<FewestHeld>,
    longest: Duration,
}

/// The right to run the guests of one run. Given back when dropped.
pub(crate) type InstancePermit = Permit<FewestHeld>;

impl InstanceLimiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        let bounds = Bounds {
            reserve: limits.guest_instances / 4,
            waiting: limits.queue as usize,
            ..Bounds::of(limits.guest_instances)
        };
        Self {
            instances: Limiter::new(&resources::GUEST_INSTANCES, bounds, FewestHeld),
            longest: Duration::from_millis(limits.queue_ms),
        }
    }

    pub(crate) fn free(&self) -> u32 {
        self.instances.inspect(|queue| queue.free())
    }

    /// Waits for all the instances of a run at once: a run that waits holds none of them, so that runs cannot block each other. As
    /// many runs may wait, and as long, as for the model; a future that is dropped leaves at once.
    pub(crate) async fn acquire(&self, account: Account, count: u32) -> Result<InstancePermit> {
        let request = Request {
            units: count,
            expires: self.instances.now().checked_add(self.longest),
            ..Request::new(account, ())
        };
        self.instances
            .acquire(request)
            .await
            .map_err(|rejection| match rejection {
                Rejection::TooLarge { most } => Error::new(
                    ErrorKind::Unavailable,
                    format!("this pipeline needs {count} guest instances, limits.guest_instances is {most}"),
                ),
                Rejection::QueueFull { .. }
                | Rejection::Overloaded { .. }
                | Rejection::TooLate { .. }
                | Rejection::TimedOut => self.instances.resource().refuse_for(RETRY),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::Future, pin::Pin, sync::Arc, task::Context};

    type Acquiring = Pin<Box<dyn Future<Output = Result<InstancePermit>>>>;

    fn limiter(total: u32, queue: u32) -> Arc<InstanceLimiter> {
        Arc::new(InstanceLimiter::new(&Limits {
            guest_instances: total,
            queue,
            ..Limits::default()
        }))
    }

    fn ask(limiter: &Arc<InstanceLimiter>, account: u64, count: u32) -> Acquiring {
        let limiter = Arc::clone(limiter);
        Box::pin(async move { limiter.acquire(Account::new(account), count).await })
    }

    fn poll(acquiring: &mut Acquiring) -> Option<Result<InstancePermit>> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match acquiring.as_mut().poll(&mut context) {
            std::task::Poll::Ready(result) => Some(result),
            std::task::Poll::Pending => None,
        }
    }

    fn now(limiter: &Arc<InstanceLimiter>, account: u64, count: u32) -> InstancePermit {
        poll(&mut ask(limiter, account, count)).unwrap().unwrap()
    }

    fn waiting(limiter: &Arc<InstanceLimiter>, account: u64, count: u32) -> Acquiring {
        let mut acquiring = ask(limiter, account, count);
        assert!(poll(&mut acquiring).is_none());
        acquiring
    }

    #[tokio::test]
    async fn a_noisy_account_leaves_a_quarter_for_those_that_hold_none() {
        let limiter = limiter(8, 100);
        let _noise: Vec<InstancePermit> = (0..6).map(|_| now(&limiter, 1, 1)).collect();
        let mut more = waiting(&limiter, 1, 1);
        let quiet = [now(&limiter, 2, 1), now(&limiter, 3, 1)];
        assert_eq!(limiter.free(), 0);
        drop(quiet);
        assert!(poll(&mut more).is_none(), "the reserve stays free");
        assert_eq!(limiter.free(), 2);
    }

    #[tokio::test]
    async fn the_account_that_holds_the_fewest_is_next() {
        let limiter = limiter(3, 100);
        let (one, two, three) = (now(&limiter, 1, 1), now(&limiter, 1, 1), now(&limiter, 2, 1));
        let mut order: Vec<Acquiring> = [1, 2, 3, 4].map(|account| waiting(&limiter, account, 1)).into();
        let mut served = Vec::new();
        for free in [one, two, three] {
            drop(free);
            let next = order
                .iter_mut()
                .map(poll)
                .enumerate()
                .find_map(|(index, held)| Some((index, held?)));
            let (index, held) = next.unwrap();
            served.push((index, held.unwrap()));
            drop(order.remove(index));
        }
        // Account 3, then 1, which holds none any more and came before 4, then 2 for the same reason.
        let served: Vec<usize> = served.iter().map(|(index, _)| *index).collect();
        assert_eq!(served, [2, 0, 0]);
    }

    #[tokio::test]
    async fn a_run_of_several_guests_is_not_overtaken() {
        let limiter = limiter(3, 100);
        let held: Vec<InstancePermit> = (1..4).map(|account| now(&limiter, account, 1)).collect();
        let mut large = waiting(&limiter, 4, 3);
        let mut small = waiting(&limiter, 5, 1);
        for (index, one) in held.into_iter().enumerate() {
            assert!(poll(&mut small).is_none());
            drop(one);
            assert_eq!(poll(&mut large).is_some(), index == 2);
        }
    }

    #[tokio::test]
    async fn a_full_queue_rejects_the_newest_of_the_largest_account() {
        let limiter = limiter(1, 2);
        let held = now(&limiter, 1, 1);
        let mut first = waiting(&limiter, 1, 1);
        let mut second = waiting(&limiter, 1, 1);
        assert_eq!(
            poll(&mut ask(&limiter, 1, 1)).unwrap().err().unwrap().kind(),
            ErrorKind::Busy
        );
        let mut quiet = waiting(&limiter, 2, 1);
        let error = poll(&mut second).unwrap().err().unwrap();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Busy, Some(RETRY)));
        assert!(poll(&mut first).is_none());
        drop(held);
        assert!(poll(&mut first).is_some());
        assert!(poll(&mut quiet).is_some());
        assert_eq!(limiter.free(), 1);
    }

    #[tokio::test]
    async fn a_dropped_run_gives_back_instances_it_has_not_used() {
        let limiter = limiter(1, 2);
        let held = now(&limiter, 1, 1);
        let first = waiting(&limiter, 2, 1);
        let mut second = waiting(&limiter, 3, 1);
        drop(held);
        drop(first);
        drop(poll(&mut second).unwrap().unwrap());
        assert_eq!(limiter.free(), 1);
        assert!(limiter.instances.inspect(|queue| queue.accounts() == 0));
    }

    #[tokio::test]
    async fn a_dropped_run_lets_those_behind_it_pass() {
        let limiter = limiter(3, 8);
        let _held = now(&limiter, 1, 1);
        let large = waiting(&limiter, 2, 3);
        let mut small = waiting(&limiter, 3, 1);
        drop(large);
        assert!(poll(&mut small).is_some());
    }

    #[tokio::test]
    async fn no_order_of_events_loses_an_instance() {
        let limiter = limiter(7, 6);
        let mut random = 1_u64;
        let mut next = |below: u64| {
            // Knuth's constants for a linear congruential generator (MMIX).
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let (mut waiting, mut held) = (Vec::new(), Vec::new());
        for _ in 0..20_000 {
            let which = |length: usize, number: u64| usize::try_from(number).unwrap() % length;
            match next(4) {
                0 => waiting.push(ask(&limiter, next(5), 1 + u32::try_from(next(3)).unwrap())),
                1 if !waiting.is_empty() => {
                    let index = which(waiting.len(), next(1000));
                    if let Some(result) = poll(&mut waiting[index]) {
                        drop(waiting.remove(index));
                        held.extend(result.ok());
                    }
                }
                2 if !waiting.is_empty() => drop(waiting.remove(which(waiting.len(), next(1000)))),
                3 if !held.is_empty() => drop(held.remove(which(held.len(), next(1000)))),
                _ => {}
            }
            let (free, waits, running) = limiter
                .instances
                .inspect(|queue| (queue.free(), queue.waiting(), queue.running()));
            assert!(free <= 7 && waits <= 6);
            assert!(running >= held.len() && waits + running <= waiting.len() + held.len());
        }
        drop((waiting, held));
        assert_eq!(limiter.free(), 7);
        assert!(limiter.instances.inspect(|queue| queue.accounts() == 0));
    }
}
