//! Documents that nobody waits for: their jobs, as the tenant sees them. Not here: the work (`indexing`).

use crate::{audit, document_maker, indexing, shared::Shared};
use riad_admission::Kept;
use riad_core::{
    DocumentJobId, Result, TenantPass,
    document_job::{DocumentJob, JobStatus},
    grants::{Access, Scope},
    ingestion::DocumentRequest,
    ports::RequestMark,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{self, Instant},
};

/// How long a follower waits for a job on which nobody works.
const RETRY: Duration = Duration::from_secs(1);

pub struct DocumentJobService(pub(crate) Arc<Shared>);

/// A job as it changes.
pub struct JobChanges {
    shared: Arc<Shared>,
    pass: TenantPass,
    /// As it was last told.
    job: DocumentJob,
    is_told: bool,
    changes: Option<watch::Receiver<u64>>,
    deadline: Instant,
}

impl DocumentJobService {
    /// When it returns, the document is made, whoever goes away and however the process ends. `mark` is the request's idempotency key, if it
    /// has one. `upload` is dropped when the request is on the disk, also if the client has gone.
    ///
    /// # Errors
    /// Of `DocumentService::create` those that are known before it is made; `Busy` also if too many of the tenant's documents wait.
    pub async fn create(
        &self,
        pass: &TenantPass,
        request: DocumentRequest,
        upload: Kept,
        mark: Option<RequestMark>,
    ) -> Result<DocumentJob> {
        pass.require(Scope::Documents, Access::Write)?;
        self.0.control.count_change(pass.account())?;
        let request = document_maker::check(&self.0, request)?;
        let room = self.0.rooms.open(pass).await?;
        let (shared, owner) = (Arc::clone(&self.0), pass.clone());
        audit::run_to_completion(async move {
            let job = room.document_jobs.add(request, mark).await?;
            drop(upload);
            shared.indexing.own(&owner, job.id.as_str().to_owned());
            // Also when the client has gone meanwhile.
            indexing::start(&shared, &owner);
            audit::record(&shared, &owner, "document_job.create", job.id.as_str()).await?;
            Ok(job)
        })
        .await
    }

    /// # Errors
    /// `NotFound` if the room has none with the id.
    pub async fn get(&self, pass: &TenantPass, id: &DocumentJobId) -> Result<DocumentJob> {
        pass.require(Scope::Documents, Access::Read)?;
        let job = self.read(pass, id).await?;
        self.go_on(pass, &job);
        Ok(job)
    }

    /// A job that has ended stays as it is.
    ///
    /// # Errors
    /// `NotFound` if the room has none with the id; `Forbidden`; `Busy` after too many changes.
    pub async fn cancel(&self, pass: &TenantPass, id: &DocumentJobId) -> Result<DocumentJob> {
        pass.require(Scope::Documents, Access::Write)?;
        self.0.control.count_change(pass.account())?;
        let room = self.0.rooms.open(pass).await?;
        let (shared, pass, id) = (Arc::clone(&self.0), pass.clone(), id.clone());
        audit::run_to_completion(async move {
            let job = room.document_jobs.cancel(&id).await?;
            shared.indexing.cancel(pass.account(), &id);
            // One that has ended was not cancelled by this.
            if job.status == JobStatus::Cancelled {
                audit::record(&shared, &pass, "document_job.cancel", id.as_str()).await?;
            }
            Ok(job)
        })
        .await
    }

    /// # Errors
    /// `NotFound` if the room has none with the id.
    pub async fn follow(&self, pass: &TenantPass, id: &DocumentJobId) -> Result<JobChanges> {
        pass.require(Scope::Documents, Access::Read)?;
        // Before the job is read: no change after that is missed.
        let changes = self.0.indexing.subscribe(pass.account());
        let job = self.get(pass, id).await?;
        Ok(JobChanges {
            shared: Arc::clone(&self.0),
            pass: pass.clone(),
            job,
            is_told: false,
            changes,
            deadline: Instant::now() + Duration::from_millis(self.0.limits.request_ms),
        })
    }

    async fn read(&self, pass: &TenantPass, id: &DocumentJobId) -> Result<DocumentJob> {
        let room = self.0.rooms.open(pass).await?;
        // Before what is on the disk: a job that ends in between has ended there.
        let progress = self.0.indexing.progress(pass.account(), id);
        let job = room.document_jobs.get(id).await?;
        Ok(match (job.status, progress) {
            (JobStatus::Queued, Some(_)) => DocumentJob {
                status: JobStatus::InProgress,
                progress,
                ..job
            },
            _ => job,
        })
    }

    /// What waits since before a crash goes on with whoever asks for it and may add documents.
    fn go_on(&self, pass: &TenantPass, job: &DocumentJob) {
        if job.status == JobStatus::Queued && pass.require(Scope::Documents, Access::Write).is_ok() {
            indexing::start(&self.0, pass);
        }
    }
}

impl JobChanges {
    /// The job as it is, and then after each change; `None` after its end, or after the time that a request may take.
    ///
    /// # Errors
    /// `NotFound` if the job was forgotten meanwhile.
    pub async fn next(&mut self) -> Result<Option<DocumentJob>> {
        if !self.is_told {
            self.is_told = true;
            return Ok(Some(self.job.clone()));
        }
        let service = DocumentJobService(Arc::clone(&self.shared));
        while !self.job.status.is_end() {
            if time::timeout_at(self.deadline, self.changed()).await.is_err() {
                return Ok(None);
            }
            let job = service.get(&self.pass, &self.job.id).await?;
            if job != self.job {
                self.job = job.clone();
                return Ok(Some(job));
            }
        }
        Ok(None)
    }

    /// Waits until something may have changed.
    async fn changed(&mut self) {
        match &mut self.changes {
            Some(changes) => {
                if changes.changed().await.is_err() {
                    // The work on it has stopped, with the job's end or until it is tried again.
                    self.changes = None;
                    time::sleep(RETRY).await;
                }
            }
            // What has changed until now is read after this.
            None => {
                self.changes = self.shared.indexing.subscribe(self.pass.account());
                if self.changes.is_none() {
                    time::sleep(RETRY).await;
                }
            }
        }
    }
}
