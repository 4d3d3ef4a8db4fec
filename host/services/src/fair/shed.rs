//! Whom to refuse: who cannot be served in time, and those for whom the queue is too short. A noisy account costs itself: whoever
//! has the most in the queue for its weight is refused first, its lowest tier first, its newest first, also when another's
//! request came last. An account's only request is pushed out by nobody, and kept out only if all the others have but one too. A further generation of a request that runs is never refused.

use super::{
    counters::{Active, Key},
    queue::{Decision, Queue, Verdict},
};
use riad_core::Account;
use std::{
    cmp::{Ordering, Reverse},
    time::{Duration, Instant},
};

/// Bounds of `retry_after`: HTTP says whole seconds, and an estimate for longer is a guess.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl Queue {
    /// After `newest` has come and must wait.
    pub(super) fn make_room(&mut self, now: Instant, newest: u64, decisions: &mut Vec<Decision>) {
        let Some((account, key)) = self.place_of(newest) else {
            return;
        };
        let begun = self.is_begun(account, key);
        if !begun && let Some(retry_after) = self.misses_deadline(now, account, key) {
            self.take(newest);
            decisions.push((newest, Verdict::Late { retry_after }));
            return;
        }
        if self.counters.waiting() > self.room {
            let newest = (!begun).then_some((account, key));
            if let Some((most, key)) = self.most(account, waiting).or(newest) {
                let retry_after = retry_after(self.wait_of(most, key), Duration::ZERO);
                self.take(key.1);
                decisions.push((key.1, Verdict::Full { retry_after }));
            }
        }
        while self.place_of(newest).is_some()
            && let Some((most, key)) = self.most(account, tokens)
            && self.shed_late(most, key, decisions)
        {}
        if !begun && self.place_of(newest).is_some() {
            self.shed_late(account, key, decisions);
        }
    }

    /// Refuses a request if it would wait for longer than the target.
    fn shed_late(&mut self, account: Account, key: Key, decisions: &mut Vec<Decision>) -> bool {
        let Some(wait) = self.wait_of(account, key).filter(|wait| *wait > self.target) else {
            return false;
        };
        let retry_after = retry_after(Some(wait), self.target);
        self.take(key.1);
        self.shed += 1;
        decisions.push((key.1, Verdict::Shed { retry_after }));
        true
    }

    fn misses_deadline(&self, now: Instant, account: Account, key: Key) -> Option<Duration> {
        let ask = self.counters.active().get(&account)?.waiting.get(&key)?;
        let wait = self.wait_of(account, key)?;
        let needed = wait.saturating_add(self.time_of(ask)?);
        let left = ask.deadline.saturating_duration_since(now);
        (needed > left).then(|| retry_after(Some(needed), left))
    }

    /// The request to refuse: of the account with the most per weight, the newest of the lowest tier. Absent if every account has
    /// only one.
    fn most(&self, newcomer: Account, amount: impl Fn(&Active) -> u64) -> Option<(Account, Key)> {
        let several = self
            .counters
            .active()
            .iter()
            .filter(|(_, active)| active.waiting.len() > 1);
        let per_weight = |a: &Active, b: &Active| -> Ordering {
            let side = |of: &Active, other: &Active| u128::from(amount(of)) * u128::from(other.weight);
            side(a, b).cmp(&side(b, a))
        };
        let (account, active) = several.max_by(|(a, left), (b, right)| {
            // Equals do not push each other out.
            per_weight(left, right).then((**a == newcomer).cmp(&(**b == newcomer)))
        })?;
        let mut newest = active.waiting.iter().rev();
        newest.find(|(_, ask)| !ask.begun).map(|(key, _)| (*account, *key))
    }

    fn is_begun(&self, account: Account, key: Key) -> bool {
        let active = self.counters.active().get(&account);
        active.is_some_and(|active| active.waiting.get(&key).is_some_and(|ask| ask.begun))
    }

    fn place_of(&self, number: u64) -> Option<(Account, Key)> {
        self.places()
            .get(&number)
            .map(|(account, tier)| (*account, (Reverse(*tier), number)))
    }
}

fn waiting(active: &Active) -> u64 {
    active.waiting.len() as u64
}

fn tokens(active: &Active) -> u64 {
    active.backlog.prompt_tokens + active.backlog.max_tokens
}

/// When what does not fit now may fit.
fn retry_after(wait: Option<Duration>, allowed: Duration) -> Duration {
    let (least, most) = RETRY;
    wait.map_or(least, |wait| wait.saturating_sub(allowed).clamp(least, most))
}
