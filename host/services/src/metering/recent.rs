//! What the requests of the last minutes came to, by account, in memory: who got which share, and who was refused. Not here: what is billed
//! (the ledger), and metrics (`Telemetry`).

use crate::time_classes::TimeClasses;
use parking_lot::Mutex;
use riad_core::{Account, ErrorKind, TenantId, TenantPass, ledger::Outcome};
use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// Minutes that are kept, with the one that goes on.
pub const RECENT_MINUTES: u64 = 15;
/// Accounts that are told apart in a minute. Requests of others are counted among all.
const ACCOUNTS: usize = 1000;

pub(crate) struct RecentRequests {
    began: Instant,
    minutes: Mutex<VecDeque<Minute>>,
}

struct Minute {
    /// Since `began`.
    number: u64,
    all: RecentSums,
    accounts: HashMap<Account, RecentAccount>,
}

#[derive(Debug, Clone, Default)]
pub struct RecentSums {
    pub requests: u64,
    /// Tokens that were computed: prompts without what the prefix cache had, completions, embeddings.
    pub tokens: u64,
    pub completion_tokens: u64,
    pub cancelled: u64,
    /// Requests that were refused or failed, by kind.
    pub errors: Vec<(ErrorKind, u64)>,
    /// Wait in the queue for a place in the batch.
    pub queued: TimeClasses,
    /// From admission to the first piece of the answer.
    pub first_token: TimeClasses,
}

#[derive(Debug, Clone)]
pub struct RecentAccount {
    pub tenant: TenantId,
    /// At its latest request.
    pub weight: u32,
    pub sums: RecentSums,
}

#[derive(Debug, Clone, Default)]
pub struct RecentActivity {
    /// How much time it covers.
    pub covered: Duration,
    pub all: RecentSums,
    /// The one with the most tokens first.
    pub accounts: Vec<RecentAccount>,
    /// Each minute, the oldest first: how many minutes ago it ended, and its sums.
    pub minutes: Vec<(u64, RecentSums)>,
}

/// A request that has ended, or was refused before it began.
pub(super) struct Ended {
    pub outcome: Outcome,
    pub error: Option<ErrorKind>,
    pub tokens: u64,
    pub completion_tokens: u64,
    pub queued: Option<Duration>,
    pub first_token: Option<Duration>,
}

impl Ended {
    /// Before it began.
    pub(super) fn refused(error: ErrorKind) -> Self {
        Self {
            outcome: Outcome::Refused,
            error: Some(error),
            tokens: 0,
            completion_tokens: 0,
            queued: None,
            first_token: None,
        }
    }
}

impl Default for RecentRequests {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            minutes: Mutex::default(),
        }
    }
}

impl RecentRequests {
    pub(super) fn add(&self, pass: &TenantPass, ended: &Ended) {
        self.add_at(self.began.elapsed(), pass, ended);
    }

    fn add_at(&self, now: Duration, pass: &TenantPass, ended: &Ended) {
        let number = minute(now);
        let mut minutes = self.minutes.lock();
        if minutes.back().is_none_or(|last| last.number < number) {
            minutes.push_back(Minute::new(number));
        }
        drop_old(&mut minutes, number);
        let Some(minute) = minutes.back_mut() else { return };
        minute.all.add(ended);
        let is_known = minute.accounts.contains_key(&pass.account());
        if !is_known && minute.accounts.len() >= ACCOUNTS {
            return;
        }
        let account = minute.accounts.entry(pass.account()).or_insert_with(|| RecentAccount {
            tenant: pass.tenant().clone(),
            weight: 1,
            sums: RecentSums::default(),
        });
        account.weight = pass.policy().weight;
        account.sums.add(ended);
    }

    pub(crate) fn now(&self) -> RecentActivity {
        self.at(self.began.elapsed())
    }

    fn at(&self, now: Duration) -> RecentActivity {
        let number = minute(now);
        let mut minutes = self.minutes.lock();
        drop_old(&mut minutes, number);
        let mut activity = RecentActivity {
            covered: now.min(Duration::from_secs(
                (RECENT_MINUTES - 1) * 60 + now.as_secs().checked_rem(60).unwrap_or(0),
            )),
            ..RecentActivity::default()
        };
        let mut accounts: HashMap<Account, RecentAccount> = HashMap::new();
        for minute in minutes.iter() {
            activity.all.merge(&minute.all);
            activity
                .minutes
                .push((number.saturating_sub(minute.number), minute.all.clone()));
            for (account, recent) in &minute.accounts {
                match accounts.get_mut(account) {
                    Some(known) => {
                        known.weight = recent.weight;
                        known.sums.merge(&recent.sums);
                    }
                    None => drop(accounts.insert(*account, recent.clone())),
                }
            }
        }
        activity.accounts = accounts.into_values().collect();
        activity
            .accounts
            .sort_by(|one, other| (other.sums.tokens, &one.tenant).cmp(&(one.sums.tokens, &other.tenant)));
        activity
    }

    pub(crate) fn forget(&self, account: Account) {
        for minute in self.minutes.lock().iter_mut() {
            minute.accounts.remove(&account);
        }
    }
}

impl Minute {
    fn new(number: u64) -> Self {
        Self {
            number,
            all: RecentSums::default(),
            accounts: HashMap::new(),
        }
    }
}

impl RecentSums {
    fn add(&mut self, ended: &Ended) {
        self.requests += 1;
        self.tokens = self.tokens.saturating_add(ended.tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(ended.completion_tokens);
        if ended.outcome == Outcome::Cancelled {
            self.cancelled += 1;
        } else if let Some(kind) = ended.error {
            self.add_errors(kind, 1);
        }
        if let Some(queued) = ended.queued {
            self.queued.add(queued);
        }
        if let Some(first_token) = ended.first_token {
            self.first_token.add(first_token);
        }
    }

    fn add_errors(&mut self, kind: ErrorKind, count: u64) {
        match self.errors.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, known)) => *known += count,
            None => self.errors.push((kind, count)),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.cancelled += other.cancelled;
        for (kind, count) in &other.errors {
            self.add_errors(*kind, *count);
        }
        self.queued.merge(&other.queued);
        self.first_token.merge(&other.first_token);
    }

    /// How many were refused or failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.iter().map(|(_, count)| count).sum()
    }
}

fn minute(now: Duration) -> u64 {
    now.as_secs() / 60
}

fn drop_old(minutes: &mut VecDeque<Minute>, now: u64) {
    while minutes
        .front()
        .is_some_and(|first| first.number.saturating_add(RECENT_MINUTES) <= now)
    {
        minutes.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::ports::KeyRecord;

    fn pass(account: u64, tenant: &str) -> TenantPass {
        riad_fakes::pass(KeyRecord {
            tenant: tenant.parse().unwrap(),
            ..riad_fakes::key(account)
        })
    }

    fn ended(tokens: u64, error: Option<ErrorKind>) -> Ended {
        Ended {
            outcome: if error.is_some() {
                Outcome::Refused
            } else {
                Outcome::Completed
            },
            error,
            tokens,
            completion_tokens: tokens / 2,
            queued: Some(Duration::from_millis(1)),
            first_token: error.is_none().then_some(Duration::from_millis(50)),
        }
    }

    #[test]
    fn requests_count_for_their_account_until_they_are_old() {
        let (recent, one, other) = (RecentRequests::default(), pass(1, "acme"), pass(2, "globex"));
        let at = Duration::from_secs;
        recent.add_at(at(0), &one, &ended(10, None));
        recent.add_at(at(61), &one, &ended(5, Some(ErrorKind::Busy)));
        recent.add_at(at(62), &other, &ended(90, None));
        let now = recent.at(at(70));
        assert_eq!((now.covered, now.all.requests, now.all.tokens), (at(70), 3, 105));
        assert_eq!(now.all.errors, [(ErrorKind::Busy, 1)]);
        assert_eq!(now.all.first_token.count(), 2);
        let accounts: Vec<_> = now
            .accounts
            .iter()
            .map(|account| (account.tenant.as_str(), account.sums.tokens))
            .collect();
        assert_eq!(accounts, [("globex", 90), ("acme", 15)]);
        assert_eq!(now.minutes.iter().map(|(ago, _)| *ago).collect::<Vec<_>>(), [1, 0]);
        let later = recent.at(at(RECENT_MINUTES * 60 + 1));
        assert_eq!(later.all.requests, 2, "the first minute is over");
        assert!(later.covered <= at(RECENT_MINUTES * 60));
        assert!(recent.at(at(RECENT_MINUTES * 60 + 61)).accounts.is_empty());
        recent.add_at(at(4_000), &one, &ended(1, None));
        recent.forget(one.account());
        assert!(recent.at(at(4_001)).accounts.is_empty());
    }

    #[test]
    fn more_accounts_than_are_told_apart_count_among_all() {
        let recent = RecentRequests::default();
        for account in 1..=ACCOUNTS as u64 + 5 {
            recent.add_at(Duration::ZERO, &pass(account, &format!("t{account}")), &ended(1, None));
        }
        let now = recent.at(Duration::ZERO);
        assert_eq!((now.accounts.len(), now.all.requests), (ACCOUNTS, ACCOUNTS as u64 + 5));
    }
}
