//! What each account has had, and the level below which no counter starts. Not here: estimates (`estimate.rs`).

use super::{TokenRequest, VirtualTime, charge_for, measure::Quotient, prompt_charge, tokens::work};
use crate::queue::{Request, State};
use riad_core::Account;
use std::collections::HashMap;

/// Idle accounts that are remembered. See [`Counters::forget`].
const IDLE_MOST: usize = 4096;

/// An account that has a request in the queue or running.
#[derive(Debug, Default)]
pub struct AccountUsage {
    /// Tokens it has had, divided by its weight and the tiers.
    pub(super) counter: u128,
    pub(super) backlog: Backlog,
    /// By how much the counter is expected to grow for what runs.
    pub(super) expected_charge: f64,
    /// Completion tokens that were used, of those that were asked for.
    pub(super) used: Quotient,
}

/// Sums over an account's requests that wait.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Backlog {
    prompt_tokens: u64,
    max_tokens: u64,
    prompt_charge: u128,
    max_charge: u128,
}

impl Backlog {
    pub(super) fn add(&mut self, request: &Request<TokenRequest>) {
        self.prompt_tokens += u64::from(request.detail.prompt_tokens);
        self.max_tokens += u64::from(request.detail.max_tokens);
        self.prompt_charge += prompt_charge(request);
        self.max_charge += max_charge(request);
    }

    pub(super) fn subtract(&mut self, request: &Request<TokenRequest>) {
        let less = |tokens: u64, of: u32| tokens.saturating_sub(of.into());
        self.prompt_tokens = less(self.prompt_tokens, request.detail.prompt_tokens);
        self.max_tokens = less(self.max_tokens, request.detail.max_tokens);
        self.prompt_charge = self.prompt_charge.saturating_sub(prompt_charge(request));
        self.max_charge = self.max_charge.saturating_sub(max_charge(request));
    }

    pub(super) fn tokens(&self) -> u64 {
        self.prompt_tokens + self.max_tokens
    }

    /// Weighted tokens if the fraction `used` of the completion tokens is used.
    pub(super) fn work(&self, used: f64) -> f64 {
        work(self.prompt_tokens, 0) as f64 + used * work(0, self.max_tokens) as f64
    }

    /// By how much the counter will grow for it.
    pub(super) fn charge(&self, used: f64) -> f64 {
        self.prompt_charge as f64 + used * self.max_charge as f64
    }
}

fn max_charge(request: &Request<TokenRequest>) -> u128 {
    charge_for(request, work(0, request.detail.max_tokens.into()))
}

struct Idle {
    counter: u128,
    used: Quotient,
}

#[derive(Default)]
pub(super) struct Counters {
    idle: HashMap<Account, Idle>,
    /// The account that was the last to have nothing waiting any more.
    last: Option<Account>,
    /// The highest value that the lowest counter among the waiting accounts has reached. It never falls.
    level: u128,
    /// How far below the level the counter of a returning account may start. The paper has 0. With 0, an account that sends less
    /// than its share, but two requests at once, waits for the second one as long as an account that sends more than its share.
    pub(super) credit: u128,
}

impl Counters {
    /// What is remembered of an account.
    pub(super) fn recall(&mut self, account: Account) -> AccountUsage {
        self.idle
            .remove(&account)
            .map_or_else(AccountUsage::default, |idle| AccountUsage {
                counter: idle.counter,
                used: idle.used,
                ..AccountUsage::default()
            })
    }

    pub(super) fn remember(&mut self, account: Account, usage: AccountUsage) {
        let AccountUsage { counter, used, .. } = usage;
        self.idle.insert(account, Idle { counter, used });
        self.forget();
    }

    /// Raises the level to the lowest counter. Returns the least counter with which an account that had nothing waiting may
    /// start: if it kept a lower one, it could make all others wait for as long as it was idle.
    pub(super) fn raise_level(&mut self, state: &State<VirtualTime>) -> u128 {
        self.level = self.level.max(self.lowest(state));
        self.level.saturating_sub(self.credit)
    }

    pub(super) fn left_last(&mut self, account: Account) {
        self.last = Some(account);
    }

    /// The lowest counter of those that wait; if no account waits, that of the account that waited last.
    fn lowest(&self, state: &State<VirtualTime>) -> u128 {
        let waiting = state.accounts.values().filter(|account| !account.waiting.is_empty());
        waiting.map(|account| account.policy.counter).min().unwrap_or_else(|| {
            let active = self.last.and_then(|last| state.accounts.get(&last));
            let idle = || self.last.and_then(|last| self.idle.get(&last));
            active
                .map(|account| account.policy.counter)
                .or_else(|| idle().map(|idle| idle.counter))
                .unwrap_or_default()
        })
    }

    /// Bounds the memory that idle accounts take. Those whose counter would be raised when they come back are forgotten, which
    /// changes nothing. If that is not enough, those with the lowest counters are.
    fn forget(&mut self) {
        if self.idle.len() <= IDLE_MOST {
            return;
        }
        let (floor, last) = (self.level.saturating_sub(self.credit), self.last);
        self.idle
            .retain(|account, idle| idle.counter > floor || last == Some(*account));
        if self.idle.len() > IDLE_MOST * 3 / 4 {
            let mut counters: Vec<u128> = self.idle.values().map(|idle| idle.counter).collect();
            let (_, quartile, _) = counters.select_nth_unstable(self.idle.len() / 4);
            let quartile = *quartile;
            self.idle
                .retain(|account, idle| idle.counter > quartile || last == Some(*account));
        }
    }

    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }
}
