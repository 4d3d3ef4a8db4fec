//! The state machine: which requests wait, which run, which is next. It takes the time as an argument and knows neither futures nor locks, so
//! that a simulation runs what the server runs. Not here: the order of accounts (`queue/policy.rs`), whom to reject (`queue/overload.rs`).

mod overload;
mod policy;
#[cfg(test)]
mod tests;

pub use policy::Policy;

use riad_core::Account;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The capacity of a resource, how much of it one account may hold, and how many requests may wait.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Units that can be held at the same time.
    pub capacity: u32,
    /// Units that are given only to accounts that hold none.
    pub reserve: u32,
    /// Units that one account may hold.
    pub per_account: u32,
    /// Requests that may wait, beside continuations.
    pub waiting: usize,
    /// Requests of one account that may wait, beside continuations.
    pub waiting_per_account: usize,
}

impl Bounds {
    /// A capacity without any further bound.
    #[must_use]
    pub const fn of(capacity: u32) -> Self {
        Self {
            capacity,
            reserve: 0,
            per_account: u32::MAX,
            waiting: usize::MAX,
            waiting_per_account: usize::MAX,
        }
    }
}

/// A request for units of the resource.
#[derive(Debug, Clone)]
pub struct Request<D = ()> {
    pub account: Account,
    /// The account's share while others wait too: 2 gets twice what 1 gets.
    pub weight: u32,
    /// All are given at once: a request that waits holds none.
    pub units: u32,
    /// It waits no longer than this.
    pub expires: Option<Instant>,
    /// A request that is not expected to end before this is rejected.
    pub deadline: Option<Instant>,
    /// Continues work that was admitted before: it is never rejected but for its expiry, and takes no newcomer's room in the queue.
    pub continuation: bool,
    /// For the policy.
    pub detail: D,
}

impl<D> Request<D> {
    /// One unit, for as long as it takes.
    pub fn new(account: Account, detail: D) -> Self {
        Self {
            account,
            weight: 1,
            units: 1,
            expires: None,
            deadline: None,
            continuation: false,
            detail,
        }
    }
}

/// Numbers requests in the order of their arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Admitted,
    Rejected(Rejection),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// It asks for more units than an account may ever hold.
    TooLarge { most: u32 },
    /// The queue is full, and its account has the most in it for its weight.
    QueueFull { retry_after: Duration },
    /// The queue takes longer than the latency target, and its account has the most in it for its weight.
    Overloaded { retry_after: Duration },
    /// It is not expected to end before its deadline.
    TooLate { retry_after: Duration },
    /// It has waited until its expiry.
    TimedOut,
}

/// What was decided about a request. A request without a decision waits.
pub type Decision = (RequestId, Verdict);

/// A request's place within its account: by rank, then by arrival.
pub type Position<P> = (<P as Policy>::Rank, RequestId);

/// An account that has a request that waits or runs.
pub struct AccountState<P: Policy> {
    /// That of its newest request: it may change.
    pub(crate) weight: u32,
    pub(crate) waiting: BTreeMap<Position<P>, Request<P::Detail>>,
    /// Those among them that may be rejected: all but the continuations.
    pub(crate) rejectable: usize,
    /// Requests that run.
    pub(crate) running: u32,
    /// Units that they hold.
    pub(crate) held: u32,
    /// The policy's.
    pub(crate) policy: P::Account,
}

/// A request that runs.
pub struct Admitted<P: Policy> {
    pub(crate) request: Request<P::Detail>,
    pub(crate) since: Instant,
    /// The policy's.
    pub(crate) policy: P::Run,
}

/// What a policy may look at and charge.
pub struct State<P: Policy> {
    pub(crate) capacity: u32,
    pub(crate) free: u32,
    /// In order, so that the same requests always lead to the same decisions.
    pub(crate) accounts: BTreeMap<Account, AccountState<P>>,
    pub(crate) running: BTreeMap<RequestId, Admitted<P>>,
    /// Where those that wait are found.
    pub(crate) waiting: BTreeMap<RequestId, (Account, P::Rank)>,
    /// Those among them that may be rejected. Only they count against the queue's bounds.
    pub(crate) rejectable: usize,
}

pub struct Queue<P: Policy> {
    bounds: Bounds,
    policy: P,
    state: State<P>,
    next_id: u64,
    /// Requests that were rejected to meet the latency target.
    shed: u64,
}

impl<P: Policy> State<P> {
    /// Where a request that waits is.
    fn position(&self, id: RequestId) -> Option<(Account, Position<P>)> {
        self.waiting.get(&id).map(|(account, rank)| (*account, (*rank, id)))
    }

    /// Every unit is free or held by a request that runs, the accounts' counts are those of their requests, and no account
    /// without requests is left. For assertions: it looks at everything.
    fn is_consistent(&self) -> bool {
        let held = |account: &Account| {
            let requests = self.running.values().map(|admitted| &admitted.request);
            requests
                .filter(|request| request.account == *account)
                .fold((0_u32, 0_u32), |(running, held), request| {
                    (running.saturating_add(1), held.saturating_add(request.units))
                })
        };
        let rejectable = |state: &AccountState<P>| {
            let waiting = state.waiting.values();
            waiting.filter(|request| !request.continuation).count()
        };
        let counted = self.accounts.iter().all(|(account, state)| {
            (state.running, state.held) == held(account)
                && state.rejectable == rejectable(state)
                && (state.running > 0 || !state.waiting.is_empty())
        });
        let running = self.running.values().map(|admitted| u64::from(admitted.request.units));
        let waiting: usize = self.accounts.values().map(|state| state.waiting.len()).sum();
        counted
            && running.sum::<u64>() + u64::from(self.free) == u64::from(self.capacity)
            && waiting == self.waiting.len()
            && self.rejectable == self.accounts.values().map(|state| state.rejectable).sum::<usize>()
    }
}

impl<P: Policy> Queue<P> {
    #[must_use]
    pub fn new(bounds: Bounds, policy: P) -> Self {
        Self {
            bounds,
            policy,
            state: State {
                capacity: bounds.capacity,
                free: bounds.capacity,
                accounts: BTreeMap::new(),
                running: BTreeMap::new(),
                waiting: BTreeMap::new(),
                rejectable: 0,
            },
            next_id: 0,
            shed: 0,
        }
    }

    /// A request arrives: its id, and what was decided about it and others.
    pub fn arrive(&mut self, now: Instant, request: Request<P::Detail>) -> (RequestId, Vec<Decision>) {
        self.observe(now);
        let id = RequestId(self.next_id);
        self.next_id += 1;
        let mut decisions = Vec::new();
        let most = self.bounds.capacity.min(self.bounds.per_account);
        if request.units > most {
            decisions.push((id, Verdict::Rejected(Rejection::TooLarge { most })));
            return (id, decisions);
        }
        self.enqueue(id, request);
        self.dispatch(now, &mut decisions);
        self.reject_excess(now, id, &mut decisions);
        // Those that waited behind a request that was rejected may need fewer units.
        self.dispatch(now, &mut decisions);
        debug_assert!(self.state.is_consistent());
        (id, decisions)
    }

    /// A request goes away: before it was admitted, or with units that it has not used.
    pub fn leave(&mut self, now: Instant, id: RequestId) -> Vec<Decision> {
        let mut decisions = self.release(now, id);
        if self.dequeue(id).is_some() {
            // A request that waited behind it may need fewer units.
            self.dispatch(now, &mut decisions);
        }
        debug_assert!(self.state.is_consistent());
        decisions
    }

    /// A request that was admitted has ended.
    pub fn release(&mut self, now: Instant, id: RequestId) -> Vec<Decision> {
        self.observe(now);
        let mut decisions = Vec::new();
        let Some(ended) = self.state.running.remove(&id) else {
            return decisions;
        };
        let (account, units) = (ended.request.account, ended.request.units);
        self.state.free += units;
        if let Some(state) = self.state.accounts.get_mut(&account) {
            state.running = state.running.saturating_sub(1);
            state.held = state.held.saturating_sub(units);
        }
        self.policy.released(&mut self.state, &ended, now);
        self.deactivate_if_idle(account);
        self.dispatch(now, &mut decisions);
        debug_assert!(self.state.is_consistent());
        decisions
    }

    /// Charges what has been used until now.
    pub fn observe(&mut self, now: Instant) {
        self.policy.observe(&mut self.state, now);
    }

    /// Requests that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state.waiting.len()
    }

    /// Requests that run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.state.running.len()
    }

    /// Units that no request holds.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.state.free
    }

    /// Accounts that have a request that waits or runs.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.state.accounts.len()
    }

    /// Requests that were rejected to meet the latency target.
    #[must_use]
    pub fn shed(&self) -> u64 {
        self.shed
    }

    /// Details of the requests that wait.
    pub fn waiting_details(&self) -> impl Iterator<Item = &P::Detail> {
        let requests = self
            .state
            .accounts
            .values()
            .flat_map(|account| account.waiting.values());
        requests.map(|request| &request.detail)
    }

    /// For the figures that only this policy has.
    pub fn policy(&self) -> (&P, &State<P>) {
        (&self.policy, &self.state)
    }

    fn enqueue(&mut self, id: RequestId, request: Request<P::Detail>) {
        let (account, rank) = (request.account, self.policy.rank(&request.detail));
        self.state.accounts.entry(account).or_insert_with(|| AccountState {
            weight: 1,
            waiting: BTreeMap::new(),
            rejectable: 0,
            running: 0,
            held: 0,
            policy: self.policy.activate(account),
        });
        self.policy.before_enqueue(&mut self.state, &request);
        if let Some(state) = self.state.accounts.get_mut(&account) {
            state.weight = request.weight.max(1);
            state.rejectable += usize::from(!request.continuation);
            self.state.rejectable += usize::from(!request.continuation);
            state.waiting.insert((rank, id), request);
            self.state.waiting.insert(id, (account, rank));
        }
    }

    /// Takes a request from those that wait, to reject or forget it.
    fn dequeue(&mut self, id: RequestId) -> Option<Request<P::Detail>> {
        let request = self.take(id)?;
        self.deactivate_if_idle(request.account);
        Some(request)
    }

    fn take(&mut self, id: RequestId) -> Option<Request<P::Detail>> {
        let (account, rank) = self.state.waiting.remove(&id)?;
        let state = self.state.accounts.get_mut(&account)?;
        let request = state.waiting.remove(&(rank, id))?;
        state.rejectable -= usize::from(!request.continuation);
        self.state.rejectable -= usize::from(!request.continuation);
        self.policy.dequeued(state, &request);
        Some(request)
    }

    /// Admits those that are next, as long as there are units for them.
    fn dispatch(&mut self, now: Instant, decisions: &mut Vec<Decision>) {
        while self.state.free > 0
            && let Some(id) = self.next()
            && let Some(request) = self.take(id)
        {
            let account = request.account;
            if request.expires.is_some_and(|expires| expires <= now) {
                self.deactivate_if_idle(account);
                decisions.push((id, Verdict::Rejected(Rejection::TimedOut)));
                continue;
            }
            if let Some(state) = self.state.accounts.get_mut(&account) {
                state.running += 1;
                state.held += request.units;
                self.policy.admitted(state, &request);
            }
            self.state.free -= request.units;
            let admitted = Admitted {
                request,
                since: now,
                policy: P::Run::default(),
            };
            self.state.running.insert(id, admitted);
            decisions.push((id, Verdict::Admitted));
        }
    }

    /// The request to admit now. If there are too few units for the next one, all wait for it: a request for several units would
    /// never get them if others took each one that comes free. Only the reserve is kept for accounts that hold nothing.
    fn next(&self) -> Option<RequestId> {
        let (account, id, units) = self.first_of(|_| true)?;
        if self.state.free < units {
            return None;
        }
        if account.held == 0 || self.state.free - units >= self.bounds.reserve {
            return Some(id);
        }
        let (_, id, units) = self.first_of(|account| account.held == 0)?;
        (self.state.free >= units).then_some(id)
    }

    /// The first request of the account that is next, among those that may be given more units.
    fn first_of(&self, among: impl Fn(&AccountState<P>) -> bool) -> Option<(&AccountState<P>, RequestId, u32)> {
        let accounts = self.state.accounts.values().filter(|account| among(account));
        let firsts = accounts.filter_map(|account| {
            let ((_, id), request) = account.waiting.first_key_value()?;
            let held = account.held.checked_add(request.units)?;
            (held <= self.bounds.per_account)
                .then(|| (self.policy.order(account, request), *id, account, request.units))
        });
        firsts
            .min_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)))
            .map(|(_, id, account, units)| (account, id, units))
    }

    /// The policy may remember an account without requests; the queue forgets it.
    fn deactivate_if_idle(&mut self, account: Account) {
        let idle = |state: &AccountState<P>| state.waiting.is_empty() && state.running == 0;
        if self.state.accounts.get(&account).is_some_and(idle)
            && let Some(state) = self.state.accounts.remove(&account)
        {
            self.policy.deactivate(account, state.policy);
        }
    }
}
