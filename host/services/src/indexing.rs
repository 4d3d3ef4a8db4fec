//! Files of vector stores on their way into them. What waits is on the disk; a job of each tenant takes one after the other, with the pass
//! of a request of that tenant, and a job that a crash ended goes on with the next request. Not here: the stores (`vector_stores`).

use crate::{
    documents::{DocumentService, title_of},
    embeddings,
    indexing_jobs::Ending,
    ingestion::{DocumentSource, Ingestion, SectionedText},
    metering::RequestMeter,
    shared::Shared,
};
use bytes::Bytes;
use riad_admission::Request;
use riad_core::{
    Digest, Error, ErrorKind, Result, TenantPass,
    document::{DocumentFile, Metadata, NewChunk, NewDocument},
    file::StoredFile,
    ingestion::Upload,
    ledger::Kind,
    ports::Room,
    vector_store::{IndexingError, IndexingErrorCode, PendingFile},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tracing::Instrument;

/// How long a job waits when the tenant has too many requests, if nobody says how long.
const RETRY: Duration = Duration::from_secs(1);

/// Makes sure that the tenant's job runs. It changes with every file that has ended, and is closed when the job has.
pub(crate) fn start(shared: &Arc<Shared>, pass: &TenantPass) -> watch::Receiver<u64> {
    let account = pass.account();
    let (ended, is_new) = shared.indexing.begin(account);
    if !is_new {
        return ended;
    }
    let (shared, pass) = (Arc::clone(shared), pass.clone());
    tokio::spawn(run(shared, pass).in_current_span());
    ended
}

async fn run(shared: Arc<Shared>, pass: TenantPass) {
    let ending = Ending::of(&shared.indexing, pass.account());
    loop {
        match index_next(&shared, &pass).await {
            Ok(true) => shared.indexing.count_end(pass.account()),
            Ok(false) if shared.indexing.is_due_again(pass.account()) => {}
            Ok(false) => {
                ending.forget();
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
    let kind = error.kind();
    if [ErrorKind::Busy, ErrorKind::Unavailable, ErrorKind::Cancelled].contains(&kind) {
        return Err(error);
    }
    if kind == ErrorKind::Internal {
        tracing::error!(?error, "a file of a vector store was not indexed");
    }
    let error = IndexingError {
        code: IndexingErrorCode::of(kind),
        message: error.message().to_owned(),
    };
    // Nothing is there to be failed if it was removed or cancelled meanwhile.
    room.vector_stores.fail(&pending, error).await?;
    Ok(true)
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
    let meter = shared.metering.admit_background(pass, purpose).await?;
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
