//! The places in the pool of instances: who may start the guests of a run. A run that waits for a lane keeps its places, so that a
//! noisy account could hold them all while its requests wait in the queue. Therefore whoever holds the fewest is next, and the
//! last quarter of the places is for accounts that hold none: whoever comes waits only if as many others have just come, too.
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
    /// By number, so that nothing is given back twice, and nothing by whoever was refused.
    held: BTreeMap<u64, (Account, u32)>,
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

/// Places of one run, or its place among those that wait. Given back when dropped.
pub(crate) struct Held {
    places: Arc<Places>,
    number: u64,
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
                held: BTreeMap::new(),
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
        let held = Held {
            places: Arc::clone(self),
            number,
        };
        let told = match answer.try_recv() {
            Ok(told) => told,
            Err(_) => timeout(self.longest, answer)
                .await
                .map_err(|_| busy())?
                .map_err(Error::internal)?,
        };
        match told {
            Told::Yours => Ok(held),
            Told::Refused => Err(busy()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let told = self.places.state.lock().leave(self.number);
        tell(told);
    }
}

type Decisions = Vec<(oneshot::Sender<Told>, Told)>;

/// After the lock: waking may run anything. Who has gone in between gives its places back when its [`Held`] is dropped.
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

    /// Whoever has this number has gone: from those that wait, or with its places.
    fn leave(&mut self, number: u64) -> Decisions {
        let mut decisions = Decisions::new();
        let gone = match self.held.remove(&number) {
            Some((account, places)) => {
                self.free += places;
                if let Some(presence) = self.accounts.get_mut(&account) {
                    presence.holds = presence.holds.saturating_sub(places);
                }
                Some(account)
            }
            None => self.stop_waiting(number),
        };
        if let Some(account) = gone {
            self.rest(account);
            // Also when it only waited: whoever comes after it may need fewer places.
            self.serve(&mut decisions);
        }
        decisions
    }

    fn stop_waiting(&mut self, number: u64) -> Option<Account> {
        let found = self.accounts.iter_mut().find_map(|(account, presence)| {
            let index = presence.waiting.iter().position(|waiter| waiter.number == number)?;
            presence.waiting.remove(index)?;
            Some(*account)
        })?;
        self.waiting -= 1;
        Some(found)
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
            self.held.insert(waiter.number, (account, places));
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
        let mut order: Vec<Taking> = [1, 2, 3, 4].map(|account| waiting(&places, account, 1)).into();
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
        assert!(poll(&mut first).is_some());
        assert!(poll(&mut quiet).is_some());
        assert_eq!(places.free(), 1);
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

    #[tokio::test]
    async fn any_order_of_coming_and_going_loses_no_place() {
        let places = places(7, 6);
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
                0 => waiting.push(ask(&places, next(5), 1 + u32::try_from(next(3)).unwrap())),
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
            let state = places.state.lock();
            assert_eq!(state.free + state.held.values().map(|held| held.1).sum::<u32>(), 7);
            assert!(state.waiting <= 6);
            let waits = state.accounts.values().map(|presence| presence.waiting.len());
            assert_eq!(waits.sum::<usize>(), state.waiting);
        }
        drop((waiting, held));
        assert_eq!(places.free(), 7);
        assert!(places.state.lock().accounts.is_empty());
    }
}
