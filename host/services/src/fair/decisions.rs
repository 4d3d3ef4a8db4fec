//! Decisions of the queue one by one, on the state machine. Not here: what holds for every mix of them (`simulation.rs`), futures
//! (`tests.rs`).

use super::{
    counters::Ask,
    queue::{Queue, Verdict},
};
use riad_core::{Account, Digest, policy::Tier, ports::Progress};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

const FAR: Duration = Duration::from_secs(3600);

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
            begun: false,
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

#[test]
fn a_further_generation_of_a_request_that_runs_is_never_refused() {
    let mut machine = Machine::new(1, Duration::ZERO);
    machine.measure(1, 100, 100, 100);
    machine.arrive(machine.ask(1, 100, 100));
    // The target is passed by anything that waits, and no deadline can be met.
    let late = |begun| Ask {
        deadline: machine.now + Duration::from_millis(1),
        begun,
        ..machine.ask(2, 100, 100)
    };
    let (further, refused) = (late(true), late(false));
    assert_eq!(machine.arrive(further).1, None);
    assert!(matches!(machine.arrive(refused).1, Some(Verdict::Late { .. })));
    let (shed, _) = machine.arrive(machine.ask(2, 100, 100));
    assert!(
        !machine.queue.places().contains_key(&shed),
        "what has not begun is shed"
    );
    assert_eq!(machine.queue.places().len(), 1);
}
