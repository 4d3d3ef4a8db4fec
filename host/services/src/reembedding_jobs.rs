//! Which tenants' chunks are being embedded again. Not here: embedding them (`reembedding`).

use parking_lot::Mutex;
use riad_core::Account;
use std::collections::HashSet;

/// The jobs that run, one of a tenant at most.
#[derive(Default)]
pub(crate) struct ReembeddingJobs(Mutex<HashSet<Account>>);

impl ReembeddingJobs {
    /// False if the account's job runs already.
    pub fn begin(&self, account: Account) -> bool {
        self.0.lock().insert(account)
    }
}

/// Forgets a job when it ends, also by a panic: the next search begins a new one.
pub(crate) struct Ending<'a>(&'a ReembeddingJobs, Account);

impl<'a> Ending<'a> {
    pub fn of(jobs: &'a ReembeddingJobs, account: Account) -> Self {
        Self(jobs, account)
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.0.lock().remove(&self.1);
    }
}
