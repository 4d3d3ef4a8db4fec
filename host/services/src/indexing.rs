//! Files of vector stores on their way into them, and documents that nobody waits for. What waits is on the disk; a job of each tenant takes
//! one after the other, each with the pass of the request that added it, so that it is billed to that key. What a crash left goes on with the pass of
//! the tenant's next request. Not here: the stores (`vector_stores`), the tenants' view of documents' jobs (`document_jobs`).

mod document;

use crate::{
    document_maker::{DocumentMaker, title_of},
    embeddings,
    indexing_jobs::Ending,
    ingestion::{self, Ingestion, SectionedText, check_source},
    metering::RequestMeter,
    shared::Shared,
};
use riad_admission::{FewestHeld, Permit, Request};
use riad_core::{
    Account, Digest, Error, ErrorKind, FileId, Result, TenantPass, VectorStoreId,
    document::{DocumentFile, Metadata, NewChunk, NewDocument},
    document_job::JobError,
    grants::{Access, Scope},
    ingestion::{DocumentSource, Upload},
    ledger::Kind,
    ports::Room,
    vector_store::{IndexingError, IndexingErrorCode, NewVectorStoreFile, PendingFile},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tracing::Instrument;

/// How long a job waits when the tenant has too many requests, if nobody says how long.
const RETRY: Duration = Duration::from_secs(1);

/// Goes on with documents that wait since before a crash, whatever the tenant asks for, if the pass may add documents.
pub(crate) async fn resume(shared: &Arc<Shared>, pass: &TenantPass, room: &Room) -> Result<()> {
    if pass.require(Scope::Documents, Access::Write).is_ok()
        && shared.indexing.subscribe(pass.account()).is_none()
        && room.document_jobs.next_pending().await?.is_some()
    {
        start(shared, pass);
    }
    Ok(())
}

/// Makes sure that the tenant's job runs. It changes with everything that has ended or gone a step on, and is closed when the job has.
pub(crate) fn start(shared: &Arc<Shared>, pass: &TenantPass) -> watch::Receiver<u64> {
    let (changes, is_new) = shared.indexing.begin(pass);
    if is_new {
        tokio::spawn(run(Arc::clone(shared), pass.account()).in_current_span());
    }
    changes
}

async fn run(shared: Arc<Shared>, account: Account) {
    let ending = Ending::of(&shared.indexing, account);
    while let Some(pass) = shared.indexing.pass(account) {
        match index_next(&shared, &pass).await {
            Ok(true) => shared.indexing.count_change(account),
            Ok(false) if shared.indexing.is_due_again(account) => {}
            Ok(false) => {
                ending.forget();
                return;
            }
            Err(error) if error.kind() == ErrorKind::Busy => {
                tokio::time::sleep(error.retry_after().unwrap_or(RETRY)).await;
            }
            Err(error) => {
                tracing::warn!(%error, "what a tenant has waiting to be indexed waits for its next request");
                return;
            }
        }
    }
}

/// Makes the document and indexes the file that have waited for the longest time, so that neither waits for all of the others; false if none
/// waits. Fails if they are to wait longer.
async fn index_next(shared: &Arc<Shared>, pass: &TenantPass) -> Result<bool> {
    let room = shared.rooms.open(pass).await?;
    let document = room.document_jobs.next_pending().await?;
    let file = room.vector_stores.next_pending().await?;
    let is_any = document.is_some() || file.is_some();
    if let Some(id) = document {
        let _permit = hold_memory(shared, pass).await?;
        let owner = shared.indexing.owner(pass.account(), id.as_str());
        if let Err(error) = document::make(shared, owner.as_ref().unwrap_or(pass), &room, &id).await {
            let end = Err(JobError::from(&not_to_be_tried_again(error, owner.is_some())?));
            room.document_jobs.end(&id, end).await?;
        }
        shared.indexing.disown(pass.account(), id.as_str());
        shared.indexing.count_change(pass.account());
    }
    if let Some(pending) = file {
        let _permit = hold_memory(shared, pass).await?;
        let thing = file_in_store(&pending.store, &pending.new.file);
        let owner = shared.indexing.owner(pass.account(), &thing);
        if let Err(error) = index(shared, owner.as_ref().unwrap_or(pass), &room, &pending).await {
            let error = not_to_be_tried_again(error, owner.is_some())?;
            let error = IndexingError {
                code: IndexingErrorCode::of(error.kind()),
                message: error.message_for_client().to_owned(),
            };
            // Nothing is there to be failed if it was removed or cancelled meanwhile.
            room.vector_stores.fail(&pending, error).await?;
        }
        shared.indexing.disown(pass.account(), &thing);
    }
    Ok(is_any)
}

/// The right to have a file in memory.
async fn hold_memory(shared: &Shared, pass: &TenantPass) -> Result<Permit<FewestHeld>> {
    let request = Request::new(pass.account(), ());
    let permit = shared.indexing.files.acquire(request).await;
    permit.map_err(|_| Error::internal("a file waits for memory without a bound and was refused"))
}

/// Notes who adds these files, before they are there to be worked on.
pub(crate) fn own_files(shared: &Shared, pass: &TenantPass, store: &VectorStoreId, files: &[NewVectorStoreFile]) {
    for new in files {
        shared.indexing.own(pass, file_in_store(store, &new.file));
    }
}

/// The name of a file that waits.
fn file_in_store(store: &VectorStoreId, file: &FileId) -> String {
    format!("{store}/{file}")
}

/// The error of something that has failed for good; `Err` if it is to wait. The budget of another key than the one that added it is no reason
/// to fail.
fn not_to_be_tried_again(error: Error, is_owners: bool) -> Result<Error> {
    let kind = error.kind();
    let waits = [ErrorKind::Busy, ErrorKind::Unavailable, ErrorKind::Cancelled].contains(&kind);
    if waits || (kind == ErrorKind::QuotaExceeded && !is_owners) {
        return Err(error);
    }
    if kind == ErrorKind::Internal {
        tracing::error!(?error, "a file or document that nobody waits for was not indexed");
    }
    Ok(error)
}

async fn index(shared: &Arc<Shared>, pass: &TenantPass, room: &Room, pending: &PendingFile) -> Result<()> {
    shared.rooms.check_change(pass)?;
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
        bytes: ingestion::read_file(room, &file).await?,
        name: file.name,
        media_type: String::new(),
    };
    let purpose = embeddings::purpose(shared, Kind::Document);
    let meter = shared.metering.admit_background(pass, purpose).await?;
    let made = make(shared, pass, room, &meter, pending, upload).await;
    let (document, chunks) = meter.record_engine_result(made)?;
    let stored = room.vector_stores.complete(pending, document, chunks).await;
    meter.record_result(stored)?;
    meter.settle().await?;
    Ok(())
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
    let source = check_source(DocumentSource::File(upload.clone()), shared)?;
    let mut ingestion = Ingestion::begin(shared, pass, room, meter, &source).await?;
    drop(source);
    meter.record_usage(|used| used.requests = 1);
    let name = upload.name.clone();
    let extracted = ingestion.extract(upload).await?;
    let title = title_of(&extracted.title, &name);
    let text = SectionedText::of_sections(extracted.sections);
    let size = pending.new.chunk_size;
    let pieces = ingestion.chunk(&title, Arc::clone(&text.sections), size).await?;
    let maker = DocumentMaker {
        shared,
        pass,
        room,
        meter,
        report: &|_| {},
    };
    let chunks = maker.embed(&title, &text, &pieces, &mut work).await?;
    let document = NewDocument {
        title,
        text: text.text,
        metadata: Metadata::new(),
        file: Some(DocumentFile {
            media_type: extracted.media_type,
            warnings: extracted.warnings,
            // A file is once in a store, whatever other files have.
            original: None,
            source: Digest::of_parts(&[pending.store.as_str().as_bytes(), pending.new.file.as_str().as_bytes()]),
        }),
    };
    Ok((document, chunks))
}
