//! Whom to reject: requests that cannot end before their deadline, and those that the queue is too short for.
//!
//! A noisy account costs itself: the account that has the most in the queue for its weight loses its newest request of the lowest
//! rank, also when another account's request came last. An account's only waiting request is never evicted; on arrival a full queue
//! rejects it only if every other account also has exactly one. A policy may reject the newcomer instead
//! ([`Policy::evicts`]). Continuations are never rejected, so the bounds do not count them: otherwise a few requests with many
//! choices would fill a queue from which nothing can be evicted, and newcomers would pay for them.

use super::policy::Policy;
use super::{AccountState, Decision, Position, Queue, Rejection, RequestId, Verdict};
use riad_core::Account;
use std::{
    cmp::Ordering,
    time::{Duration, Instant},
};

/// Bounds of `retry_after`: HTTP says whole seconds, and an estimate for longer is a guess.
const RETRY_LEAST: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_secs(60);

impl<P: Policy> Queue<P> {
    /// Rejects what there is no room or no time for, after `newest` has arrived. Nothing if it does not wait.
    pub(super) fn reject_excess(&mut self, now: Instant, newest: RequestId, decisions: &mut Vec<Decision>) {
        let Some((account, position)) = self.state.position(newest) else {
            return;
        };
        let continuation = self.is_continuation(account, position);
        if !continuation && let Some(retry_after) = self.misses_deadline(now, account, position) {
            self.reject(newest, Rejection::TooLate { retry_after }, decisions);
            return;
        }
        let own = self.state.accounts.get(&account);
        if own.is_some_and(|own| own.rejectable > self.bounds.waiting_per_account) {
            self.reject_for_room(self.newest_of(account), decisions);
        }
        if self.state.position(newest).is_some() && self.state.rejectable > self.bounds.waiting {
            let evicted = match self.policy.evicts() {
                true => self.most(account, |account| account.rejectable as u64),
                false => None,
            };
            let newest = (!continuation).then_some((account, position));
            self.reject_for_room(evicted.or(newest), decisions);
        }
        let Some(target) = self.policy.latency_target() else {
            return;
        };
        while self.state.position(newest).is_some()
            && let Some((most, position)) = self.most(account, |account| self.policy.backlog(account))
            && self.shed_beyond(target, most, position, decisions)
        {}
        if !continuation && self.state.position(newest).is_some() {
            self.shed_beyond(target, account, position, decisions);
        }
    }

    fn reject_for_room(&mut self, evicted: Option<(Account, Position<P>)>, decisions: &mut Vec<Decision>) {
        if let Some((account, position)) = evicted {
            let wait = self.policy.estimated_wait(&self.state, account, position);
            let retry_after = retry_after(wait, Duration::ZERO);
            self.reject(position.1, Rejection::QueueFull { retry_after }, decisions);
        }
    }

    /// Rejects a request if it would wait for longer than the target.
    fn shed_beyond(
        &mut self,
        target: Duration,
        account: Account,
        position: Position<P>,
        decisions: &mut Vec<Decision>,
    ) -> bool {
        let wait = self.policy.estimated_wait(&self.state, account, position);
        let Some(wait) = wait.filter(|wait| *wait > target) else {
            return false;
        };
        self.shed += 1;
        let retry_after = retry_after(Some(wait), target);
        self.reject(position.1, Rejection::Overloaded { retry_after }, decisions);
        true
    }

    fn reject(&mut self, id: RequestId, rejection: Rejection, decisions: &mut Vec<Decision>) {
        self.dequeue(id);
        decisions.push((id, Verdict::Rejected(rejection)));
    }

    fn misses_deadline(&self, now: Instant, account: Account, position: Position<P>) -> Option<Duration> {
        let request = self.state.accounts.get(&account)?.waiting.get(&position)?;
        let left = request.deadline?.saturating_duration_since(now);
        let wait = self.policy.estimated_wait(&self.state, account, position)?;
        let needed = wait.saturating_add(self.policy.estimated_run(&self.state, request)?);
        (needed > left).then(|| retry_after(Some(needed), left))
    }

    /// The request to evict: of the account with the most per weight, the newest of the lowest rank. `None` if no account has
    /// more than one that may be rejected.
    fn most(&self, newcomer: Account, amount: impl Fn(&AccountState<P>) -> u64) -> Option<(Account, Position<P>)> {
        let accounts = self.state.accounts.iter();
        let several = accounts.filter(|(_, account)| account.rejectable > 1);
        let per_weight = |a: &AccountState<P>, b: &AccountState<P>| -> Ordering {
            let side =
                |of: &AccountState<P>, other: &AccountState<P>| u128::from(amount(of)) * u128::from(other.weight);
            side(a, b).cmp(&side(b, a))
        };
        let (account, _) = several.max_by(|(a, left), (b, right)| {
            // A newcomer does not evict its equal.
            per_weight(left, right).then((**a == newcomer).cmp(&(**b == newcomer)))
        })?;
        self.newest_of(*account)
    }

    /// An account's newest request of the lowest rank.
    fn newest_of(&self, account: Account) -> Option<(Account, Position<P>)> {
        let mut newest = self.state.accounts.get(&account)?.waiting.iter().rev();
        newest
            .find(|(_, request)| !request.continuation)
            .map(|(position, _)| (account, *position))
    }

    fn is_continuation(&self, account: Account, position: Position<P>) -> bool {
        let account = self.state.accounts.get(&account);
        account.is_some_and(|account| {
            account
                .waiting
                .get(&position)
                .is_some_and(|request| request.continuation)
        })
    }
}

/// When a request that is rejected now may be admitted.
fn retry_after(wait: Option<Duration>, allowed: Duration) -> Duration {
    wait.map_or(RETRY_LEAST, |wait| {
        wait.saturating_sub(allowed).clamp(RETRY_LEAST, RETRY_MOST)
    })
}
