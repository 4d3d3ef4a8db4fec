//! The places in the pool of instances: who may start the guests of a run. A run that waits for a lane keeps its places, so that a
//! noisy account could hold them all while its requests wait in the queue. Therefore whoever holds the fewest is next, and the
//! last quarter of the places is for accounts that hold none: a new account waits at most for one that holds none too.
//! Not here: the pool itself (`engine.rs`), the lanes.

use parking_lot::Mutex;
use riad_core::{Account, Error, ErrorKind, Limits, Result};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::oneshot, time::timeout};

/// When a place that is missing now may be free.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) struct Places {
    state: Mutex<State>,
    longest: Duration,
}

struct State {
    total: u32,
    free: u32,
    /// So many are given only to accounts that hold none.
    reserve: u32,
    /// So many runs may wait.
    room: usize,
    accounts: BTreeMap<Account, Presence>,
    waiting: usize,
    next: u64,
}

#[derive(Default)]
struct Presence {
    holds: u32,
    /// In the order they came.
    waiting: VecDeque<Waiter>,
}

struct Waiter {
    number: u64,
    places: u32,
    door: oneshot::Sender<Told>,
}

enum Told {
    Yours,
    /// Another account's run got its place among those that wait.
    Refused,
}

/// Places of one run. Given back when dropped.
pub(crate) struct Held {
    places: Arc<Places>,
    account: Account,
    count: u32,
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                total: limits.guest_instances,
                free: limits.guest_instances,
                reserve: limits.guest_instances / 4,
                room: limits.queue as usize,
                accounts: BTreeMap::new(),
                waiting: 0,
                next: 0,
            }),
            longest: Duration::from_millis(limits.queue_ms),
        })
    }

    pub(crate) fn free(&self) -> u32 {
        self.state.lock().free
    }

    /// Waits for all the places of a run at once: whoever waits holds none of them, so that runs cannot block each other. As many
    /// may wait, and as long, as for a lane; a future that is dropped leaves at once.
    pub(crate) async fn take(self: &Arc<Self>, account: Account, count: u32) -> Result<Held> {
        let (door, mut answer) = oneshot::channel();
        let (number, told) = {
            let mut state = self.state.lock();
            if count > state.total {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    format!(
                        "this pipeline needs {count} guest instances, limits.guest_instances is {}",
                        state.total
                    ),
                ));
            }
            state.arrive(account, count, door)
        };
        tell(told);
        let wait = Wait {
            places: self,
            account,
            number: Some(number),
            count,
        };
        let told = match answer.try_recv() {
            Ok(told) => told,
            Err(_) => timeout(self.longest, answer)
                .await
                .map_err(|_| busy())?
                .map_err(Error::internal)?,
        };
        match told {
            Told::Yours => Ok(wait.held()),
            Told::Refused => Err(busy()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let told = self.places.state.lock().give_back(self.account, self.count);
        tell(told);
    }
}

/// Somebody who waits, or has places in its hand that it has not seen yet.
struct Wait<'a> {
    places: &'a Arc<Places>,
    account: Account,
    number: Option<u64>,
    count: u32,
}

impl Wait<'_> {
    fn held(mut self) -> Held {
        self.number = None;
        Held {
            places: Arc::clone(self.places),
            account: self.account,
            count: self.count,
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let told = self.places.state.lock().leave(self.account, number, self.count);
            tell(told);
        }
    }
}

type Decisions = Vec<(oneshot::Sender<Told>, Told)>;

/// After the lock: waking may run anything. Who has gone in between gives its places back when its `Wait` is dropped.
fn tell(decisions: Decisions) {
    for (door, told) in decisions {
        let _ = door.send(told);
    }
}

impl State {
    fn arrive(&mut self, account: Account, places: u32, door: oneshot::Sender<Told>) -> (u64, Decisions) {
        let number = self.next;
        self.next += 1;
        let waiter = Waiter { number, places, door };
        self.accounts.entry(account).or_default().waiting.push_back(waiter);
        self.waiting += 1;
        let mut decisions = Decisions::new();
        self.serve(&mut decisions);
        if self.waiting > self.room {
            decisions.extend(self.refuse(account));
        }
        (number, decisions)
    }

    fn give_back(&mut self, account: Account, places: u32) -> Decisions {
        self.free += places;
        if let Some(presence) = self.accounts.get_mut(&account) {
            presence.holds = presence.holds.saturating_sub(places);
        }
        self.rest(account);
        let mut decisions = Decisions::new();
        self.serve(&mut decisions);
        decisions
    }

    /// Whoever has this number has gone: from those that wait, or with places in its hand.
    fn leave(&mut self, account: Account, number: u64, places: u32) -> Decisions {
        let presence = self.accounts.get_mut(&account);
        let waiting = presence.and_then(|presence| {
            let index = presence.waiting.iter().position(|waiter| waiter.number == number)?;
            presence.waiting.remove(index)
        });
        if waiting.is_none() {
            return self.give_back(account, places);
        }
        self.waiting -= 1;
        self.rest(account);
        // Whoever comes after it may need fewer.
        let mut decisions = Decisions::new();
        self.serve(&mut decisions);
        decisions
    }

    /// Gives places to those who are next. If there are too few for the next one, all wait for it: a run of several guests would
    /// never get its places if others took each one that comes free.
    fn serve(&mut self, decisions: &mut Decisions) {
        loop {
            let heads = self.accounts.iter().filter_map(|(account, presence)| {
                let head = presence.waiting.front()?;
                Some((presence.holds, head.number, head.places, *account))
            });
            let Some((holds, _, places, account)) = heads.min() else {
                return;
            };
            let reserve = if holds == 0 { 0 } else { self.reserve };
            if self.free < places + reserve {
                return;
            }
            let Some(presence) = self.accounts.get_mut(&account) else {
                return;
            };
            let Some(waiter) = presence.waiting.pop_front() else {
                return;
            };
            presence.holds += places;
            self.free -= places;
            self.waiting -= 1;
            decisions.push((waiter.door, Told::Yours));
        }
    }

    /// One too many wait: the newest of the account with the most of them goes. The newcomer's account, if it has as many as
    /// another.
    fn refuse(&mut self, newcomer: Account) -> Option<(oneshot::Sender<Told>, Told)> {
        let most = self
            .accounts
            .iter()
            .max_by_key(|(account, presence)| (presence.waiting.len(), **account == newcomer));
        let account = most.map(|(account, _)| *account)?;
        let waiter = self.accounts.get_mut(&account)?.waiting.pop_back()?;
        self.waiting -= 1;
        self.rest(account);
        Some((waiter.door, Told::Refused))
    }

    /// Who holds nothing and waits for nothing is forgotten.
    fn rest(&mut self, account: Account) {
        let gone = |presence: &Presence| presence.holds == 0 && presence.waiting.is_empty();
        if self.accounts.get(&account).is_some_and(gone) {
            self.accounts.remove(&account);
        }
    }
}

fn busy() -> Error {
    Error::new(
        ErrorKind::Busy,
        "all plugin instances of this server are in use; try again in a moment",
    )
    .with_retry_after(RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::Future, pin::Pin, task::Context};

    type Taking = Pin<Box<dyn Future<Output = Result<Held>>>>;

    fn places(total: u32, room: u32) -> Arc<Places> {
        Places::new(&Limits {
            guest_instances: total,
            queue: room,
            ..Limits::default()
        })
    }

    fn ask(places: &Arc<Places>, account: u64, count: u32) -> Taking {
        let places = Arc::clone(places);
        Box::pin(async move { places.take(Account::new(account), count).await })
    }

    fn poll(taking: &mut Taking) -> Option<Result<Held>> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match taking.as_mut().poll(&mut context) {
            std::task::Poll::Ready(result) => Some(result),
            std::task::Poll::Pending => None,
        }
    }

    fn now(places: &Arc<Places>, account: u64, count: u32) -> Held {
        poll(&mut ask(places, account, count)).unwrap().unwrap()
    }

    fn waiting(places: &Arc<Places>, account: u64, count: u32) -> Taking {
        let mut taking = ask(places, account, count);
        assert!(poll(&mut taking).is_none());
        taking
    }

    #[tokio::test]
    async fn a_noisy_account_leaves_a_quarter_for_those_that_hold_none() {
        let places = places(8, 100);
        let _noise: Vec<Held> = (0..6).map(|_| now(&places, 1, 1)).collect();
        let mut more = waiting(&places, 1, 1);
        let quiet = [now(&places, 2, 1), now(&places, 3, 1)];
        assert_eq!(places.free(), 0);
        drop(quiet);
        assert!(poll(&mut more).is_none(), "the reserve stays free");
        assert_eq!(places.free(), 2);
    }

    #[tokio::test]
    async fn whoever_holds_the_fewest_is_next_and_then_who_came_first() {
        let places = places(3, 100);
        let (one, two, three) = (now(&places, 1, 1), now(&places, 1, 1), now(&places, 2, 1));
        let mut order = [
            waiting(&places, 1, 1),
            waiting(&places, 2, 1),
            waiting(&places, 3, 1),
            waiting(&places, 4, 1),
        ];
        drop(one);
        let four = poll(&mut order[2]).unwrap().unwrap();
        drop(two);
        assert!(poll(&mut order[3]).is_some());
        drop(four);
        // Both hold one now or none, the first came earlier.
        assert_eq!(places.free(), 0);
        assert!(poll(&mut order[0]).is_some());
        drop(three);
        assert!(poll(&mut order[1]).is_some());
    }

    #[tokio::test]
    async fn a_run_of_several_guests_is_not_overtaken() {
        let places = places(3, 100);
        let held: Vec<Held> = (1..4).map(|account| now(&places, account, 1)).collect();
        let mut large = waiting(&places, 4, 3);
        let mut small = waiting(&places, 5, 1);
        for (index, one) in held.into_iter().enumerate() {
            assert!(poll(&mut small).is_none());
            drop(one);
            assert_eq!(poll(&mut large).is_some(), index == 2);
        }
    }

    #[tokio::test]
    async fn a_full_room_refuses_the_newest_of_whoever_fills_it() {
        let places = places(1, 2);
        let held = now(&places, 1, 1);
        let mut first = waiting(&places, 1, 1);
        let mut second = waiting(&places, 1, 1);
        assert_eq!(
            poll(&mut ask(&places, 1, 1)).unwrap().err().unwrap().kind(),
            ErrorKind::Busy
        );
        let mut quiet = waiting(&places, 2, 1);
        let error = poll(&mut second).unwrap().err().unwrap();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Busy, Some(RETRY)));
        assert!(poll(&mut first).is_none());
        drop(held);
        assert!(poll(&mut first).is_some() != poll(&mut quiet).is_some());
    }

    #[tokio::test]
    async fn whoever_goes_gives_back_what_it_was_told_is_its_own() {
        let places = places(1, 2);
        let held = now(&places, 1, 1);
        let first = waiting(&places, 2, 1);
        let mut second = waiting(&places, 3, 1);
        drop(held);
        drop(first);
        drop(poll(&mut second).unwrap().unwrap());
        assert_eq!(places.free(), 1);
        assert!(places.state.lock().accounts.is_empty());
    }

    #[tokio::test]
    async fn whoever_goes_lets_those_pass_that_waited_for_it() {
        let places = places(3, 8);
        let _held = now(&places, 1, 1);
        let large = waiting(&places, 2, 3);
        let mut small = waiting(&places, 3, 1);
        drop(large);
        assert!(poll(&mut small).is_some());
    }
}
