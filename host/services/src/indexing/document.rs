//! Makes the document of a job.

use crate::{
    audit,
    document_maker::{self, DocumentMaker, Made},
    embeddings,
    shared::Shared,
};
use riad_core::{
    DocumentJobId, ErrorKind, Result, TenantPass,
    document_job::{JobProgress, PendingDocument},
    ledger::Kind,
    ports::Room,
};
use std::sync::Arc;

/// Ends the job, if it has not been cancelled meanwhile; an error is what it is to end with.
pub(super) async fn make(shared: &Arc<Shared>, pass: &TenantPass, room: &Room, id: &DocumentJobId) -> Result<()> {
    // Before the job is read: one that is cancelled after that is told.
    let guard = shared.indexing.begin_document(pass.account(), id.clone());
    let Some(pending) = room.document_jobs.pending(id).await? else {
        return Ok(());
    };
    let report = |progress| guard.report(progress);
    tokio::select! {
        // What has been done until then is billed, as if a client had gone away.
        () = guard.cancelled() => Ok(()),
        made = make_pending(shared, pass, room, pending, &report) => made,
    }
}

async fn make_pending(
    shared: &Arc<Shared>,
    pass: &TenantPass,
    room: &Room,
    pending: PendingDocument,
    report: &(dyn Fn(JobProgress) + Send + Sync),
) -> Result<()> {
    let PendingDocument { id, request } = pending;
    let jobs = &room.document_jobs;
    shared.rooms.check_change(pass)?;
    // The limits may be others than when it was sent.
    let request = document_maker::check(shared, request)?;
    let purpose = embeddings::purpose(shared, Kind::Document);
    let meter = shared.metering.admit_background(pass, purpose).await?;
    let mut work = shared.work(pass).keep(meter.handle());
    let maker = DocumentMaker {
        shared,
        pass,
        room,
        meter: &meter,
        report,
    };
    let made = maker.make(request, &mut work).await;
    drop(work);
    match meter.record_engine_result(made)? {
        Made::Existing(document) => jobs.end(&id, Ok(document.id)).await?,
        Made::New { document, chunks } => {
            let source = document.file.as_ref().map(|file| file.source);
            let line = audit::by_server(pass, "document.create", "", None);
            match jobs.complete(&id, document, chunks, line).await {
                // It was cancelled at the last moment.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // The same file may have been added meanwhile.
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    let found = match source {
                        Some(source) => room.documents.find_source(&source).await?,
                        None => None,
                    };
                    let found = found.ok_or(error)?;
                    jobs.end(&id, Ok(found.id)).await?;
                }
                stored => drop(meter.record_result(stored)?),
            }
        }
    }
    meter.settle().await?;
    Ok(())
}
