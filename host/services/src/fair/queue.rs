//! The fair queue without its waiting: who comes, who runs, who is next. A state machine that is told the time, so that a
//! simulation runs what the server runs. Not here: futures and locks (`fair.rs`), estimates, whom to refuse (`shed.rs`).

use super::{
    counters::{Ask, Counters},
    measure::{Quotient, Throughput},
    service::{charge, work},
};
use riad_core::{Account, Digest, policy::Tier, ports::QueueState};
use std::{
    cmp::Reverse,
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Requests of usual size that an account may have before others because it had not asked for its share. A few: enough for those
/// that come at once by chance, and no more than others can wait for.
const CREDIT: f64 = 4.0;

/// What a request is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A lane is its own.
    Run,
    /// The queue is full, and this one's account has the most in it.
    Full { retry_after: Duration },
    /// The backlog takes longer than the target, and this one's account has the most of it.
    Shed { retry_after: Duration },
    /// Its deadline comes before its answer.
    Late { retry_after: Duration },
    /// It has waited for too long.
    Expired,
}

pub(super) type Decision = (u64, Verdict);

/// A request that has a lane.
pub(super) struct Running {
    pub ask: Ask,
    since: Instant,
    /// Already charged or counted.
    completion_tokens: u64,
    prompt_read: bool,
}

impl Running {
    pub(super) fn completion_tokens(&self) -> u64 {
        self.completion_tokens
    }

    pub(super) fn prompt_read(&self) -> bool {
        self.prompt_read
    }
}

pub(super) struct Queue {
    lanes: usize,
    pub(super) room: usize,
    pub(super) target: Duration,
    pub(super) counters: Counters,
    pub(super) running: BTreeMap<u64, Running>,
    /// Of those that wait.
    places: BTreeMap<u64, (Account, Tier)>,
    next: u64,
    /// Weighted tokens per second of a lane.
    pub(super) lane_speed: Quotient,
    /// Over all accounts.
    pub(super) used: Quotient,
    /// Weighted tokens of a request.
    mean_work: Quotient,
    throughput: Throughput,
    /// What the lane wears that was given back last.
    worn: Option<Option<Digest>>,
    pub(super) shed: u64,
}

impl Queue {
    /// At most `room` wait, and those for about `target` until they are served.
    pub(super) fn new(lanes: usize, room: usize, target: Duration) -> Self {
        Self {
            lanes: lanes.max(1),
            room,
            target,
            counters: Counters::default(),
            running: BTreeMap::new(),
            places: BTreeMap::new(),
            next: 0,
            lane_speed: Quotient::default(),
            used: Quotient::default(),
            mean_work: Quotient::default(),
            throughput: Throughput::NONE,
            worn: None,
            shed: 0,
        }
    }

    pub(super) fn places(&self) -> &BTreeMap<u64, (Account, Tier)> {
        &self.places
    }

    pub(super) fn lanes(&self) -> usize {
        self.lanes
    }

    /// A request comes; its number, and what was decided about it and others. No decision about it: it waits.
    pub(super) fn arrive(&mut self, now: Instant, ask: Ask) -> (u64, Vec<Decision>) {
        self.observe(now);
        let number = self.next;
        self.next += 1;
        let (account, tier) = (ask.account, ask.tier);
        self.counters.push((Reverse(tier), number), ask);
        self.places.insert(number, (account, tier));
        let mut decisions = Vec::new();
        self.dispatch(now, &mut decisions);
        if self.places.contains_key(&number) {
            self.make_room(now, number, &mut decisions);
        }
        (number, decisions)
    }

    /// Whoever has this number has gone: before it ran, or with a lane in its hand that it has not used.
    pub(super) fn leave(&mut self, now: Instant, number: u64) -> Vec<Decision> {
        if self.take(number).is_some() {
            return Vec::new();
        }
        let unused = self
            .running
            .get(&number)
            .map(|run| (run.ask.account, run.ask.prompt_charge()));
        if let Some((account, charge)) = unused
            && let Some(active) = self.counters.get_mut(account)
        {
            active.counter = active.counter.saturating_sub(charge);
        }
        self.give_back(now, number)
    }

    /// A lane is idle again. What its request used is now known exactly.
    pub(super) fn give_back(&mut self, now: Instant, number: u64) -> Vec<Decision> {
        self.observe(now);
        let mut decisions = Vec::new();
        let Some(run) = self.running.remove(&number) else {
            return decisions;
        };
        let account = run.ask.account;
        if let Some(active) = self.counters.get_mut(account) {
            active.running = active.running.saturating_sub(1);
            if run.prompt_read {
                let used = (run.completion_tokens as f64, f64::from(run.ask.max_tokens));
                active.used.add(used.0, used.1);
                self.used.add(used.0, used.1);
                let held = now.saturating_duration_since(run.since).as_secs_f64();
                let done = work(run.ask.prompt_tokens.into(), run.completion_tokens);
                self.lane_speed.add(done as f64, held);
                self.mean_work.add(done as f64, 1.0);
                let mean = self.mean_work.value().unwrap_or_default();
                self.counters.credit = charge((CREDIT * mean) as u64, 1, Tier::Default);
            }
        }
        self.worn = Some(run.ask.adapter);
        self.counters.rest(account);
        self.dispatch(now, &mut decisions);
        decisions
    }

    pub(super) fn state(&mut self, now: Instant) -> QueueState {
        self.observe(now);
        let backlogs = self.counters.active().values().map(|active| active.backlog);
        QueueState {
            waiting: self.counters.waiting() as u64,
            waiting_tokens: backlogs.map(|backlog| backlog.prompt_tokens + backlog.max_tokens).sum(),
            running: self.running.len() as u64,
            estimated_wait: self.whole_wait(),
            tokens_per_second: self.throughput.per_second(),
            shed: self.shed,
        }
    }

    /// Takes a request from those that wait.
    pub(super) fn take(&mut self, number: u64) -> Option<Ask> {
        let (account, tier) = self.places.remove(&number)?;
        let ask = self.counters.remove(account, (Reverse(tier), number));
        self.counters.rest(account);
        ask
    }

    /// Charges what the lanes have produced since it was last looked at.
    fn observe(&mut self, now: Instant) {
        let mut produced = 0;
        for run in self.running.values_mut() {
            let Some(active) = self.counters.get_mut(run.ask.account) else {
                continue;
            };
            let completion = u64::from(run.ask.progress.completion_tokens()).max(run.completion_tokens);
            let new = work(0, completion - run.completion_tokens);
            active.counter += run.ask.charge(new);
            run.completion_tokens = completion;
            produced += new;
            if !run.prompt_read && run.ask.progress.prompt_tokens() > 0 {
                run.prompt_read = true;
                produced += work(run.ask.prompt_tokens.into(), 0);
            }
        }
        self.throughput.add(produced, now);
        self.expect();
    }

    /// Gives idle lanes to those who are next.
    fn dispatch(&mut self, now: Instant, decisions: &mut Vec<Decision>) {
        while self.running.len() < self.lanes
            && let Some((account, key)) = self.counters.next(self.worn)
        {
            let number = key.1;
            self.places.remove(&number);
            let Some(ask) = self.counters.remove(account, key) else {
                return;
            };
            if ask.until <= now {
                self.counters.rest(account);
                decisions.push((number, Verdict::Expired));
                continue;
            }
            if let Some(active) = self.counters.get_mut(account) {
                active.counter += ask.prompt_charge();
                active.running += 1;
            }
            let run = Running {
                ask,
                since: now,
                completion_tokens: 0,
                prompt_read: false,
            };
            self.running.insert(number, run);
            decisions.push((number, Verdict::Run));
        }
    }
}
