//! Fairness over what was used: the account that has had the least for its weight is next.
//!
//! Virtual token counters after algorithm 2 of Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024).

mod counters;
#[cfg(test)]
mod decisions;
mod estimate;
mod measure;
#[cfg(test)]
mod simulation;
mod tokens;

pub use counters::AccountUsage;

use crate::queue::{AccountState, Admitted, Policy, Position, Request, State};
use counters::Counters;
use measure::{Quotient, Throughput};
use riad_core::{Account, Digest, policy::Tier, ports::Progress};
use std::{
    cmp::Reverse,
    sync::Arc,
    time::{Duration, Instant},
};
use tokens::{charge, work};

/// Requests of mean size that an account may run before others because it did not ask for its share earlier. Enough for those that
/// arrive together by chance, and no more than others can wait for.
const CREDIT: f64 = 4.0;

/// What the policy knows of a generation.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    pub tier: Tier,
    pub prompt_tokens: u32,
    pub max_tokens: u32,
    /// The adapter's generation. It only breaks ties.
    pub adapter: Option<Digest>,
    /// Written by the engine while the request runs.
    pub progress: Arc<Progress>,
}

/// What a request that runs has used so far.
#[derive(Debug, Default)]
pub struct TokenRun {
    /// Already charged.
    completion_tokens: u64,
    prompt_read: bool,
}

/// Charges accounts for tokens and admits the one with the lowest counter. Keeps a latency target by estimates from what it
/// measured.
pub struct VirtualTime {
    target: Duration,
    counters: Counters,
    /// Weighted tokens per second of one running request.
    speed: Quotient,
    /// Completion tokens that were used, of those that were asked for, over all accounts.
    used: Quotient,
    /// Weighted tokens of a request.
    mean_work: Quotient,
    throughput: Throughput,
    /// The adapter of the request that ended last: the same one again is in its caches.
    last_adapter: Option<Option<Digest>>,
}

impl TokenRequest {
    fn prompt_work(&self) -> u64 {
        work(self.prompt_tokens.into(), 0)
    }

    /// Weighted tokens if it uses the fraction `used` of the completion tokens that it may.
    fn expected_work(&self, used: f64) -> f64 {
        self.prompt_work() as f64 + used * work(0, self.max_tokens.into()) as f64
    }
}

fn charge_for(request: &Request<TokenRequest>, work: u64) -> u128 {
    charge(work, request.weight, request.detail.tier)
}

fn prompt_charge(request: &Request<TokenRequest>) -> u128 {
    charge_for(request, request.detail.prompt_work())
}

impl VirtualTime {
    /// Rejects requests that would wait for longer than about `target`.
    #[must_use]
    pub fn new(target: Duration) -> Self {
        Self {
            target,
            counters: Counters::default(),
            speed: Quotient::default(),
            used: Quotient::default(),
            mean_work: Quotient::default(),
            throughput: Throughput::NONE,
            last_adapter: None,
        }
    }

    /// Prompt and greatest completion of the requests that wait.
    #[must_use]
    pub fn waiting_tokens(&self, state: &State<Self>) -> u64 {
        state.accounts.values().map(|account| self.backlog(account)).sum()
    }

    /// Weighted tokens per second over all running requests, as a recent average.
    #[must_use]
    pub fn tokens_per_second(&self) -> f64 {
        self.throughput.per_second()
    }
}

impl Policy for VirtualTime {
    type Detail = TokenRequest;
    type Rank = Reverse<Tier>;
    /// The counter; whether the adapter must be swapped; the requests that run.
    type Order = (u128, bool, u32);
    type Account = AccountUsage;
    type Run = TokenRun;

    fn rank(&self, request: &TokenRequest) -> Reverse<Tier> {
        Reverse(request.tier)
    }

    fn order(&self, account: &AccountState<Self>, first: &Request<TokenRequest>) -> (u128, bool, u32) {
        let swaps = self.last_adapter.is_some_and(|last| last != first.detail.adapter);
        (account.policy.counter, swaps, account.running)
    }

    /// Charges the tokens that were generated since it was called last.
    fn observe(&mut self, state: &mut State<Self>, now: Instant) {
        let mut produced = 0;
        for running in state.running.values_mut() {
            let (request, run) = (&running.request, &mut running.policy);
            let Some(account) = state.accounts.get_mut(&request.account) else {
                continue;
            };
            let progress = &request.detail.progress;
            let completion = u64::from(progress.completion_tokens()).max(run.completion_tokens);
            let new = work(0, completion - run.completion_tokens);
            account.policy.counter += charge_for(request, new);
            run.completion_tokens = completion;
            produced += new;
            if !run.prompt_read && progress.prompt_tokens() > 0 {
                run.prompt_read = true;
                produced += request.detail.prompt_work();
            }
        }
        self.throughput.add(produced, now);
        self.expect_charges(state);
    }

    fn activate(&mut self, account: Account) -> AccountUsage {
        self.counters.recall(account)
    }

    fn deactivate(&mut self, account: Account, usage: AccountUsage) {
        self.counters.remember(account, usage);
    }

    fn before_enqueue(&mut self, state: &mut State<Self>, request: &Request<TokenRequest>) {
        let floor = self.counters.raise_level(state);
        if let Some(account) = state.accounts.get_mut(&request.account) {
            // Holds also for an account that has requests running.
            if account.waiting.is_empty() {
                account.policy.counter = account.policy.counter.max(floor);
            }
            account.policy.backlog.add(request);
        }
    }

    fn dequeued(&mut self, account: &mut AccountState<Self>, request: &Request<TokenRequest>) {
        account.policy.backlog.subtract(request);
        if account.waiting.is_empty() {
            self.counters.left_last(request.account);
        }
    }

    /// The prompt is charged at once, so that an account cannot start many requests before the first is charged.
    fn admitted(&mut self, account: &mut AccountState<Self>, request: &Request<TokenRequest>) {
        account.policy.counter += prompt_charge(request);
    }

    /// What the request used is known exactly now.
    fn released(&mut self, state: &mut State<Self>, ended: &Admitted<Self>, now: Instant) {
        let (request, run) = (&ended.request, &ended.policy);
        if !run.prompt_read {
            // It has used nothing.
            if let Some(account) = state.accounts.get_mut(&request.account) {
                account.policy.counter = account.policy.counter.saturating_sub(prompt_charge(request));
            }
            return;
        }
        self.last_adapter = Some(request.detail.adapter);
        let used = (run.completion_tokens as f64, f64::from(request.detail.max_tokens));
        self.used.add(used.0, used.1);
        if let Some(account) = state.accounts.get_mut(&request.account) {
            account.policy.used.add(used.0, used.1);
        }
        let began = request.detail.progress.began(ended.since);
        let held = now.saturating_duration_since(began).as_secs_f64();
        let done = work(request.detail.prompt_tokens.into(), run.completion_tokens) as f64;
        self.speed.add(done, held);
        self.mean_work.add(done, 1.0);
        let credit = CREDIT * self.mean_work.value().unwrap_or_default();
        self.counters.credit = charge(credit as u64, 1, Tier::Default);
    }

    fn latency_target(&self) -> Option<Duration> {
        Some(self.target)
    }

    /// Tokens.
    fn backlog(&self, account: &AccountState<Self>) -> u64 {
        account.policy.backlog.tokens()
    }

    fn estimated_wait(&self, state: &State<Self>, account: Account, position: Position<Self>) -> Option<Duration> {
        self.wait_of(state, account, position)
    }

    fn estimated_run(&self, state: &State<Self>, request: &Request<TokenRequest>) -> Option<Duration> {
        self.run_of(state, request)
    }
}
