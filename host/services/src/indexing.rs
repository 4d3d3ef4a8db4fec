//! Files of vector stores on their way into them. What waits is on the disk; a job of each tenant takes one after the other, with the pass
//! of a request of that tenant, and a job that a crash ended goes on with the next request. Not here: the stores (`vector_stores`).

use crate::{
    documents::{DocumentService, title_of},
    embeddings,
    ingestion::{DocumentSource, Ingestion, SectionedText},
    metering::RequestMeter,
    shared::Shared,
};
use bytes::Bytes;
use parking_lot::Mutex;
use riad_admission::{Bounds, FewestHeld, Limiter, Request};
use riad_core::{
    Account, Digest, Error, ErrorKind, Limits, Result, TenantPass,
    document::{DocumentFile, Metadata, NewChunk, NewDocument},
    file::StoredFile,
    ingestion::Upload,
    ledger::Kind,
    ports::Room,
    resources,
    vector_store::{IndexingError, IndexingErrorCode, PendingFile},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::watch;
use tracing::Instrument;

/// How long a job waits when the tenant has too many requests, if nobody says how long.
const RETRY: Duration = Duration::from_secs(1);

/// The jobs that run, one of a tenant at most.
pub(crate) struct IndexingJobs {
    running: Mutex<HashMap<Account, Job>>,
    /// Files that are in memory.
    files: Limiter<FewestHeld>,
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

    /// Whether the job is to look once more; if not, it has ended.
    fn is_due_again(&self, account: Account) -> bool {
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

    fn count_end(&self, account: Account) {
        if let Some(job) = self.running.lock().get(&account) {
            job.ended.send_modify(|ended| *ended += 1);
        }
    }
}

/// Makes sure that the tenant's job runs. It changes with every file that has ended, and is closed when the job has.
pub(crate) fn start(shared: &Arc<Shared>, pass: &TenantPass) -> watch::Receiver<u64> {
    let account = pass.account();
    let ended = {
        let mut running = shared.indexing.running.lock();
        if let Some(job) = running.get_mut(&account) {
            job.is_due = true;
            return job.ended.subscribe();
        }
        running.entry(account).or_default().ended.subscribe()
    };
    let (shared, pass) = (Arc::clone(shared), pass.clone());
    tokio::spawn(run(shared, pass).in_current_span());
    ended
}

async fn run(shared: Arc<Shared>, pass: TenantPass) {
    // Also if a file makes it panic: the next request begins a new one.
    let mut ending = Ending(Some((&shared.indexing, pass.account())));
    loop {
        match index_next(&shared, &pass).await {
            Ok(true) => shared.indexing.count_end(pass.account()),
            Ok(false) if shared.indexing.is_due_again(pass.account()) => {}
            Ok(false) => {
                // It is forgotten already, and there may be another one by now.
                ending.0 = None;
                return;
            }
            Err(error) if error.kind() == ErrorKind::Busy => {
                tokio::time::sleep(error.retry_after().unwrap_or(RETRY)).await;
            }
            Err(error) => {
                tracing::warn!(%error, "files of vector stores wait for the tenant's next request");
                return;
            }
        }
    }
}

struct Ending<'a>(Option<(&'a IndexingJobs, Account)>);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if let Some((jobs, account)) = self.0 {
            jobs.running.lock().remove(&account);
        }
    }
}

/// Indexes the file that has waited for the longest time; false if none waits. Fails if it is to wait longer.
async fn index_next(shared: &Arc<Shared>, pass: &TenantPass) -> Result<bool> {
    let room = shared.rooms.open(pass).await?;
    let Some(pending) = room.vector_stores.next_pending().await? else {
        return Ok(false);
    };
    let request = Request::new(pass.account(), ());
    let permit = shared.indexing.files.acquire(request).await;
    let _permit = permit.map_err(|_| Error::internal("a file waits for memory without a bound and was refused"))?;
    let Err(error) = index(shared, pass, &room, &pending).await else {
        return Ok(true);
    };
    match error.kind() {
        // It was removed or cancelled meanwhile.
        ErrorKind::NotFound => Ok(true),
        ErrorKind::Busy | ErrorKind::Unavailable | ErrorKind::Cancelled => Err(error),
        kind => {
            if kind == ErrorKind::Internal {
                tracing::error!(?error, "a file of a vector store was not indexed");
            }
            let error = IndexingError {
                code: IndexingErrorCode::of(kind),
                message: error.message().to_owned(),
            };
            room.vector_stores.fail(&pending, error).await?;
            Ok(true)
        }
    }
}

async fn index(shared: &Arc<Shared>, pass: &TenantPass, room: &Room, pending: &PendingFile) -> Result<()> {
    let file = room.files.get(&pending.new.file).await?;
    let most = shared.limits.file_bytes;
    if file.bytes > most {
        let text = format!(
            "the file has {} bytes, one that is searched may have {most}; split it",
            file.bytes
        );
        return Err(Error::new(ErrorKind::TooLarge, text));
    }
    room.storage.check(file.bytes)?;
    let upload = Upload {
        bytes: read(room, &file).await?,
        name: file.name,
        media_type: String::new(),
    };
    let purpose = embeddings::purpose(shared, Kind::Document);
    let meter = shared.metering.admit(pass, purpose).await?;
    let made = make(shared, pass, room, &meter, pending, upload).await;
    let (document, chunks) = meter.record_engine_result(made)?;
    room.vector_stores.complete(pending, document, chunks).await?;
    meter.settle().await?;
    Ok(())
}

/// All bytes of a file.
async fn read(room: &Room, file: &StoredFile) -> Result<Bytes> {
    let most = usize::try_from(file.bytes).map_err(Error::internal)?;
    let bytes = room.files.open(&file.id).await?.read(most).await?;
    match bytes.len() == most {
        true => Ok(bytes),
        false => Err(Error::internal("a file is shorter than its length")),
    }
}

/// The file as a document with its chunks.
async fn make(
    shared: &Arc<Shared>,
    pass: &TenantPass,
    room: &Room,
    meter: &RequestMeter,
    pending: &PendingFile,
    upload: Upload,
) -> Result<(NewDocument, Vec<NewChunk>)> {
    // The handle keeps the request open, so that it counts among the tenant's concurrent ones.
    let mut work = shared.work(pass).keep(meter.handle());
    let source = DocumentSource::File(upload.clone()).check(shared)?;
    let mut ingestion = Ingestion::begin(shared, pass, room, meter, &source).await?;
    drop(source);
    meter.record_usage(|used| used.requests = 1);
    let name = upload.name.clone();
    let extracted = ingestion.extract(upload).await?;
    let title = title_of(&extracted.title, &name);
    let text = SectionedText::of_sections(extracted.sections);
    let size = pending.new.chunk_size;
    let pieces = ingestion.chunk(&title, Arc::clone(&text.sections), size).await?;
    let documents = DocumentService(Arc::clone(shared));
    let chunks = documents.embed(&title, &text, &pieces, meter, &mut work).await?;
    let document = NewDocument {
        title,
        text: text.text,
        metadata: Metadata::new(),
        file: Some(DocumentFile {
            media_type: extracted.media_type,
            warnings: extracted.warnings,
            // A file is once in a store, whatever other files have.
            source: Digest::of_parts(&[pending.store.as_str().as_bytes(), pending.new.file.as_str().as_bytes()]),
        }),
    };
    Ok((document, chunks))
}
