//! The accounts of the queue: what each has had, and what waits. Virtual token counters after algorithm 2 of Sheng et al.,
//! "Fairness in Serving Large Language Models" (OSDI 2024). Not here: lanes and time (`queue.rs`), whom to refuse (`shed.rs`).

use super::{
    measure::Quotient,
    service::{charge, work},
};
use riad_core::{Account, Digest, policy::Tier, ports::Progress};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

/// Idle accounts that are remembered. See [`Counters::forget`].
const IDLE_MOST: usize = 4096;

/// The order within an account: tier, then first come. The first is the next to be served, the last the first to be refused.
pub(super) type Key = (Reverse<Tier>, u64);

/// A request as the queue knows it.
#[derive(Clone)]
pub(super) struct Ask {
    pub account: Account,
    pub weight: u32,
    pub tier: Tier,
    pub prompt_tokens: u32,
    pub max_tokens: u32,
    pub adapter: Option<Digest>,
    /// The request's end.
    pub deadline: Instant,
    /// It waits no longer than this.
    pub until: Instant,
    /// It is never refused.
    pub begun: bool,
    pub progress: Arc<Progress>,
}

impl Ask {
    pub(super) fn charge(&self, work: u64) -> u128 {
        charge(work, self.weight, self.tier)
    }

    pub(super) fn prompt_charge(&self) -> u128 {
        self.charge(work(self.prompt_tokens.into(), 0))
    }

    /// Weighted tokens that it will take if it uses `used` of the completion tokens that it may.
    pub(super) fn expected_work(&self, used: f64) -> f64 {
        work(self.prompt_tokens.into(), 0) as f64 + used * work(0, self.max_tokens.into()) as f64
    }
}

/// Sums over the requests of an account that wait.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Backlog {
    pub prompt_tokens: u64,
    pub max_tokens: u64,
    prompt_charge: u128,
    max_charge: u128,
}

impl Backlog {
    pub(super) fn of(ask: &Ask) -> Self {
        Self {
            prompt_tokens: ask.prompt_tokens.into(),
            max_tokens: ask.max_tokens.into(),
            prompt_charge: ask.prompt_charge(),
            max_charge: ask.charge(work(0, ask.max_tokens.into())),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            prompt_tokens: self.prompt_tokens + other.prompt_tokens,
            max_tokens: self.max_tokens + other.max_tokens,
            prompt_charge: self.prompt_charge + other.prompt_charge,
            max_charge: self.max_charge + other.max_charge,
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            prompt_tokens: self.prompt_tokens.saturating_sub(other.prompt_tokens),
            max_tokens: self.max_tokens.saturating_sub(other.max_tokens),
            prompt_charge: self.prompt_charge.saturating_sub(other.prompt_charge),
            max_charge: self.max_charge.saturating_sub(other.max_charge),
        }
    }

    pub(super) fn work(&self, used: f64) -> f64 {
        work(self.prompt_tokens, 0) as f64 + used * work(0, self.max_tokens) as f64
    }

    pub(super) fn charge(&self, used: f64) -> f64 {
        self.prompt_charge as f64 + used * self.max_charge as f64
    }
}

/// An account that has a request in the queue or on a lane.
#[derive(Default)]
pub(super) struct Active {
    /// Service that it has had, divided by its weight and the tiers.
    pub counter: u128,
    /// Of its newest request: a policy may change.
    pub weight: u32,
    pub waiting: BTreeMap<Key, Ask>,
    pub backlog: Backlog,
    pub running: u32,
    /// By how much the counter will still grow for what runs, about.
    pub due: f64,
    /// Completion tokens used, of those that were asked for.
    pub used: Quotient,
}

struct Idle {
    counter: u128,
    used: Quotient,
}

#[derive(Default)]
pub(super) struct Counters {
    /// In order, so that the same requests always give the same decisions.
    active: BTreeMap<Account, Active>,
    idle: HashMap<Account, Idle>,
    /// Whose request was the last to leave an account without one that waits.
    last: Option<Account>,
    /// The greatest that the least counter of those that wait has been. It only rises.
    level: u128,
    /// How much of what it did not ask for an account may have later. The paper gives none. Then an account that sends less than
    /// its share, but two requests at once, waits for the second one as long as if it sent more.
    pub(super) credit: u128,
    waiting: usize,
}

impl Counters {
    pub(super) fn active(&self) -> &BTreeMap<Account, Active> {
        &self.active
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn get_mut(&mut self, account: Account) -> Option<&mut Active> {
        self.active.get_mut(&account)
    }

    /// Puts a request among those that wait.
    ///
    /// An account that had none waiting starts at most `credit` below the level: what it did not ask for in the past is not
    /// kept for ever, or it could keep everybody else from the lanes for as long as it was away. That holds also when it has some
    /// running.
    pub(super) fn push(&mut self, key: Key, ask: Ask) {
        self.level = self.level.max(self.least());
        let floor = self.level.saturating_sub(self.credit);
        let active = self
            .active
            .entry(ask.account)
            .or_insert_with(|| match self.idle.remove(&ask.account) {
                Some(Idle { counter, used }) => Active {
                    counter,
                    used,
                    ..Active::default()
                },
                None => Active::default(),
            });
        if active.waiting.is_empty() {
            active.counter = active.counter.max(floor);
        }
        active.weight = ask.weight.max(1);
        active.backlog = active.backlog.plus(Backlog::of(&ask));
        active.waiting.insert(key, ask);
        self.waiting += 1;
    }

    /// Takes a request from those that wait: it runs now, was refused or went away.
    pub(super) fn remove(&mut self, account: Account, key: Key) -> Option<Ask> {
        let active = self.active.get_mut(&account)?;
        let ask = active.waiting.remove(&key)?;
        active.backlog = active.backlog.minus(Backlog::of(&ask));
        self.waiting -= 1;
        if active.waiting.is_empty() {
            self.last = Some(account);
        }
        Some(ask)
    }

    /// To be called when a request has gone: an account without any is idle.
    pub(super) fn rest(&mut self, account: Account) {
        let idle = |active: &Active| active.waiting.is_empty() && active.running == 0;
        if self.active.get(&account).is_some_and(idle)
            && let Some(Active { counter, used, .. }) = self.active.remove(&account)
        {
            self.idle.insert(account, Idle { counter, used });
            self.forget();
        }
    }

    /// Who is next: the account that has had the least. If several have, whoever's next request wears the adapter that the lane
    /// wears already, then whoever has fewer running, then whoever came first.
    pub(super) fn next(&self, worn: Option<Option<Digest>>) -> Option<(Account, Key)> {
        let heads = self.active.iter().filter_map(|(account, active)| {
            let (key, ask) = active.waiting.first_key_value()?;
            let changes = worn.is_some_and(|worn| worn != ask.adapter);
            Some(((active.counter, changes, active.running, key.1), (*account, *key)))
        });
        heads.min_by_key(|(order, _)| *order).map(|(_, head)| head)
    }

    /// The least counter of those that wait; if nobody waits, the one of whoever was the last.
    fn least(&self) -> u128 {
        let waiting = self.active.values().filter(|active| !active.waiting.is_empty());
        waiting.map(|active| active.counter).min().unwrap_or_else(|| {
            let last = self.last.as_ref();
            let active = last.and_then(|last| self.active.get(last)).map(|active| active.counter);
            let idle = || last.and_then(|last| self.idle.get(last)).map(|idle| idle.counter);
            active.or_else(idle).unwrap_or_default()
        })
    }

    /// Bounds the memory that idle accounts take. Those that would be lifted when they come again are forgotten, which changes
    /// nothing. If that is not enough, those with the least debt are let off.
    fn forget(&mut self) {
        if self.idle.len() <= IDLE_MOST {
            return;
        }
        let (floor, last) = (self.level.saturating_sub(self.credit), self.last);
        self.idle
            .retain(|account, idle| idle.counter > floor || last == Some(*account));
        if self.idle.len() > IDLE_MOST * 3 / 4 {
            let mut debts: Vec<u128> = self.idle.values().map(|idle| idle.counter).collect();
            let (_, least, _) = debts.select_nth_unstable(self.idle.len() / 4);
            let least = *least;
            self.idle
                .retain(|account, idle| idle.counter > least || last == Some(*account));
        }
    }

    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }
}
