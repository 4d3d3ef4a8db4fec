//! How long a request will wait and run, from what was measured. Before anything was, there is no estimate.

use super::{
    TokenRequest, TokenRun, VirtualTime, charge_for,
    counters::{AccountUsage, Backlog},
    tokens::work,
};
use crate::queue::{AccountState, Position, Request, State};
use riad_core::Account;
use std::time::Duration;

impl VirtualTime {
    /// Wait of a request that arrives after all that are in the queue.
    #[must_use]
    pub fn whole_wait(&self, state: &State<Self>) -> Option<Duration> {
        let accounts = state.accounts.values();
        let backlogs = accounts.map(|account| account.policy.backlog.work(self.used_by(&account.policy)));
        self.time_for(state, backlogs.sum())
    }

    /// Wait of a request that is in the queue.
    ///
    /// The account with the lowest counter is always next, so that this request waits for those of its account before it, and
    /// for as much of every other account as that account may have until its counter is as high.
    pub(super) fn wait_of(&self, state: &State<Self>, account: Account, position: Position<Self>) -> Option<Duration> {
        let own = state.accounts.get(&account)?;
        let used = self.used_by(&own.policy);
        let ahead = ahead_of(own, position);
        let mut ahead_work = ahead.work(used);
        let level = own.policy.counter as f64 + own.policy.expected_charge + ahead.charge(used);
        for (other, active) in &state.accounts {
            let usage = &active.policy;
            let backlog = usage.backlog.charge(self.used_by(usage));
            if *other != account && backlog > 0.0 {
                let until_level = level - (usage.counter as f64 + usage.expected_charge);
                ahead_work += usage.backlog.work(self.used_by(usage)) * (until_level / backlog).clamp(0.0, 1.0);
            }
        }
        self.time_for(state, ahead_work)
    }

    /// Time from the start of a request to its last token.
    pub(super) fn run_of(&self, state: &State<Self>, request: &Request<TokenRequest>) -> Option<Duration> {
        let used = self.used_by(&state.accounts.get(&request.account)?.policy);
        seconds(request.detail.expected_work(used) / self.speed.value()?)
    }

    /// Sums up what will still be charged for those that run.
    pub(super) fn expect_charges(&self, state: &mut State<Self>) {
        for account in state.accounts.values_mut() {
            account.policy.expected_charge = 0.0;
        }
        for running in state.running.values() {
            if let Some(account) = state.accounts.get_mut(&running.request.account) {
                let used = self.used_by(&account.policy);
                let left = completion_left(&running.request, &running.policy, used);
                account.policy.expected_charge += charge_for(&running.request, work(0, left as u64)) as f64;
            }
        }
    }

    /// Fraction of the completion tokens it asks for that an account uses.
    fn used_by(&self, usage: &AccountUsage) -> f64 {
        usage.used.value().or_else(|| self.used.value()).unwrap_or(1.0)
    }

    /// Time until so much waiting work has been started, and then one more request can start.
    fn time_for(&self, state: &State<Self>, work_ahead: f64) -> Option<Duration> {
        let speed = self.speed.value()?;
        if state.free > 0 {
            return Some(Duration::ZERO);
        }
        let mut running_work = 0.0;
        for running in state.running.values() {
            let (request, run) = (&running.request, &running.policy);
            let account = state.accounts.get(&request.account);
            let used = account.map_or(1.0, |account| self.used_by(&account.policy));
            if !run.prompt_read {
                running_work += request.detail.prompt_work() as f64;
            }
            running_work += work(0, completion_left(request, run, used) as u64) as f64;
        }
        // Requests end one after another: the first of n ends after about an n-th of what one has left.
        let capacity = f64::from(state.capacity);
        seconds((work_ahead + running_work / capacity) / (speed * capacity))
    }
}

/// What the account has in the queue before this position.
fn ahead_of(account: &AccountState<VirtualTime>, position: Position<VirtualTime>) -> Backlog {
    let mut ahead = account.policy.backlog;
    // From the end, where those are that are asked about.
    for request in account.waiting.range(position..).map(|(_, request)| request) {
        ahead.subtract(request);
    }
    ahead
}

fn completion_left(request: &Request<TokenRequest>, run: &TokenRun, used: f64) -> f64 {
    (used * f64::from(request.detail.max_tokens) - run.completion_tokens as f64).max(0.0)
}

fn seconds(seconds: f64) -> Option<Duration> {
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}
