//! What differs between queues: the order of accounts, what they are charged, and what is estimated.

use super::{AccountState, Admitted, Position, Request, State};
use riad_core::Account;
use std::time::{Duration, Instant};

/// Orders the accounts of a [`Queue`](crate::Queue), which calls the hooks under its own bounds and rules.
///
/// Hooks must not block. All but the first two have defaults that do nothing: such a policy charges and estimates nothing.
pub trait Policy: Sized {
    /// What the policy must know about a request beside its account and units.
    type Detail;
    /// The order within an account: the lowest rank is admitted first and evicted last. Equal ranks are ordered by arrival.
    type Rank: Ord + Copy;
    /// The order between accounts: the lowest is next. Equal accounts are ordered by the arrival of their first request.
    type Order: Ord;
    /// Kept for an account while it has a request that waits or runs.
    type Account: Default;
    /// Kept for a request while it runs.
    type Run: Default;

    fn rank(&self, detail: &Self::Detail) -> Self::Rank;

    /// `first` is the account's next request.
    fn order(&self, account: &AccountState<Self>, first: &Request<Self::Detail>) -> Self::Order;

    /// Whether a full queue makes room for a newcomer by evicting a request of the account that has the most in it. Otherwise the
    /// newcomer is rejected.
    fn evicts(&self) -> bool {
        true
    }

    /// Before every change: charges what has been used until `now`.
    fn observe(&mut self, _state: &mut State<Self>, _now: Instant) {}

    /// An account has its first request; returns what was remembered of it.
    fn activate(&mut self, _account: Account) -> Self::Account {
        Self::Account::default()
    }

    /// An account has no request any more.
    fn deactivate(&mut self, _account: Account, _state: Self::Account) {}

    /// Before the request is put among those that wait. Its account is active.
    fn before_enqueue(&mut self, _state: &mut State<Self>, _request: &Request<Self::Detail>) {}

    /// The request does not wait any more: it was admitted, rejected or dropped.
    fn dequeued(&mut self, _account: &mut AccountState<Self>, _request: &Request<Self::Detail>) {}

    /// The request starts to run.
    fn admitted(&mut self, _account: &mut AccountState<Self>, _request: &Request<Self::Detail>) {}

    /// The request has ended.
    fn released(&mut self, _state: &mut State<Self>, _ended: &Admitted<Self>, _now: Instant) {}

    /// Requests that would wait for longer than this are rejected.
    fn latency_target(&self) -> Option<Duration> {
        None
    }

    /// How much an account has in the queue, compared per weight when requests are rejected to meet the latency target.
    fn backlog(&self, account: &AccountState<Self>) -> u64 {
        account.waiting.len() as u64
    }

    /// How long a request that is in the queue will wait. `None` as long as nothing was measured.
    fn estimated_wait(&self, _state: &State<Self>, _account: Account, _position: Position<Self>) -> Option<Duration> {
        None
    }

    /// How long a request will run. `None` as long as nothing was measured.
    fn estimated_run(&self, _state: &State<Self>, _request: &Request<Self::Detail>) -> Option<Duration> {
        None
    }
}
