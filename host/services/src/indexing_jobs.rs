//! Which tenants' files of vector stores are being indexed. Not here: indexing them (`indexing`).

use parking_lot::Mutex;
use riad_admission::{Bounds, FewestHeld, Limiter};
use riad_core::{Account, Limits, resources};
use std::collections::HashMap;
use tokio::sync::watch;

/// The jobs that run, one of a tenant at most.
pub(crate) struct IndexingJobs {
    running: Mutex<HashMap<Account, Job>>,
    /// Files that are in memory.
    pub files: Limiter<FewestHeld>,
}

struct Job {
    /// Whether files have been added since it last found none.
    is_due: bool,
    /// Files that have ended. Dropped with the job.
    ended: watch::Sender<u64>,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            is_due: false,
            ended: watch::Sender::new(0),
        }
    }
}

impl IndexingJobs {
    pub fn new(limits: &Limits) -> Self {
        let bounds = Bounds {
            per_account: 1,
            ..Bounds::of(limits.uploads)
        };
        Self {
            running: Mutex::default(),
            files: Limiter::new(&resources::INDEXING, bounds, FewestHeld),
        }
    }

    /// What changes with every file of the account that has ended, and whether its job is to be begun.
    pub fn begin(&self, account: Account) -> (watch::Receiver<u64>, bool) {
        let mut running = self.running.lock();
        if let Some(job) = running.get_mut(&account) {
            job.is_due = true;
            return (job.ended.subscribe(), false);
        }
        (running.entry(account).or_default().ended.subscribe(), true)
    }

    /// Whether the job is to look once more; if not, it has ended.
    pub fn is_due_again(&self, account: Account) -> bool {
        let mut running = self.running.lock();
        match running.get_mut(&account) {
            Some(job) if job.is_due => {
                job.is_due = false;
                true
            }
            Some(_) => {
                running.remove(&account);
                false
            }
            None => false,
        }
    }

    pub fn count_end(&self, account: Account) {
        if let Some(job) = self.running.lock().get(&account) {
            job.ended.send_modify(|ended| *ended += 1);
        }
    }
}

/// Forgets a job when it ends, also by a panic: the next request begins a new one.
pub(crate) struct Ending<'a>(Option<(&'a IndexingJobs, Account)>);

impl<'a> Ending<'a> {
    pub fn of(jobs: &'a IndexingJobs, account: Account) -> Self {
        Self(Some((jobs, account)))
    }

    /// It is forgotten already, and there may be another one by now.
    pub fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if let Some((jobs, account)) = self.0 {
            jobs.running.lock().remove(&account);
        }
    }
}
