//! Decisions of the queue one by one. Not here: what holds for every mix of requests (`simulation.rs`, `queue/tests.rs`).

use super::{TokenRequest, VirtualTime};
use crate::queue::{Bounds, Queue, Rejection, Request, RequestId, Verdict};
use riad_core::{Account, Digest, policy::Tier, ports::Progress};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

const FAR: Duration = Duration::from_secs(3600);

/// The state machine and its time.
struct Machine {
    queue: Queue<VirtualTime>,
    now: Instant,
    /// Of each request, with the tokens of its prompt.
    progress: HashMap<RequestId, (Arc<Progress>, u32)>,
}

impl Machine {
    fn new(permits: u32, target: Duration) -> Self {
        let bounds = Bounds {
            waiting: 10_000,
            ..Bounds::of(permits)
        };
        Self {
            queue: Queue::new(bounds, VirtualTime::new(target)),
            now: Instant::now(),
            progress: HashMap::new(),
        }
    }

    fn request(&self, account: u64, prompt_tokens: u32, max_tokens: u32) -> Request<TokenRequest> {
        let detail = TokenRequest {
            tier: Tier::Default,
            prompt_tokens,
            max_tokens,
            adapter: None,
            progress: Arc::default(),
        };
        Request {
            expires: Some(self.now + FAR),
            deadline: Some(self.now + FAR),
            ..Request::new(Account::new(account), detail)
        }
    }

    fn arrive(&mut self, request: Request<TokenRequest>) -> (RequestId, Option<Verdict>) {
        let (progress, prompt) = (Arc::clone(&request.detail.progress), request.detail.prompt_tokens);
        let (id, decisions) = self.queue.arrive(self.now, request);
        self.progress.insert(id, (progress, prompt));
        let own = decisions
            .iter()
            .find(|(decided, _)| *decided == id)
            .map(|(_, verdict)| *verdict);
        (id, own)
    }

    /// Runs one request alone: a second for `prompt` and `completion` tokens.
    fn measure(&mut self, account: u64, prompt: u32, completion: u32, max_tokens: u32) {
        let request = self.request(account, prompt, max_tokens);
        let progress = Arc::clone(&request.detail.progress);
        let (id, verdict) = self.arrive(request);
        assert_eq!(verdict, Some(Verdict::Admitted));
        self.now += Duration::from_secs(1);
        progress.set(prompt, completion);
        self.release(id);
    }

    /// A request that has read its prompt at least ends. The request that gets the permit.
    fn release(&mut self, id: RequestId) -> Option<RequestId> {
        let (progress, prompt) = &self.progress[&id];
        progress.set(*prompt, progress.completion_tokens());
        self.give_back(id)
    }

    /// A request ends as it is.
    fn give_back(&mut self, id: RequestId) -> Option<RequestId> {
        let decisions = self.queue.release(self.now, id);
        decisions
            .iter()
            .find(|(_, verdict)| *verdict == Verdict::Admitted)
            .map(|(id, _)| *id)
    }

    fn whole_wait(&mut self) -> Option<Duration> {
        self.queue.observe(self.now);
        let (policy, state) = self.queue.policy();
        policy.whole_wait(state)
    }
}

#[test]
fn time_away_is_credit_for_a_few_requests_only() {
    let mut machine = Machine::new(1, FAR);
    for _ in 0..50 {
        machine.measure(1, 100, 100, 100);
    }
    let (mut permit, _) = machine.arrive(machine.request(1, 100, 100));
    let regular: Vec<_> = (0..30).map(|_| machine.request(1, 100, 100)).collect();
    // It has had nothing for 50 requests. It gets four before the others, and then every second one.
    let newcomer: Vec<_> = (0..30).map(|_| machine.request(2, 100, 100)).collect();
    let mut running: HashMap<RequestId, (u64, Arc<Progress>)> = HashMap::new();
    for request in regular.into_iter().chain(newcomer) {
        let (account, progress) = (request.account.number(), Arc::clone(&request.detail.progress));
        running.insert(machine.arrive(request).0, (account, progress));
    }
    let mut newcomers = 0;
    for _ in 0..20 {
        permit = machine.release(permit).unwrap();
        let (account, progress) = &running[&permit];
        progress.set(100, 100);
        newcomers += u64::from(*account == 2);
    }
    assert!((11..=13).contains(&newcomers), "{newcomers}");
}

#[test]
fn the_credit_of_one_account_is_no_floor_for_the_next() {
    let mut machine = Machine::new(1, FAR);
    for _ in 0..50 {
        machine.measure(1, 100, 100, 100);
    }
    let (mut permit, _) = machine.arrive(machine.request(1, 100, 100));
    for _ in 0..40 {
        machine.arrive(machine.request(1, 100, 100));
    }
    for account in 10..20 {
        machine.arrive(machine.request(account, 100, 100));
    }
    let last: Vec<_> = (0..40)
        .map(|_| machine.arrive(machine.request(2, 100, 100)).0)
        .collect();
    let mut served = 0;
    for _ in 0..26 {
        permit = machine.release(permit).unwrap();
        // Only the prompt was charged so far: the request counts as three.
        let (_, state) = machine.queue.policy();
        state.running[&permit].request.detail.progress.set(100, 100);
        served += usize::from(last.contains(&permit));
    }
    // Ten were for those who came before; of the rest four are its credit and half are its share.
    assert!((9..=11).contains(&served), "{served}");
}

#[test]
fn a_permit_that_was_never_used_is_not_charged() {
    let mut machine = Machine::new(1, FAR);
    let (permit, _) = machine.arrive(machine.request(9, 10, 10));
    let (leaves, _) = machine.arrive(machine.request(1, 1000, 10));
    let (again, _) = machine.arrive(machine.request(1, 10, 10));
    let (other, _) = machine.arrive(machine.request(2, 10, 10));
    assert_eq!(machine.release(permit), Some(leaves));
    assert_eq!(machine.queue.leave(machine.now, leaves), [(again, Verdict::Admitted)]);
    assert_eq!(machine.release(again), Some(other));
}

#[test]
fn a_long_generation_earns_no_credit() {
    let mut machine = Machine::new(2, FAR);
    // Account 2 has one permit all the time and uses little of it.
    let (_slow, _) = machine.arrive(machine.request(2, 1, 100_000));
    let (mut permit, _) = machine.arrive(machine.request(1, 1000, 1));
    for _ in 0..100 {
        let (next, _) = machine.arrive(machine.request(1, 1000, 1));
        assert_eq!(machine.release(permit), Some(next));
        permit = next;
    }
    let one: Vec<_> = (0..12).map(|_| machine.arrive(machine.request(1, 1000, 1)).0).collect();
    let other: Vec<_> = (0..12).map(|_| machine.arrive(machine.request(2, 1000, 1)).0).collect();
    let mut served = Vec::new();
    for _ in 0..12 {
        permit = machine.release(permit).unwrap();
        served.push(permit);
    }
    let of = |ids: &[RequestId]| served.iter().filter(|id| ids.contains(id)).count();
    // No more than the credit of an account that asked for nothing, and half of the rest.
    assert_eq!((of(&one), of(&other)), (4, 8));
}

#[test]
fn a_permit_that_was_given_back_unused_costs_nothing() {
    let mut machine = Machine::new(1, FAR);
    machine.measure(1, 100, 10, 10);
    machine.measure(2, 100, 10, 10);
    let before = machine.queue.policy().0.speed.value();
    let (mut permit, _) = machine.arrive(machine.request(9, 1, 1));
    // As a request does whose adapter is not in memory: it waits again afterwards.
    for _ in 0..5 {
        let unused = machine.arrive(machine.request(1, 5000, 1)).0;
        assert_eq!(machine.give_back(permit), Some(unused));
        permit = machine.arrive(machine.request(9, 1, 1)).0;
        assert_eq!(machine.give_back(unused), Some(permit));
    }
    assert_eq!(machine.queue.policy().0.speed.value(), before);
    let again = machine.arrive(machine.request(1, 5000, 1)).0;
    let other = machine.arrive(machine.request(2, 5000, 1)).0;
    // Both have had as much: who came first is first.
    assert_eq!(machine.give_back(permit), Some(again));
    assert_eq!(machine.release(again), Some(other));
}

#[test]
fn the_active_adapter_breaks_ties_and_nothing_else() {
    let (red, blue) = (Some(Digest::of(b"red")), Some(Digest::of(b"blue")));
    let mut machine = Machine::new(1, FAR);
    let with_adapter = |mut request: Request<TokenRequest>, adapter| {
        request.detail.adapter = adapter;
        request
    };
    let (mut permit, _) = machine.arrive(with_adapter(machine.request(1, 10, 10), red));
    let first = machine.arrive(with_adapter(machine.request(2, 10, 10), blue)).0;
    let second = machine.arrive(with_adapter(machine.request(3, 10, 10), red)).0;
    let third = machine.arrive(with_adapter(machine.request(2, 10, 10), red)).0;
    permit = machine.release(permit).unwrap();
    assert_eq!(permit, second, "both have had as much");
    permit = machine.release(permit).unwrap();
    assert_eq!(
        permit, first,
        "it has had less, and comes before the other of its account"
    );
    assert_eq!(machine.release(permit), Some(third));
}

#[test]
fn weights_and_tiers_are_shares() {
    let mut machine = Machine::new(1, FAR);
    let (mut permit, _) = machine.arrive(machine.request(9, 1, 1));
    let mut owners = HashMap::new();
    for (account, weight, tier) in [(1, 1, Tier::Default), (2, 3, Tier::Default), (3, 1, Tier::Priority)] {
        for _ in 0..80 {
            let mut request = machine.request(account, 100, 1);
            (request.weight, request.detail.tier) = (weight, tier);
            owners.insert(machine.arrive(request).0, account);
        }
    }
    let mut had = [0_u32; 4];
    for _ in 0..80 {
        permit = machine.release(permit).unwrap();
        had[owners[&permit] as usize] += 1;
    }
    assert_eq!(had, [0, 10, 30, 40]);
}

#[test]
fn nothing_is_rejected_before_anything_was_measured() {
    let mut machine = Machine::new(1, Duration::ZERO);
    machine.arrive(machine.request(1, 1000, 1000));
    for account in 0..100 {
        let request = Request {
            deadline: Some(machine.now + Duration::from_millis(1)),
            ..machine.request(account, 1000, 1000)
        };
        assert_eq!(machine.arrive(request).1, None);
    }
    assert_eq!(machine.whole_wait(), None);
}

#[test]
fn a_request_that_would_miss_its_deadline_is_rejected() {
    let mut machine = Machine::new(1, FAR);
    // 300 of weighted work in a second; half of the completion tokens that were asked for.
    machine.measure(1, 100, 100, 200);
    machine.arrive(machine.request(1, 100, 200));
    let until = |machine: &Machine, seconds| Request {
        deadline: Some(machine.now + Duration::from_secs(seconds)),
        ..machine.request(1, 100, 200)
    };
    // One second for what runs, one for each that waits, one for itself.
    assert_eq!(machine.arrive(until(&machine, 3)).1, None);
    assert_eq!(machine.arrive(until(&machine, 4)).1, None);
    let (id, verdict) = machine.arrive(until(&machine, 3));
    let Some(Verdict::Rejected(Rejection::TooLate { retry_after })) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(retry_after, Duration::from_secs(1));
    assert!(
        machine.queue.leave(machine.now, id).is_empty(),
        "it is not there any more"
    );
    assert_eq!(machine.queue.waiting(), 2);
    assert_eq!(machine.whole_wait(), Some(Duration::from_secs(3)));
    // Another account waits for less: at most one of the others is served before it.
    let request = Request {
        deadline: Some(machine.now + Duration::from_secs(3)),
        ..machine.request(2, 100, 200)
    };
    assert_eq!(machine.arrive(request).1, None);
}

#[test]
fn a_backlog_beyond_the_target_is_shed_where_it_is_largest() {
    let mut machine = Machine::new(1, Duration::from_millis(3500));
    machine.measure(1, 100, 100, 100);
    machine.arrive(machine.request(1, 100, 100));
    let noisy: Vec<_> = (0..6).map(|_| machine.arrive(machine.request(1, 100, 100))).collect();
    // What runs takes one second, each before it another.
    let kept = noisy.iter().filter(|(_, verdict)| verdict.is_none()).count();
    assert_eq!(kept, 3);
    assert!(matches!(
        noisy[3].1,
        Some(Verdict::Rejected(Rejection::Overloaded { .. }))
    ));
    let (_, decisions) = machine.queue.arrive(machine.now, machine.request(2, 100, 100));
    let [(shed, Verdict::Rejected(Rejection::Overloaded { .. }))] = decisions[..] else {
        panic!("{decisions:?}");
    };
    assert_eq!(shed, noisy[2].0, "the newest of the largest");
    assert_eq!(machine.queue.shed(), 4);
}

#[test]
fn idle_accounts_are_forgotten_and_debts_remembered() {
    let mut machine = Machine::new(1, FAR);
    for account in 0..20_000 {
        machine.measure(account, 10, 10, 10);
        assert!(machine.queue.policy().0.counters.idle() <= 4096);
    }
    // An account that has just had much waits for those that have not, though thousands came in between.
    let mut machine = Machine::new(1, FAR);
    let spends = machine.request(1, 10, 100_000);
    let progress = Arc::clone(&spends.detail.progress);
    let (mut permit, _) = machine.arrive(spends);
    let steady: Vec<_> = (0..9000)
        .map(|_| machine.arrive(machine.request(2, 10, 10)).0)
        .collect();
    progress.set(10, 100_000);
    for account in 10..6000 {
        let (passing, _) = machine.arrive(machine.request(account, 10, 10));
        let mut next = machine.release(permit).unwrap();
        if next != passing {
            next = machine.release(next).unwrap();
        }
        permit = next;
    }
    let left = steady.len() - machine.queue.waiting();
    assert!(left < 9000, "{left}");
    let (debtor, _) = machine.arrive(machine.request(1, 10, 10));
    let (other, _) = machine.arrive(machine.request(3, 10, 10));
    let served: Vec<_> = (0..5)
        .map(|_| {
            permit = machine.release(permit).unwrap();
            permit
        })
        .collect();
    assert!(served.contains(&other) && !served.contains(&debtor), "{served:?}");
}

#[test]
fn a_continuation_is_never_rejected() {
    let mut machine = Machine::new(1, Duration::ZERO);
    machine.measure(1, 100, 100, 100);
    machine.arrive(machine.request(1, 100, 100));
    // The target is passed by anything that waits, and no deadline can be met.
    let late = |continuation| Request {
        deadline: Some(machine.now + Duration::from_millis(1)),
        continuation,
        ..machine.request(2, 100, 100)
    };
    let (further, rejected) = (late(true), late(false));
    assert_eq!(machine.arrive(further).1, None);
    assert!(matches!(
        machine.arrive(rejected).1,
        Some(Verdict::Rejected(Rejection::TooLate { .. }))
    ));
    let (shed, _) = machine.arrive(machine.request(2, 100, 100));
    let (_, state) = machine.queue.policy();
    assert!(!state.waiting.contains_key(&shed), "what has not begun is shed");
    assert_eq!(state.waiting.len(), 1);
}
