//! How many requests an account's plugins may send: in a minute, and at the same time. Who is over it is told at once: a guest that waits
//! holds an instance.

use parking_lot::Mutex;
use riad_core::{Account, Limits, ports::HttpFailure};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_secs(60);
/// Accounts that are remembered before those whose window is over are forgotten.
const REMEMBERED: usize = 1024;

/// `resources::GUEST_HTTP`.
pub(super) struct Admission {
    accounts: Arc<Mutex<HashMap<Account, Use>>>,
    per_minute: u32,
    concurrent: u32,
}

#[derive(Debug)]
struct Use {
    window: Instant,
    sent: u32,
    running: u32,
}

/// A request that runs, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    accounts: Arc<Mutex<HashMap<Account, Use>>>,
    account: Account,
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            accounts: Arc::default(),
            per_minute: limits.http_per_minute,
            concurrent: limits.http_concurrent,
        }
    }

    pub(super) fn admit(&self, account: Account, now: Instant) -> Result<Permit, HttpFailure> {
        let mut accounts = self.accounts.lock();
        if accounts.len() > REMEMBERED {
            accounts.retain(|_, found| found.running > 0 || now.duration_since(found.window) < WINDOW);
        }
        let found = accounts.entry(account).or_insert(Use {
            window: now,
            sent: 0,
            running: 0,
        });
        if now.duration_since(found.window) >= WINDOW {
            (found.window, found.sent) = (now, 0);
        }
        if found.sent >= self.per_minute {
            return Err(HttpFailure::LimitExceeded(format!(
                "this tenant's plugins may send {} requests in a minute (limits.http_per_minute)",
                self.per_minute
            )));
        }
        if found.running >= self.concurrent {
            return Err(HttpFailure::LimitExceeded(format!(
                "this tenant's plugins may send {} requests at the same time (limits.http_concurrent)",
                self.concurrent
            )));
        }
        found.sent += 1;
        found.running += 1;
        Ok(Permit {
            accounts: Arc::clone(&self.accounts),
            account,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(found) = self.accounts.lock().get_mut(&self.account) {
            found.running = found.running.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Admission {
        Admission::new(&Limits {
            http_per_minute: 3,
            http_concurrent: 2,
            ..Limits::default()
        })
    }

    fn refused(admission: &Admission, account: u64, now: Instant) -> String {
        let refused = admission.admit(Account::new(account), now).unwrap_err();
        let HttpFailure::LimitExceeded(text) = refused else {
            panic!("{refused:?}");
        };
        text
    }

    #[test]
    fn an_account_has_so_many_a_minute() {
        let (admission, now) = (admission(), Instant::now());
        for _ in 0..3 {
            admission.admit(Account::new(1), now).unwrap();
        }
        assert!(refused(&admission, 1, now).contains("http_per_minute"));
        admission.admit(Account::new(2), now).unwrap();
        admission.admit(Account::new(1), now + WINDOW).unwrap();
    }

    #[test]
    fn an_account_has_so_many_at_the_same_time() {
        let (admission, now) = (admission(), Instant::now());
        let first = admission.admit(Account::new(1), now).unwrap();
        let _second = admission.admit(Account::new(1), now).unwrap();
        assert!(refused(&admission, 1, now).contains("http_concurrent"));
        let _neighbor = admission.admit(Account::new(2), now).unwrap();
        drop(first);
        admission.admit(Account::new(1), now).unwrap();
    }

    #[test]
    fn accounts_are_forgotten_when_their_window_is_over() {
        let (admission, now) = (admission(), Instant::now());
        let kept = admission.admit(Account::new(0), now).unwrap();
        for account in 1..=REMEMBERED as u64 {
            admission.admit(Account::new(account), now).unwrap();
        }
        admission.admit(Account::new(1), now + WINDOW).unwrap();
        assert_eq!(admission.accounts.lock().len(), 2);
        drop(kept);
    }
}
