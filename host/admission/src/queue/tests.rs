//! What holds for every policy, whatever the bounds and the order of events.

use super::{Bounds, Decision, Queue, Rejection, Request, RequestId, Verdict};
use crate::{FewestHeld, Fifo, Policy, ProcessorTime, Slice, TokenRequest, VirtualTime};
use proptest::prelude::*;
use riad_core::{Account, policy::Tier, ports::Progress};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

const ACCOUNTS: u64 = 5;

#[derive(Debug, Clone)]
enum Step {
    Arrive(Arrival),
    /// A request that waits is dropped.
    Leave(prop::sample::Index),
    /// An admitted request is dropped before it used its units.
    LeaveUnused(prop::sample::Index),
    Release(prop::sample::Index),
    Advance(Duration),
}

#[derive(Debug, Clone)]
struct Arrival {
    account: u64,
    units: u32,
    weight: u32,
    tier: Tier,
    tokens: u32,
    expires: Option<Duration>,
    deadline: Option<Duration>,
    continuation: bool,
}

type MakeDetail<P> = dyn Fn(&Arrival, &Arc<Progress>) -> <P as Policy>::Detail;

/// What is expected of the queue, kept beside it.
struct Model<P: Policy> {
    queue: Queue<P>,
    bounds: Bounds,
    now: Instant,
    details: Box<MakeDetail<P>>,
    waiting: BTreeMap<RequestId, Asked>,
    running: BTreeMap<RequestId, Asked>,
    /// The units of each request were one.
    all_single: bool,
}

struct Asked {
    arrival: Arrival,
    expires: Option<Instant>,
    progress: Arc<Progress>,
}

impl<P: Policy> Model<P> {
    fn new(bounds: Bounds, policy: P, details: impl Fn(&Arrival, &Arc<Progress>) -> P::Detail + 'static) -> Self {
        Self {
            queue: Queue::new(bounds, policy),
            bounds,
            now: Instant::now(),
            details: Box::new(details),
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            all_single: true,
        }
    }

    fn play(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Arrive(arrival) => self.arrive(arrival),
                Step::Leave(which) => {
                    if let Some(id) = pick(&self.waiting, which) {
                        self.waiting.remove(&id);
                        let decisions = self.queue.leave(self.now, id);
                        self.apply(decisions, None);
                    }
                }
                Step::LeaveUnused(which) => {
                    if let Some(id) = pick(&self.running, which) {
                        self.running.remove(&id);
                        let decisions = self.queue.leave(self.now, id);
                        self.apply(decisions, None);
                    }
                }
                Step::Release(which) => {
                    if let Some(id) = pick(&self.running, which) {
                        self.release(id);
                    }
                }
                Step::Advance(time) => self.now += time,
            }
            self.check();
        }
        self.empty();
    }

    fn arrive(&mut self, arrival: Arrival) {
        self.all_single &= arrival.units == 1;
        let progress = Arc::default();
        let asked = Asked {
            expires: arrival.expires.map(|wait| self.now + wait),
            progress: Arc::clone(&progress),
            arrival: arrival.clone(),
        };
        let request = Request {
            account: Account::new(arrival.account),
            weight: arrival.weight,
            units: arrival.units,
            expires: asked.expires,
            deadline: arrival.deadline.map(|time| self.now + time),
            continuation: arrival.continuation,
            detail: (self.details)(&arrival, &progress),
        };
        let (id, decisions) = self.queue.arrive(self.now, request);
        self.waiting.insert(id, asked);
        self.apply(decisions, Some(id));
    }

    fn release(&mut self, id: RequestId) {
        let asked = self.running.remove(&id).unwrap();
        asked.progress.set(asked.arrival.tokens, asked.arrival.tokens);
        let decisions = self.queue.release(self.now, id);
        self.apply(decisions, None);
        let free = self.queue.free();
        assert!(self.queue.release(self.now, id).is_empty(), "released twice");
        assert_eq!(self.queue.free(), free, "released twice");
    }

    fn apply(&mut self, decisions: Vec<Decision>, newcomer: Option<RequestId>) {
        for (id, verdict) in decisions {
            let asked = self
                .waiting
                .remove(&id)
                .expect("only requests that wait are decided about");
            let is_newcomer = newcomer == Some(id);
            let account = asked.arrival.account;
            // Requests that waited when this one was rejected and may be rejected, its own among them.
            let waited = |account| self.rejectable_of(account) + usize::from(account == asked.arrival.account);
            match verdict {
                Verdict::Admitted => {
                    if self.held_by(account) > 0 {
                        assert!(
                            self.free() >= self.bounds.reserve + asked.arrival.units,
                            "the reserve was given away"
                        );
                    }
                    self.running.insert(id, asked);
                    assert!(self.held() <= self.bounds.capacity);
                    assert!(self.held_by(account) <= self.bounds.per_account);
                }
                Verdict::Rejected(Rejection::TooLarge { most }) => {
                    assert!(is_newcomer && asked.arrival.units > most);
                    assert_eq!(most, self.bounds.capacity.min(self.bounds.per_account));
                }
                Verdict::Rejected(Rejection::TimedOut) => assert!(asked.expires.unwrap() <= self.now),
                Verdict::Rejected(Rejection::TooLate { .. }) => assert!(is_newcomer && !asked.arrival.continuation),
                Verdict::Rejected(Rejection::QueueFull { .. }) => {
                    assert!(!asked.arrival.continuation);
                    if waited(account) < 2 {
                        assert!(is_newcomer, "an account's only waiting request was evicted");
                        let evicts = self.queue.policy().0.evicts();
                        assert!(
                            !evicts || (0..ACCOUNTS).all(|other| waited(other) <= 1),
                            "an account was kept out though another one had several"
                        );
                    }
                }
                Verdict::Rejected(Rejection::Overloaded { .. }) => {
                    assert!(!asked.arrival.continuation);
                    assert!(
                        waited(account) >= 2 || is_newcomer,
                        "an account's only waiting request was shed"
                    );
                }
            }
        }
    }

    /// What holds after each step.
    fn check(&self) {
        assert_eq!(self.queue.free(), self.free());
        assert_eq!(self.queue.running(), self.running.len());
        assert_eq!(self.queue.waiting(), self.waiting.len());
        // Continuations take no newcomer's room: the bounds hold for the others, however many continuations there are.
        let rejectable = (0..ACCOUNTS).map(|account| self.rejectable_of(account));
        assert!(rejectable.clone().sum::<usize>() <= self.bounds.waiting);
        assert!(rejectable.max().unwrap() <= self.bounds.waiting_per_account);
        // The first request of each account that may be given more units: whether there are units for it.
        let (_, state) = self.queue.policy();
        let firsts = state.accounts.values().filter_map(|account| {
            let (_, first) = account.waiting.first_key_value()?;
            let reserve = if account.held == 0 { 0 } else { self.bounds.reserve };
            let may = account.held + first.units <= self.bounds.per_account;
            may.then(|| self.free() >= first.units + reserve)
        });
        let (fit, wait): (Vec<bool>, Vec<bool>) = firsts.partition(|fits| *fits);
        assert!(
            fit.is_empty() || !wait.is_empty(),
            "units are free while a request waits for them"
        );
        assert!(
            fit.is_empty() || !self.all_single,
            "a unit is free while a request waits for it"
        );
    }

    fn empty(&mut self) {
        while let Some((&id, _)) = self.waiting.first_key_value() {
            self.waiting.remove(&id);
            let decisions = self.queue.leave(self.now, id);
            self.apply(decisions, None);
        }
        while let Some((&id, _)) = self.running.first_key_value() {
            self.release(id);
        }
        assert_eq!(self.queue.free(), self.bounds.capacity, "a unit is lost");
        assert_eq!(
            (self.queue.accounts(), self.queue.waiting(), self.queue.running()),
            (0, 0, 0)
        );
    }

    fn held(&self) -> u32 {
        self.running.values().map(|asked| asked.arrival.units).sum()
    }

    fn free(&self) -> u32 {
        self.bounds.capacity - self.held()
    }

    fn held_by(&self, account: u64) -> u32 {
        let own = self.running.values().filter(|asked| asked.arrival.account == account);
        own.map(|asked| asked.arrival.units).sum()
    }

    fn rejectable_of(&self, account: u64) -> usize {
        let waiting = self.waiting.values().map(|asked| &asked.arrival);
        waiting
            .filter(|arrival| arrival.account == account && !arrival.continuation)
            .count()
    }
}

fn pick(among: &BTreeMap<RequestId, Asked>, which: prop::sample::Index) -> Option<RequestId> {
    (!among.is_empty()).then(|| *among.keys().nth(which.index(among.len())).unwrap())
}

fn bounds() -> impl Strategy<Value = Bounds> {
    let per_account = prop_oneof![Just(u32::MAX), 1..=4_u32];
    let waiting = prop_oneof![Just(usize::MAX), 1..=8_usize];
    let waiting_per_account = prop_oneof![Just(usize::MAX), 1..=4_usize];
    (1..=6_u32, 0..=3_u32, per_account, waiting, waiting_per_account).prop_map(
        |(capacity, reserve, per_account, waiting, waiting_per_account)| Bounds {
            capacity,
            reserve,
            per_account,
            waiting,
            waiting_per_account,
        },
    )
}

fn arrival(units_most: u32, continuations: bool) -> impl Strategy<Value = Arrival> {
    let tier = prop_oneof![Just(Tier::Flex), Just(Tier::Default), Just(Tier::Priority)];
    let expires = prop::option::of((0..2000_u64).prop_map(Duration::from_millis));
    let deadline = prop::option::of((0..5000_u64).prop_map(Duration::from_millis));
    let continuation = prop::bool::weighted(if continuations { 0.4 } else { 0.0 });
    (
        0..ACCOUNTS,
        1..=units_most,
        1..=4_u32,
        tier,
        1..100_u32,
        expires,
        deadline,
        continuation,
    )
        .prop_map(
            |(account, units, weight, tier, tokens, expires, deadline, continuation)| Arrival {
                account,
                units,
                weight,
                tier,
                tokens,
                expires,
                deadline,
                continuation,
            },
        )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    (1..=3_u32, any::<bool>()).prop_flat_map(|(units_most, continuations)| {
        let step = prop_oneof![
            6 => arrival(units_most, continuations).prop_map(Step::Arrive),
            1 => any::<prop::sample::Index>().prop_map(Step::Leave),
            1 => any::<prop::sample::Index>().prop_map(Step::LeaveUnused),
            3 => any::<prop::sample::Index>().prop_map(Step::Release),
            2 => (1..500_u64).prop_map(|ms| Step::Advance(Duration::from_millis(ms))),
        ];
        prop::collection::vec(step, 1..150)
    })
}

proptest! {
    #[test]
    fn first_come_first_served_keeps_its_bounds(bounds in bounds(), steps in steps()) {
        Model::new(bounds, Fifo::default(), |_, _| ()).play(steps);
    }

    #[test]
    fn fewest_held_keeps_its_bounds(bounds in bounds(), steps in steps()) {
        Model::new(bounds, FewestHeld, |_, _| ()).play(steps);
    }

    #[test]
    fn processor_time_keeps_its_bounds(bounds in bounds(), steps in steps()) {
        let slice = |arrival: &Arrival, _: &Arc<Progress>| match arrival.continuation {
            true => Slice::Further,
            false => Slice::First,
        };
        Model::new(bounds, ProcessorTime::default(), slice).play(steps);
    }

    #[test]
    fn virtual_time_keeps_its_bounds(bounds in bounds(), target_ms in 0..3000_u64, steps in steps()) {
        let policy = VirtualTime::new(Duration::from_millis(target_ms));
        let details = |arrival: &Arrival, progress: &Arc<Progress>| TokenRequest {
            tier: arrival.tier,
            prompt_tokens: arrival.tokens,
            max_tokens: arrival.tokens,
            adapter: None,
            progress: Arc::clone(progress),
        };
        Model::new(bounds, policy, details).play(steps);
    }
}

fn ask(queue: &mut Queue<FewestHeld>, account: u64, units: u32) -> (RequestId, Vec<Decision>) {
    let request = Request {
        units,
        ..Request::new(Account::new(account), ())
    };
    queue.arrive(Instant::now(), request)
}

#[test]
fn an_account_at_its_limit_waits_although_units_are_free() {
    let bounds = Bounds {
        per_account: 1,
        waiting_per_account: 1,
        ..Bounds::of(3)
    };
    let mut queue = Queue::new(bounds, FewestHeld);
    let (first, admitted) = ask(&mut queue, 1, 1);
    assert_eq!(admitted, [(first, Verdict::Admitted)]);
    let (second, waits) = ask(&mut queue, 1, 1);
    assert!(waits.is_empty(), "units are free, but the account has its share");
    let (third, rejected) = ask(&mut queue, 1, 1);
    let retry_after = Duration::from_secs(1);
    assert_eq!(
        rejected,
        [(third, Verdict::Rejected(Rejection::QueueFull { retry_after }))]
    );
    let (other, admitted) = ask(&mut queue, 2, 1);
    assert_eq!(admitted, [(other, Verdict::Admitted)]);
    assert_eq!(queue.release(Instant::now(), first), [(second, Verdict::Admitted)]);
}

#[test]
fn a_request_that_can_never_be_admitted_is_rejected() {
    let mut queue = Queue::new(Bounds::of(3), FewestHeld);
    let (id, rejected) = ask(&mut queue, 1, 4);
    assert_eq!(rejected, [(id, Verdict::Rejected(Rejection::TooLarge { most: 3 }))]);
    assert_eq!((queue.accounts(), queue.free()), (0, 3));
}

#[test]
fn continuations_take_no_newcomers_room() {
    let bounds = Bounds {
        waiting: 4,
        waiting_per_account: 2,
        ..Bounds::of(1)
    };
    let mut queue = Queue::new(bounds, FewestHeld);
    ask(&mut queue, 1, 1);
    for _ in 0..8 {
        let further = Request {
            continuation: true,
            ..Request::new(Account::new(1), ())
        };
        assert!(queue.arrive(Instant::now(), further).1.is_empty());
    }
    for account in 2..6 {
        let (_, decided) = ask(&mut queue, account, 1);
        assert!(
            decided.is_empty(),
            "account {account}'s only request was decided about: {decided:?}"
        );
    }
    // The account of the continuations may have a new request too; it is rejected only because the queue is full of others' only ones.
    let (own, decided) = ask(&mut queue, 1, 1);
    assert!(matches!(decided[..], [(id, Verdict::Rejected(Rejection::QueueFull { .. }))] if id == own));
}
