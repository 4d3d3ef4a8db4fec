//! The `DocumentJobs` port of a room: what documents are to be made of, and what has become of it. Not here: making them (`services`), the
//! documents (`documents`).

use crate::{
    audit_lines,
    control::Control,
    documents::{self, PreparedDocument},
    erasure,
    error::{Failure, StoreResult, run_with_permit},
    expired::delete_expired,
    files::Written,
    generations::FILES,
    idempotency,
    indexes::OWN,
    names,
    room::RoomState,
    unfinished::PieceWriter,
};
use async_trait::async_trait;
use bytes::Bytes;
use riad_core::{
    Digest, DocumentId, DocumentJobId, Error, ErrorKind, Result, Timestamp,
    audit::AuditEntry,
    document::{Document, Metadata, NewChunk, NewDocument},
    document_job::{DocumentJob, JobError, JobStatus, PendingDocument},
    ingestion::{DocumentRequest, DocumentSource, TextFormat, Upload},
    ports::{DocumentJobs, RequestMark, StoredObject},
};
use rusqlite::{Connection, OptionalExtension, Row};
use std::{fs, sync::Arc};

/// Jobs of a room that wait.
const QUEUED_MAX: i64 = 10_000;
/// Those that have ended are kept for so many seconds, and so many.
const KEPT_SECONDS: i64 = 86_400;
const ENDED_MAX: i64 = 10_000;
const ENDED_DELETED_AT_ONCE: u32 = 100;

const QUEUED: &str = JobStatus::Queued.as_str();

pub(crate) struct RoomDocumentJobs {
    room: Arc<RoomState>,
    /// Bytes that it may store.
    most: u64,
    control: Arc<Control>,
}

impl RoomDocumentJobs {
    pub(crate) fn new(room: Arc<RoomState>, most: u64, control: Arc<Control>) -> Self {
        Self { room, most, control }
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&RoomState, &Connection) -> StoreResult<T> + Send + 'static,
    ) -> Result<T> {
        let room = self.room.clone();
        run_with_permit(&self.room.database.read_permits, move || {
            room.database.read(|connection| work(&room, connection))
        })
        .await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<RoomState>) -> StoreResult<T> + Send + 'static,
    ) -> Result<T> {
        let room = self.room.clone();
        run_with_permit(&self.room.database.write_permits, move || work(&room)).await
    }
}

#[async_trait]
impl DocumentJobs for RoomDocumentJobs {
    async fn add(&self, request: DocumentRequest, mark: Option<RequestMark>) -> Result<DocumentJob> {
        let (row, bytes) = NewRow::of(request)?;
        let mut writer = PieceWriter::begin(&self.room, self.most, |room| {
            delete_expired(room)?;
            delete_ended(room)?;
            room.database.read(check_queue)
        })
        .await?;
        writer.write(bytes).await?;
        writer
            .finish(move |connection, written| insert(connection, &row, &written, mark.as_ref()))
            .await
    }

    async fn get(&self, id: &DocumentJobId) -> Result<DocumentJob> {
        let id = id.clone();
        self.read(move |_, connection| get(connection, &id)).await
    }

    async fn cancel(&self, id: &DocumentJobId) -> Result<DocumentJob> {
        let id = id.clone();
        self.write(move |room| {
            let (job, digest) = room.write_reserved(|connection| {
                let digest = end(connection, &id, JobStatus::Cancelled, None, None)?;
                Ok((get(connection, &id)?, digest))
            })?;
            if let Some(digest) = digest {
                room.delete_unnamed_file(&digest);
                erasure::erase(room);
            }
            Ok(job)
        })
        .await
    }

    async fn next_pending(&self) -> Result<Option<DocumentJobId>> {
        self.read(|_, connection| {
            let id: Option<String> = connection
                .prepare_cached("SELECT id FROM document_jobs WHERE status = 'queued' ORDER BY number LIMIT 1")?
                .query_row([], |row| row.get(0))
                .optional()?;
            Ok(id.map(|id| id.parse()).transpose()?)
        })
        .await
    }

    async fn pending(&self, id: &DocumentJobId) -> Result<Option<PendingDocument>> {
        let id = id.clone();
        self.read(move |room, connection| pending(room, connection, id)).await
    }

    async fn complete(
        &self,
        id: &DocumentJobId,
        document: NewDocument,
        chunks: Vec<NewChunk>,
        line: AuditEntry,
    ) -> Result<Document> {
        let (id, most, control) = (id.clone(), self.most, self.control.clone());
        self.write(move |room| {
            let document = complete(room, most, &id, document, &chunks, line)?;
            // It stays in the room until then, also if the log cannot be written now.
            if let Err(error) = audit_lines::move_to_log(&room.database, &control) {
                tracing::error!(%error, "a line of the audit log stays in its room; its next opening tries to write it again");
            }
            Ok(document)
        })
        .await
    }

    async fn end(&self, id: &DocumentJobId, ended: Result<DocumentId, JobError>) -> Result<()> {
        let id = id.clone();
        self.write(move |room| {
            let digest = room.write_reserved(|connection| match &ended {
                Ok(document) => {
                    let number = connection
                        .prepare_cached("SELECT number FROM documents WHERE id = ?1")?
                        .query_row([document.as_str()], |row| row.get(0))
                        .optional()?;
                    end(connection, &id, JobStatus::Completed, number, None)
                }
                Err(error) => end(connection, &id, JobStatus::Failed, None, Some(error)),
            })?;
            if let Some(digest) = digest {
                room.delete_unnamed_file(&digest);
                erasure::erase_soon(room);
            }
            Ok(())
        })
        .await
    }
}

/// A new job without its bytes.
struct NewRow {
    title: Option<String>,
    metadata: String,
    format: Option<&'static str>,
    name: Option<String>,
    media_type: Option<String>,
}

impl NewRow {
    fn of(request: DocumentRequest) -> Result<(Self, Bytes)> {
        let metadata = serde_json::to_string(&request.metadata).map_err(Error::internal)?;
        let row = Self {
            title: request.title,
            metadata,
            format: None,
            name: None,
            media_type: None,
        };
        Ok(match request.source {
            DocumentSource::Text { text, format } => {
                let format = Some(format.as_str());
                (Self { format, ..row }, text.into())
            }
            DocumentSource::File(upload) => {
                let (name, media_type) = (Some(upload.name), Some(upload.media_type));
                (
                    Self {
                        name,
                        media_type,
                        ..row
                    },
                    upload.bytes,
                )
            }
        })
    }
}

fn check_queue(connection: &Connection) -> StoreResult<()> {
    let queued: i64 = connection
        .prepare_cached("SELECT count(*) FROM document_jobs WHERE status = 'queued'")?
        .query_row([], |row| row.get(0))?;
    if queued >= QUEUED_MAX {
        let text = format!(
            "{queued} documents of this tenant are waiting, as many as may be; send this one when some are made"
        );
        return Err(Error::new(ErrorKind::Busy, text).into());
    }
    Ok(())
}

fn insert(
    connection: &Connection,
    new: &NewRow,
    written: &Written,
    mark: Option<&RequestMark>,
) -> StoreResult<DocumentJob> {
    check_queue(connection)?;
    let job = DocumentJob {
        id: names::new_document_job().parse()?,
        status: JobStatus::Queued,
        created: Timestamp::now().as_seconds(),
        progress: None,
        document: None,
        error: None,
    };
    connection
        .prepare_cached(
            "INSERT INTO document_jobs (id, status, created, title, metadata, format, name, media_type, digest, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute((
            job.id.as_str(),
            QUEUED,
            job.created.cast_signed(),
            &new.title,
            &new.metadata,
            new.format,
            &new.name,
            &new.media_type,
            written.digest.to_string(),
            written.bytes.cast_signed(),
        ))?;
    if let Some(mark) = mark {
        idempotency::mark(connection, mark, &StoredObject::DocumentJob(job.id.clone()))?;
    }
    Ok(job)
}

pub(crate) fn get(connection: &Connection, id: &DocumentJobId) -> StoreResult<DocumentJob> {
    let found = connection
        .prepare_cached("SELECT status, created, document, error FROM document_jobs WHERE id = ?1")?
        .query_row([id.as_str()], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, Option<i64>>(2)?,
                row.get::<_, Option<String>>(3)?,
            ))
        })
        .optional()?;
    let no_job = || Error::not_found(format!("there is no document job \"{id}\""));
    let (status, created, document, error) = found.ok_or_else(no_job)?;
    Ok(DocumentJob {
        id: id.clone(),
        status: JobStatus::of(&status)
            .ok_or_else(|| Failure::Data("an unknown status of a document job".to_owned()))?,
        created: created.cast_unsigned(),
        progress: None,
        document: document
            .map(|number| documents::of_number(connection, number))
            .transpose()?,
        error: error.map(|error| serde_json::from_str(&error)).transpose()?,
    })
}

struct PendingRow {
    title: Option<String>,
    metadata: String,
    format: Option<String>,
    name: Option<String>,
    media_type: Option<String>,
    digest: String,
    bytes: i64,
}

fn read_pending(row: &Row<'_>) -> rusqlite::Result<PendingRow> {
    Ok(PendingRow {
        title: row.get(0)?,
        metadata: row.get(1)?,
        format: row.get(2)?,
        name: row.get(3)?,
        media_type: row.get(4)?,
        digest: row.get(5)?,
        bytes: row.get(6)?,
    })
}

fn find_pending(connection: &Connection, id: &DocumentJobId) -> StoreResult<Option<PendingRow>> {
    Ok(connection
        .prepare_cached(
            "SELECT title, metadata, format, name, media_type, digest, bytes FROM document_jobs
             WHERE id = ?1 AND status = 'queued'",
        )?
        .query_row([id.as_str()], read_pending)
        .optional()?)
}

/// Whether what waits for this one can be made; of one that has ended, nothing is kept.
pub(crate) fn check_pending(connection: &Connection, id: &DocumentJobId) -> StoreResult<()> {
    let Some(row) = find_pending(connection, id)? else {
        return Ok(());
    };
    row.digest.parse::<Digest>()?;
    serde_json::from_str::<Metadata>(&row.metadata)?;
    row.format.as_deref().map(format_of).transpose()?;
    Ok(())
}

fn format_of(word: &str) -> StoreResult<TextFormat> {
    TextFormat::of(word).ok_or_else(|| Failure::Data("an unknown format of a document job".to_owned()))
}

/// With its bytes, which are in memory anyway while they are read.
fn pending(room: &RoomState, connection: &Connection, id: DocumentJobId) -> StoreResult<Option<PendingDocument>> {
    let Some(row) = find_pending(connection, &id)? else {
        return Ok(None);
    };
    let digest: Digest = row.digest.parse()?;
    let bytes = fs::read(room.folder.join(FILES).join(digest.hex()))?;
    if bytes.len() as u64 != row.bytes.cast_unsigned() {
        return Err(Failure::Data(format!("the bytes of {id} have changed their length")));
    }
    let source = match row.format {
        Some(format) => DocumentSource::Text {
            text: String::from_utf8(bytes).map_err(|_| Failure::Data(format!("the text of {id} is none")))?,
            format: format_of(&format)?,
        },
        None => DocumentSource::File(Upload {
            name: row.name.unwrap_or_default(),
            media_type: row.media_type.unwrap_or_default(),
            bytes: bytes.into(),
        }),
    };
    Ok(Some(PendingDocument {
        id,
        request: DocumentRequest {
            title: row.title,
            source,
            metadata: serde_json::from_str(&row.metadata)?,
        },
    }))
}

fn complete(
    room: &Arc<RoomState>,
    most: u64,
    id: &DocumentJobId,
    document: NewDocument,
    chunks: &[NewChunk],
    line: AuditEntry,
) -> StoreResult<Document> {
    let prepared = PreparedDocument::new(room, OWN, document, chunks)?;
    let (document, digest) = room.write_then(
        |connection| {
            let original = kept(connection, id)?;
            let original = original.ok_or_else(|| Error::not_found("the document is not waited for any more"))?;
            let (document, number, change) = prepared.insert(connection, Some(&original))?;
            end(connection, id, JobStatus::Completed, Some(number), None)?;
            let object = document.id.to_string();
            audit_lines::keep(connection, AuditEntry { object, ..line })?;
            room.check_quota(connection, most)?;
            Ok((document, original.digest, change))
        },
        |connection, (document, digest, change)| {
            room.indexes.follow(connection, change);
            Ok((document, digest))
        },
    )?;
    // The original of a file is named by its document.
    room.delete_unnamed_file(&digest);
    // What is left in the log of the job's row.
    erasure::erase_soon(room);
    room.save_due_indexes();
    Ok(document)
}

/// The digest of what the document was to be made of, whose file may be named by nothing now; `None` if it did not wait.
fn end(
    connection: &Connection,
    id: &DocumentJobId,
    status: JobStatus,
    document: Option<i64>,
    error: Option<&JobError>,
) -> StoreResult<Option<Digest>> {
    let Some(kept) = kept(connection, id)? else {
        return Ok(None);
    };
    connection
        .prepare_cached(
            "UPDATE document_jobs SET status = ?2, document = ?3, error = ?4, ended = ?5, title = NULL, metadata = NULL, format = NULL,
                name = NULL, media_type = NULL, digest = NULL, bytes = NULL
             WHERE id = ?1",
        )?
        .execute((
            id.as_str(),
            status.as_str(),
            document,
            error.map(serde_json::to_string).transpose()?,
            now(),
        ))?;
    Ok(Some(kept.digest))
}

/// What is kept for a job that waits.
fn kept(connection: &Connection, id: &DocumentJobId) -> StoreResult<Option<Written>> {
    let found: Option<(String, i64)> = connection
        .prepare_cached("SELECT digest, bytes FROM document_jobs WHERE id = ?1 AND status = 'queued'")?
        .query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let written = |(digest, bytes): (String, i64)| {
        Ok(Written {
            digest: digest.parse()?,
            bytes: bytes.cast_unsigned(),
        })
    };
    found.map(written).transpose()
}

/// Forgets some of the jobs that ended long ago, or before the last thousand.
pub(crate) fn delete_ended(room: &RoomState) -> StoreResult<()> {
    const SURPLUS: &str = "SELECT number FROM document_jobs WHERE ended < ?1
        OR ended IS NOT NULL AND number IN (SELECT number FROM document_jobs WHERE ended IS NOT NULL
            ORDER BY ended DESC, number DESC LIMIT -1 OFFSET ?2)
        LIMIT ?3";
    let bounds = (now() - KEPT_SECONDS, ENDED_MAX, ENDED_DELETED_AT_ONCE);
    let is_due = room
        .database
        .read(|connection| Ok(connection.prepare_cached(SURPLUS)?.exists(bounds)?))?;
    if !is_due {
        return Ok(());
    }
    room.write_reserved(|connection| {
        connection
            .prepare_cached(&format!("DELETE FROM document_jobs WHERE number IN ({SURPLUS})"))?
            .execute(bounds)?;
        Ok(())
    })
}

fn now() -> i64 {
    Timestamp::now().as_seconds().cast_signed()
}
