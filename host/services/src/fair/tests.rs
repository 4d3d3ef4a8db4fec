//! The fair queue through its port, and decisions one by one. Not here: what holds for every mix of them (`simulation.rs`).

use super::{
    FairQueue,
    clock::Clock,
    counters::Ask,
    passes::pass,
    queue::{Queue, Verdict},
};
use futures::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use proptest::prelude::*;
use riad_core::{
    Account, Digest, ErrorKind, Limits, Result, TenantPass,
    policy::Tier,
    ports::{LaneTicket, Progress, QueueAsk, Scheduler},
};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

const FAR: Duration = Duration::from_secs(3600);

/// Stands still until it is moved; a sleep ends when it is polled late enough.
struct Hand(Mutex<Instant>);

impl Hand {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Instant::now())))
    }

    fn on(&self, time: Duration) {
        *self.0.lock() += time;
    }
}

struct Handle(Arc<Hand>);

impl Clock for Handle {
    fn now(&self) -> Instant {
        *self.0.0.lock()
    }

    fn sleep_until(&self, time: Instant) -> BoxFuture<'static, ()> {
        let hand = Arc::clone(&self.0);
        Box::pin(futures::future::poll_fn(move |_| {
            if *hand.0.lock() >= time {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        }))
    }
}

fn limits(queue: u32) -> Limits {
    Limits {
        queue,
        queue_ms: 1000,
        ..Limits::default()
    }
}

fn queue(lanes: usize, room: u32) -> (FairQueue, Arc<Hand>) {
    let hand = Hand::new();
    let clock = Arc::new(Handle(Arc::clone(&hand)));
    (FairQueue::with_clock(lanes, &limits(room), FAR, clock), hand)
}

fn enter<'a>(queue: &'a FairQueue, pass: &'a TenantPass) -> BoxFuture<'a, Result<LaneTicket>> {
    enter_as(queue, pass, Tier::Default, Arc::default())
}

fn enter_as<'a>(
    queue: &'a FairQueue,
    pass: &'a TenantPass,
    tier: Tier,
    progress: Arc<Progress>,
) -> BoxFuture<'a, Result<LaneTicket>> {
    queue.enter(QueueAsk {
        pass,
        tier,
        prompt_tokens: 10,
        max_tokens: 10,
        adapter: None,
        deadline: queue.0.clock.now() + FAR,
        progress,
    })
}

fn waits(future: &mut BoxFuture<'_, Result<LaneTicket>>) -> bool {
    future.now_or_never().is_none()
}

fn has_lane(future: &mut BoxFuture<'_, Result<LaneTicket>>) -> LaneTicket {
    future.now_or_never().expect("still waits").unwrap()
}

fn refused(future: &mut BoxFuture<'_, Result<LaneTicket>>) -> riad_core::Error {
    future.now_or_never().expect("still waits").err().expect("has a lane")
}

#[test]
fn whoever_has_had_less_is_next_though_it_came_later() {
    let (queue, _) = queue(1, 8);
    let (noisy, quiet) = (pass(1, 1), pass(2, 1));
    let progress = Arc::new(Progress::default());
    let lane = enter_as(&queue, &noisy, Tier::Default, Arc::clone(&progress))
        .now_or_never()
        .unwrap()
        .unwrap();
    let mut first = enter(&queue, &noisy);
    let mut second = enter(&queue, &noisy);
    assert!(waits(&mut first) && waits(&mut second));
    let mut other = enter(&queue, &quiet);
    assert!(waits(&mut other));
    progress.set(10, 10);
    drop(lane);
    let lane = has_lane(&mut other);
    assert!(waits(&mut first) && waits(&mut second));
    drop(lane);
    let lane = has_lane(&mut first);
    drop(lane);
    has_lane(&mut second);
    assert_eq!(queue.state().waiting, 0);
}

#[test]
fn within_an_account_the_better_tier_is_first_and_then_who_came_first() {
    let (queue, _) = queue(1, 8);
    let pass = pass(1, 1);
    let mut lane = Some(enter(&queue, &pass).now_or_never().unwrap().unwrap());
    let asked = [Tier::Flex, Tier::Default, Tier::Priority, Tier::Default];
    let mut futures: Vec<_> = asked.map(|tier| enter_as(&queue, &pass, tier, Arc::default())).into();
    assert!(futures.iter_mut().all(waits));
    for next in [2, 1, 3, 0] {
        drop(lane.take());
        lane = Some(has_lane(&mut futures[next]));
        assert_eq!(queue.state().running, 1);
    }
}

#[test]
fn a_full_queue_refuses_the_newest_of_whoever_fills_it() {
    let (queue, _) = queue(1, 3);
    let (noisy, quiet) = (pass(1, 1), pass(2, 1));
    let _lane = enter(&queue, &noisy).now_or_never().unwrap().unwrap();
    let mut noise: Vec<_> = (0..3).map(|_| enter(&queue, &noisy)).collect();
    assert!(noise.iter_mut().all(waits));
    let error = refused(&mut enter(&queue, &noisy));
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.retry_after().is_some());
    let mut other = enter(&queue, &quiet);
    assert!(waits(&mut other), "the noisy one keeps nobody out");
    assert_eq!(refused(&mut noise[2]).kind(), ErrorKind::Busy);
    assert!(waits(&mut noise[0]) && waits(&mut noise[1]));
    // It cannot take the place back either.
    refused(&mut enter(&queue, &noisy));
    assert!(waits(&mut other));
    // Flex goes first of all.
    let mut flex = enter_as(&queue, &noisy, Tier::Flex, Arc::default());
    assert!(!waits(&mut flex));
    drop(noise.remove(1));
    let mut flex = enter_as(&queue, &noisy, Tier::Flex, Arc::default());
    assert!(waits(&mut flex));
    let mut better = enter_as(&queue, &noisy, Tier::Priority, Arc::default());
    assert!(waits(&mut better));
    refused(&mut flex);
    assert_eq!(queue.state().shed, 0, "a full queue is not the latency target");
}

#[test]
fn whoever_leaves_makes_room_and_gives_a_lane_in_its_hand_to_the_next() {
    let (queue, _) = queue(1, 2);
    let pass = pass(1, 1);
    let lane = enter(&queue, &pass).now_or_never().unwrap().unwrap();
    let (mut first, mut second) = (enter(&queue, &pass), enter(&queue, &pass));
    assert!(waits(&mut first) && waits(&mut second));
    drop(first);
    assert_eq!(queue.state().waiting, 1);
    let mut third = enter(&queue, &pass);
    assert!(waits(&mut third));
    drop(lane);
    drop(second);
    let lane = has_lane(&mut third);
    assert_eq!((queue.state().waiting, queue.state().running), (0, 1));
    drop(lane);
    assert_eq!(queue.state().running, 0);
}

#[test]
fn a_wait_ends_at_the_limit_or_at_the_deadline() {
    let (queue, hand) = queue(1, 8);
    let pass = pass(1, 1);
    let _lane = enter(&queue, &pass).now_or_never().unwrap().unwrap();
    let mut long = enter(&queue, &pass);
    let mut short = queue.enter(QueueAsk {
        pass: &pass,
        tier: Tier::Default,
        prompt_tokens: 1,
        max_tokens: 1,
        adapter: None,
        deadline: queue.0.clock.now() + Duration::from_millis(10),
        progress: Arc::default(),
    });
    assert!(waits(&mut long) && waits(&mut short));
    hand.on(Duration::from_millis(10));
    assert_eq!(refused(&mut short).kind(), ErrorKind::Timeout);
    assert!(waits(&mut long));
    hand.on(Duration::from_millis(990));
    assert_eq!(refused(&mut long).kind(), ErrorKind::Timeout);
    assert_eq!(queue.state().waiting, 0);
}

#[test]
fn a_lane_is_not_wasted_on_who_has_waited_too_long() {
    let (queue, hand) = queue(1, 8);
    let pass = pass(1, 1);
    let lane = enter(&queue, &pass).now_or_never().unwrap().unwrap();
    let mut late = enter(&queue, &pass);
    assert!(waits(&mut late));
    hand.on(Duration::from_millis(999));
    let mut next = enter(&queue, &pass);
    assert!(waits(&mut next));
    hand.on(Duration::from_millis(1));
    // Its timer has not been looked at yet.
    drop(lane);
    has_lane(&mut next);
    assert_eq!(refused(&mut late).kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn the_real_clock_ends_a_wait_too() {
    let limits = Limits {
        queue_ms: 1,
        ..limits(8)
    };
    let (queue, pass) = (FairQueue::new(1, &limits, FAR), pass(1, 1));
    let _lane = enter(&queue, &pass).await.unwrap();
    assert_eq!(enter(&queue, &pass).await.err().unwrap().kind(), ErrorKind::Timeout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_that_come_and_give_up_lose_no_lane() {
    let queue = Arc::new(FairQueue::new(3, &limits(64), FAR));
    let tasks: Vec<_> = (0..200_u64)
        .map(|number| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move {
                let pass = pass(number % 7, 1);
                for round in 0..20 {
                    let patience = Duration::from_micros((number * 37 + round * 101) % 1500);
                    if let Ok(Ok(lane)) = tokio::time::timeout(patience, enter(&queue, &pass)).await {
                        assert!(queue.state().running <= 3);
                        tokio::task::yield_now().await;
                        drop(lane);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!((queue.state().running, queue.state().waiting), (0, 0));
}

proptest! {
    /// 0: somebody comes. 1: a waiter is looked at. 2: a waiter goes. 3: a lane is given back.
    #[test]
    fn any_order_of_coming_going_and_giving_back_loses_no_lane(
        lanes in 1..=3_usize,
        steps in prop::collection::vec((0..4_u8, 0..5_u64, any::<prop::sample::Index>()), 1..200),
    ) {
        let (queue, _) = queue(lanes, 6);
        let passes: Vec<TenantPass> = (0..5).map(|account| pass(account, account as u32 + 1)).collect();
        let (mut waiting, mut held): (Vec<BoxFuture<'_, Result<LaneTicket>>>, Vec<LaneTicket>) = (vec![], vec![]);
        for (step, account, which) in steps {
            match step {
                0 => {
                    let mut future = enter(&queue, &passes[account as usize]);
                    match (&mut future).now_or_never() {
                        Some(Ok(lane)) => held.push(lane),
                        Some(Err(error)) => prop_assert_eq!(error.kind(), ErrorKind::Busy),
                        None => waiting.push(future),
                    }
                }
                1 if !waiting.is_empty() => {
                    let index = which.index(waiting.len());
                    if let Some(result) = (&mut waiting[index]).now_or_never() {
                        drop(waiting.remove(index));
                        held.extend(result.ok());
                    }
                }
                2 if !waiting.is_empty() => drop(waiting.remove(which.index(waiting.len()))),
                3 if !held.is_empty() => drop(held.remove(which.index(held.len()))),
                _ => {}
            }
            let state = queue.state();
            prop_assert!(state.waiting == 0 || state.running == lanes as u64);
            prop_assert!(held.len() as u64 <= state.running && state.running <= lanes as u64 && state.waiting <= 6);
        }
        drop((waiting, held));
        prop_assert_eq!((queue.state().running, queue.state().waiting), (0, 0));
        let all: Vec<_> = (0..lanes).map(|_| enter(&queue, &passes[0]).now_or_never().unwrap().unwrap()).collect();
        prop_assert!(waits(&mut enter(&queue, &passes[0])));
        drop(all);
    }
}

/// The state machine by itself.
struct Machine {
    queue: Queue,
    now: Instant,
}

impl Machine {
    fn new(lanes: usize, target: Duration) -> Self {
        Self {
            queue: Queue::new(lanes, 10_000, target),
            now: Instant::now(),
        }
    }

    fn ask(&self, account: u64, prompt_tokens: u32, max_tokens: u32) -> Ask {
        Ask {
            account: Account::new(account),
            weight: 1,
            tier: Tier::Default,
            prompt_tokens,
            max_tokens,
            adapter: None,
            deadline: self.now + FAR,
            until: self.now + FAR,
            progress: Arc::default(),
        }
    }

    fn arrive(&mut self, ask: Ask) -> (u64, Option<Verdict>) {
        let (number, decisions) = self.queue.arrive(self.now, ask);
        let own = decisions
            .iter()
            .find(|(told, _)| *told == number)
            .map(|(_, verdict)| *verdict);
        (number, own)
    }

    /// Runs one request alone: a second for `prompt` and `completion` tokens.
    fn measure(&mut self, account: u64, prompt: u32, completion: u32, asked: u32) {
        let ask = self.ask(account, prompt, asked);
        let progress = Arc::clone(&ask.progress);
        let (number, verdict) = self.arrive(ask);
        assert_eq!(verdict, Some(Verdict::Run));
        self.now += Duration::from_secs(1);
        progress.set(prompt, completion);
        self.give_back(number);
    }

    /// Who gets the lane.
    fn give_back(&mut self, number: u64) -> Option<u64> {
        let decisions = self.queue.give_back(self.now, number);
        decisions
            .iter()
            .find(|(_, verdict)| *verdict == Verdict::Run)
            .map(|(number, _)| *number)
    }
}

#[test]
fn time_away_is_credit_for_a_few_requests_only() {
    let mut machine = Machine::new(1, FAR);
    for _ in 0..50 {
        machine.measure(1, 100, 100, 100);
    }
    let (mut lane, _) = machine.arrive(machine.ask(1, 100, 100));
    let regular: Vec<Ask> = (0..30).map(|_| machine.ask(1, 100, 100)).collect();
    // It has had nothing for 50 requests. It gets four before the others, and then every second one.
    let newcomer: Vec<Ask> = (0..30).map(|_| machine.ask(2, 100, 100)).collect();
    let mut running: HashMap<u64, (u64, Arc<Progress>)> = HashMap::new();
    for ask in regular.into_iter().chain(newcomer) {
        let (account, progress) = (ask.account.number(), Arc::clone(&ask.progress));
        running.insert(machine.arrive(ask).0, (account, progress));
    }
    let mut newcomers = 0;
    for _ in 0..20 {
        lane = machine.give_back(lane).unwrap();
        let (account, progress) = &running[&lane];
        progress.set(100, 100);
        newcomers += u64::from(*account == 2);
    }
    assert!((11..=13).contains(&newcomers), "{newcomers}");
}

#[test]
fn the_credit_of_one_is_no_floor_for_the_next() {
    let mut machine = Machine::new(1, FAR);
    for _ in 0..50 {
        machine.measure(1, 100, 100, 100);
    }
    let (mut lane, _) = machine.arrive(machine.ask(1, 100, 100));
    for _ in 0..40 {
        machine.arrive(machine.ask(1, 100, 100));
    }
    for account in 10..20 {
        machine.arrive(machine.ask(account, 100, 100));
    }
    let last: Vec<u64> = (0..40).map(|_| machine.arrive(machine.ask(2, 100, 100)).0).collect();
    let mut served = 0;
    for _ in 0..26 {
        lane = machine.give_back(lane).unwrap();
        // Only the prompt was charged so far: the request counts as three.
        machine.queue.running[&lane].ask.progress.set(100, 100);
        served += usize::from(last.contains(&lane));
    }
    // Ten were for those who came before; of the rest four are its credit and half are its share.
    assert!((9..=11).contains(&served), "{served}");
}

#[test]
fn a_lane_that_was_never_used_is_not_charged() {
    let mut machine = Machine::new(1, FAR);
    let (lane, _) = machine.arrive(machine.ask(9, 10, 10));
    let (shy, _) = machine.arrive(machine.ask(1, 1000, 10));
    let (again, _) = machine.arrive(machine.ask(1, 10, 10));
    let (other, _) = machine.arrive(machine.ask(2, 10, 10));
    assert_eq!(machine.give_back(lane), Some(shy));
    assert_eq!(machine.queue.leave(machine.now, shy), [(again, Verdict::Run)]);
    assert_eq!(machine.give_back(again), Some(other));
}

#[test]
fn a_long_generation_gives_no_credit_to_whoever_asks_for_nothing_else() {
    let mut machine = Machine::new(2, FAR);
    // Account 2 has one lane all the time and uses little of it.
    let (_slow, _) = machine.arrive(machine.ask(2, 1, 100_000));
    let (mut lane, _) = machine.arrive(machine.ask(1, 1000, 1));
    for _ in 0..100 {
        let (next, _) = machine.arrive(machine.ask(1, 1000, 1));
        assert_eq!(machine.give_back(lane), Some(next));
        lane = next;
    }
    let one: Vec<u64> = (0..6).map(|_| machine.arrive(machine.ask(1, 1000, 1)).0).collect();
    let other: Vec<u64> = (0..6).map(|_| machine.arrive(machine.ask(2, 1000, 1)).0).collect();
    let mut served = Vec::new();
    for _ in 0..6 {
        lane = machine.give_back(lane).unwrap();
        served.push(lane);
    }
    let of = |numbers: &[u64]| served.iter().filter(|number| numbers.contains(number)).count();
    assert_eq!((of(&one), of(&other)), (3, 3));
}

#[test]
fn an_adapter_that_is_worn_already_breaks_a_tie_and_nothing_else() {
    let (red, blue) = (Some(Digest::of(b"red")), Some(Digest::of(b"blue")));
    let mut machine = Machine::new(1, FAR);
    let wearing = |ask: Ask, adapter| Ask { adapter, ..ask };
    let (mut lane, _) = machine.arrive(wearing(machine.ask(1, 10, 10), red));
    let first = machine.arrive(wearing(machine.ask(2, 10, 10), blue)).0;
    let second = machine.arrive(wearing(machine.ask(3, 10, 10), red)).0;
    let third = machine.arrive(wearing(machine.ask(2, 10, 10), red)).0;
    lane = machine.give_back(lane).unwrap();
    assert_eq!(lane, second, "both have had as much");
    lane = machine.give_back(lane).unwrap();
    assert_eq!(
        lane, first,
        "it has had less, and comes before the other of its account"
    );
    assert_eq!(machine.give_back(lane), Some(third));
}

#[test]
fn weights_and_tiers_are_shares() {
    let mut machine = Machine::new(1, FAR);
    let (mut lane, _) = machine.arrive(machine.ask(9, 1, 1));
    let mut owners = HashMap::new();
    for (account, weight, tier) in [(1, 1, Tier::Default), (2, 3, Tier::Default), (3, 1, Tier::Priority)] {
        for _ in 0..80 {
            let ask = Ask {
                weight,
                tier,
                ..machine.ask(account, 100, 1)
            };
            owners.insert(machine.arrive(ask).0, account);
        }
    }
    let mut had = [0_u32; 4];
    for _ in 0..80 {
        lane = machine.give_back(lane).unwrap();
        had[owners[&lane] as usize] += 1;
    }
    assert_eq!(had, [0, 10, 30, 40]);
}

#[test]
fn nothing_is_refused_before_anything_was_measured() {
    let mut machine = Machine::new(1, Duration::ZERO);
    machine.arrive(machine.ask(1, 1000, 1000));
    for account in 0..100 {
        let ask = Ask {
            deadline: machine.now + Duration::from_millis(1),
            ..machine.ask(account, 1000, 1000)
        };
        assert_eq!(machine.arrive(ask).1, None);
    }
    assert_eq!(machine.queue.state(machine.now).estimated_wait, None);
}

#[test]
fn who_cannot_be_answered_before_its_deadline_is_refused_at_once() {
    let mut machine = Machine::new(1, FAR);
    // 300 of weighted work in a second; half of the completion tokens that were asked for.
    machine.measure(1, 100, 100, 200);
    machine.arrive(machine.ask(1, 100, 200));
    let until = |machine: &Machine, seconds| Ask {
        deadline: machine.now + Duration::from_secs(seconds),
        ..machine.ask(1, 100, 200)
    };
    // One second for what runs, one for each that waits, one for itself.
    assert_eq!(machine.arrive(until(&machine, 3)).1, None);
    assert_eq!(machine.arrive(until(&machine, 4)).1, None);
    let (number, verdict) = machine.arrive(until(&machine, 3));
    let Some(Verdict::Late { retry_after }) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(retry_after, Duration::from_secs(1));
    assert!(
        machine.queue.leave(machine.now, number).is_empty(),
        "it is not there any more"
    );
    let state = machine.queue.state(machine.now);
    assert_eq!(state.waiting, 2);
    assert_eq!(state.estimated_wait, Some(Duration::from_secs(3)));
    // Another account waits for less: nobody has to be served before it but one of the others at most.
    let ask = Ask {
        deadline: machine.now + Duration::from_secs(3),
        ..machine.ask(2, 100, 200)
    };
    assert_eq!(machine.arrive(ask).1, None);
}

#[test]
fn a_backlog_beyond_the_target_is_shed_where_it_is_largest() {
    let mut machine = Machine::new(1, Duration::from_millis(3500));
    machine.measure(1, 100, 100, 100);
    machine.arrive(machine.ask(1, 100, 100));
    let noisy: Vec<_> = (0..6).map(|_| machine.arrive(machine.ask(1, 100, 100))).collect();
    // What runs takes one second, each before it another.
    let kept = noisy.iter().filter(|(_, verdict)| verdict.is_none()).count();
    assert_eq!(kept, 3);
    assert!(matches!(noisy[3].1, Some(Verdict::Shed { .. })));
    let (_, decisions) = machine.queue.arrive(machine.now, machine.ask(2, 100, 100));
    let [(shed, Verdict::Shed { .. })] = decisions[..] else {
        panic!("{decisions:?}");
    };
    assert_eq!(shed, noisy[2].0, "the newest of the largest");
    assert_eq!(machine.queue.state(machine.now).shed, 4);
}

#[test]
fn idle_accounts_are_forgotten_and_debts_are_not_while_there_is_room() {
    let mut machine = Machine::new(1, FAR);
    for account in 0..20_000 {
        machine.measure(account, 10, 10, 10);
        assert!(machine.queue.counters.idle() <= 4096);
    }
    // Whoever has just had much waits for those who have not, though thousands came in between.
    let mut machine = Machine::new(1, FAR);
    let spends = machine.ask(1, 10, 100_000);
    let progress = Arc::clone(&spends.progress);
    let (mut lane, _) = machine.arrive(spends);
    let steady: Vec<u64> = (0..9000).map(|_| machine.arrive(machine.ask(2, 10, 10)).0).collect();
    progress.set(10, 100_000);
    for account in 10..6000 {
        let (passing, _) = machine.arrive(machine.ask(account, 10, 10));
        let mut next = machine.give_back(lane).unwrap();
        if next != passing {
            next = machine.give_back(next).unwrap();
        }
        lane = next;
    }
    let left = steady.len() as u64 - machine.queue.state(machine.now).waiting;
    assert!(left < 9000, "{left}");
    let (debtor, _) = machine.arrive(machine.ask(1, 10, 10));
    let (other, _) = machine.arrive(machine.ask(3, 10, 10));
    let served: Vec<u64> = (0..5)
        .map(|_| {
            lane = machine.give_back(lane).unwrap();
            lane
        })
        .collect();
    assert!(served.contains(&other) && !served.contains(&debtor), "{served:?}");
}
