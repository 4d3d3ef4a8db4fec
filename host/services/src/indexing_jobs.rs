//! Which tenants' files of vector stores and document jobs are being worked on, and how far. Not here: the work (`indexing`).

use parking_lot::Mutex;
use riad_admission::{Bounds, FewestHeld, Limiter};
use riad_core::{
    Account, DocumentJobId, Limits, TenantPass,
    document_job::{JobProgress, JobStage},
    resources,
};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::{Notify, watch};

/// What runs, one of a tenant at most.
pub(crate) struct IndexingJobs {
    running: Mutex<HashMap<Account, Job>>,
    /// Who has added what waits, by account and the thing's name. What waits since before a crash has nobody here.
    owners: Mutex<HashMap<Account, HashMap<String, TenantPass>>>,
    /// Files and documents that are in memory.
    pub files: Limiter<FewestHeld>,
}

struct Job {
    /// Of the latest request that wanted it to run.
    pass: TenantPass,
    /// Whether something has been added since it last found nothing.
    is_due: bool,
    /// Counts what has ended, and steps of documents. Dropped with the job.
    changes: watch::Sender<u64>,
    document: Option<CurrentDocument>,
}

/// The document that is being made.
struct CurrentDocument {
    id: DocumentJobId,
    progress: JobProgress,
    cancelled: Arc<Notify>,
}

impl Job {
    fn new(pass: TenantPass) -> Self {
        Self {
            pass,
            is_due: false,
            changes: watch::Sender::new(0),
            document: None,
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
            owners: Mutex::default(),
            files: Limiter::new(&resources::INDEXING, bounds, FewestHeld),
        }
    }

    /// What changes with everything of the account that has ended or gone a step on, and whether its job is to be begun.
    pub fn begin(&self, pass: &TenantPass) -> (watch::Receiver<u64>, bool) {
        let mut running = self.running.lock();
        if let Some(job) = running.get_mut(&pass.account()) {
            job.is_due = true;
            job.pass = pass.clone();
            return (job.changes.subscribe(), false);
        }
        let job = Job::new(pass.clone());
        let changes = job.changes.subscribe();
        running.insert(pass.account(), job);
        (changes, true)
    }

    /// That of the latest request that wanted the job to run.
    pub fn pass(&self, account: Account) -> Option<TenantPass> {
        self.running.lock().get(&account).map(|job| job.pass.clone())
    }

    /// Notes who has added something that waits now: its work is done with that pass and billed to that key.
    pub fn own(&self, pass: &TenantPass, thing: String) {
        let mut owners = self.owners.lock();
        owners.entry(pass.account()).or_default().insert(thing, pass.clone());
    }

    pub fn owner(&self, account: Account, thing: &str) -> Option<TenantPass> {
        self.owners.lock().get(&account)?.get(thing).cloned()
    }

    /// It waits no longer.
    pub fn disown(&self, account: Account, thing: &str) {
        if let Some(owned) = self.owners.lock().get_mut(&account) {
            owned.remove(thing);
        }
    }

    /// As [`Self::begin`], of a job that runs.
    pub fn subscribe(&self, account: Account) -> Option<watch::Receiver<u64>> {
        self.running.lock().get(&account).map(|job| job.changes.subscribe())
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
                // Nothing waits. Whoever adds something from now on begins the job again, with the pass of that request.
                self.owners.lock().remove(&account);
                false
            }
            None => false,
        }
    }

    pub fn count_change(&self, account: Account) {
        if let Some(job) = self.running.lock().get(&account) {
            job.count_change();
        }
    }

    /// Notes that a document is being made, until the guard is dropped.
    pub fn begin_document(&self, account: Account, id: DocumentJobId) -> DocumentGuard<'_> {
        let cancelled = Arc::new(Notify::new());
        let document = CurrentDocument {
            id,
            progress: JobProgress::before_chunks(JobStage::Extraction),
            cancelled: Arc::clone(&cancelled),
        };
        if let Some(job) = self.running.lock().get_mut(&account) {
            job.document = Some(document);
        }
        DocumentGuard {
            jobs: self,
            account,
            cancelled,
        }
    }

    /// Of a document that is being made.
    pub fn progress(&self, account: Account, id: &DocumentJobId) -> Option<JobProgress> {
        let running = self.running.lock();
        let document = running.get(&account)?.document.as_ref()?;
        (document.id == *id).then_some(document.progress)
    }

    /// Stops the work on a document, after its job was cancelled, and tells those who follow it.
    pub fn cancel(&self, account: Account, id: &DocumentJobId) {
        if let Some(job) = self.running.lock().get(&account) {
            if let Some(document) = job.document.as_ref().filter(|document| document.id == *id) {
                document.cancelled.notify_one();
            }
            job.count_change();
        }
    }
}

impl Job {
    fn count_change(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }
}

/// A document that is being made.
pub(crate) struct DocumentGuard<'a> {
    jobs: &'a IndexingJobs,
    account: Account,
    cancelled: Arc<Notify>,
}

impl DocumentGuard<'_> {
    pub fn report(&self, progress: JobProgress) {
        if let Some(job) = self.jobs.running.lock().get_mut(&self.account) {
            if let Some(document) = &mut job.document {
                document.progress = progress;
            }
            job.count_change();
        }
    }

    pub async fn cancelled(&self) {
        self.cancelled.notified().await;
    }
}

impl Drop for DocumentGuard<'_> {
    fn drop(&mut self) {
        if let Some(job) = self.jobs.running.lock().get_mut(&self.account) {
            job.document = None;
            job.count_change();
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
