//! The files of vector stores: which are there, which wait to be indexed, and what those became. Not here: the stores (`vector_stores`), the
//! files' bytes (`stored_files`).

use crate::{
    changes::Change,
    documents::{self, PreparedDocument},
    error::{Failure, StoreResult},
    metadata, names,
    room::RoomState,
    vector_stores::{count, list_query, now, number, status_of, use_store},
};
use riad_core::{
    DocumentId, Error, FileBatchId, FileId, VectorStoreId,
    document::{Metadata, NewChunk, NewDocument},
    vector_store::{
        ChunkSize, FileBatch, IndexingError, IndexingErrorCode, IndexingStatus, NewVectorStoreFile, PendingFile,
        VectorStoreFile, VectorStoreFilePage,
    },
};
use rusqlite::{Connection, OptionalExtension, Row};

/// Chunks that one transaction deletes, but those of one document at least. Taking the words of a chunk out takes some milliseconds.
pub(crate) const CHUNKS_AT_ONCE: u32 = 64;

/// Files that have left the stores of a room, of which it is known where they stood.
const PLACES_MAX: i64 = 10_000;
/// Of each file of a store, what [`read`] reads.
pub(crate) const FILES: &str =
    "SELECT vector_store_files.number, vector_stores.id, files.id, status, error_code, error_message, attributes,
        max_chunk_tokens, chunk_overlap_tokens, vector_store_files.bytes, vector_store_files.created
     FROM vector_store_files
     JOIN vector_stores ON vector_stores.number = vector_store_files.vector_store
     JOIN files ON files.number = vector_store_files.file";

/// What has become of the files of a batch.
const FILES_OF_BATCH: &str = "SELECT status, count(*), 0 FROM file_batch_files WHERE batch = ?1 GROUP BY status";

/// Adds files, which wait then. What is found of one that is added again stays until it is indexed anew, and has the new attributes at once.
pub(crate) fn add(
    connection: &Connection,
    id: &VectorStoreId,
    added: &[NewVectorStoreFile],
    batch: Option<i64>,
) -> StoreResult<()> {
    let store = use_store(connection, id)?;
    for new in added {
        let file = file_number(connection, &new.file)?;
        let before: Option<(Option<i64>, i64)> = connection
            .prepare_cached(
                "DELETE FROM vector_store_files WHERE vector_store = ?1 AND file = ?2 RETURNING document, bytes",
            )?
            .query_row((store, file), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (document, bytes) = before.unwrap_or_default();
        if let Some(document) = document {
            metadata::replace(connection, document, &new.attributes)?;
        }
        connection
            .prepare_cached(
                "INSERT INTO vector_store_files
                    (vector_store, file, status, attributes, max_chunk_tokens, chunk_overlap_tokens, document, bytes, created, batch)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute((
                store,
                file,
                IndexingStatus::InProgress.as_str(),
                serde_json::to_string(&new.attributes)?,
                new.chunk_size.map(|size| size.max_tokens),
                new.chunk_size.map(|size| size.overlap_tokens),
                document,
                bytes,
                now(),
                batch,
            ))?;
        if let Some(batch) = batch {
            connection
                .prepare_cached("INSERT OR REPLACE INTO file_batch_files (batch, file, status) VALUES (?1, ?2, ?3)")?
                .execute((batch, file, IndexingStatus::InProgress.as_str()))?;
        }
    }
    Ok(())
}

pub(crate) fn add_batch(
    connection: &Connection,
    id: &VectorStoreId,
    added: &[NewVectorStoreFile],
) -> StoreResult<FileBatch> {
    let store = number(connection, id)?;
    let last: Option<String> = connection.query_row("SELECT max(id) FROM file_batches", [], |row| row.get(0))?;
    let batch: FileBatchId = names::next_file_batch(last.as_deref()).parse()?;
    connection.execute(
        "INSERT INTO file_batches (id, vector_store, created) VALUES (?1, ?2, ?3)",
        (batch.as_str(), store, now()),
    )?;
    add(connection, id, added, Some(connection.last_insert_rowid()))?;
    self::batch(connection, id, &batch)
}

pub(crate) fn batch(connection: &Connection, id: &VectorStoreId, batch: &FileBatchId) -> StoreResult<FileBatch> {
    let number = batch_number(connection, id, batch)?;
    let (created, is_cancelled): (i64, bool) = connection.query_row(
        "SELECT created, is_cancelled FROM file_batches WHERE number = ?1",
        [number],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(FileBatch {
        id: batch.clone(),
        store: id.clone(),
        created: created.cast_unsigned(),
        is_cancelled,
        files: count(connection, FILES_OF_BATCH, number)?.0,
    })
}

/// Files of it that wait are not indexed, but for those that were added again since.
pub(crate) fn cancel_batch(connection: &Connection, id: &VectorStoreId, batch: &FileBatchId) -> StoreResult<FileBatch> {
    let number = batch_number(connection, id, batch)?;
    let before = count(connection, FILES_OF_BATCH, number)?.0;
    let mut statement = connection.prepare_cached(
        "UPDATE vector_store_files SET status = 'cancelled' WHERE batch = ?1 AND status = 'in_progress' RETURNING number",
    )?;
    let cancelled = statement.query_map([number], |row| row.get(0))?;
    for file in cancelled.collect::<rusqlite::Result<Vec<i64>>>()? {
        // An earlier batch may wait for it too.
        end_in_batches(connection, file, IndexingStatus::Cancelled)?;
    }
    connection.execute(
        "UPDATE file_batch_files SET status = 'cancelled' WHERE batch = ?1 AND status = 'in_progress'",
        [number],
    )?;
    // One whose files are all done is not cancelled by this.
    if count(connection, FILES_OF_BATCH, number)?.0.cancelled > before.cancelled {
        connection.execute("UPDATE file_batches SET is_cancelled = 1 WHERE number = ?1", [number])?;
    }
    self::batch(connection, id, batch)
}

/// What has become of a file is what the batches of its store say that wait for it.
fn end_in_batches(connection: &Connection, number: i64, status: IndexingStatus) -> StoreResult<()> {
    connection
        .prepare_cached(
            "UPDATE file_batch_files SET status = ?2
             WHERE status = 'in_progress' AND file = (SELECT file FROM vector_store_files WHERE number = ?1)
                AND batch IN (SELECT number FROM file_batches
                    WHERE vector_store = (SELECT vector_store FROM vector_store_files WHERE number = ?1))",
        )?
        .execute((number, status.as_str()))?;
    Ok(())
}

fn batch_number(connection: &Connection, id: &VectorStoreId, batch: &FileBatchId) -> StoreResult<i64> {
    let store = number(connection, id)?;
    let found = connection
        .prepare_cached("SELECT number FROM file_batches WHERE id = ?1 AND vector_store = ?2")?
        .query_row((batch.as_str(), store), |row| row.get(0))
        .optional()?;
    let text = || format!("the vector store {id} has no file batch {batch}");
    found.ok_or_else(|| Failure::Known(Error::not_found(text())))
}

fn file_number(connection: &Connection, file: &FileId) -> StoreResult<i64> {
    let found = connection
        .prepare_cached("SELECT number FROM files WHERE id = ?1 AND (expires IS NULL OR expires > ?2)")?
        .query_row((file.as_str(), now()), |row| row.get(0))
        .optional()?;
    let text = || format!("this room has no file {file}");
    found.ok_or_else(|| Failure::Known(Error::not_found(text()).with_param("file_id")))
}

/// Number of the file in the store.
fn number_in(connection: &Connection, id: &VectorStoreId, file: &FileId) -> StoreResult<i64> {
    let store = number(connection, id)?;
    let found = connection
        .prepare_cached(
            "SELECT number FROM vector_store_files
             WHERE vector_store = ?1 AND file = (SELECT number FROM files WHERE id = ?2)",
        )?
        .query_row((store, file.as_str()), |row| row.get(0))
        .optional()?;
    let text = || format!("the vector store {id} has no file {file}");
    found.ok_or_else(|| Failure::Known(Error::not_found(text())))
}

pub(crate) fn get(connection: &Connection, id: &VectorStoreId, file: &FileId) -> StoreResult<VectorStoreFile> {
    let number = number_in(connection, id, file)?;
    let row = connection
        .prepare_cached(&format!("{FILES} WHERE vector_store_files.number = ?1"))?
        .query_row([number], read_row)?;
    Ok(row.finish()?.1)
}

pub(crate) fn list(
    connection: &Connection,
    id: &VectorStoreId,
    page: &VectorStoreFilePage,
) -> StoreResult<Vec<VectorStoreFile>> {
    let store = number(connection, id)?;
    let bound = |param: &str, file: &Option<FileId>| {
        let file = file.as_ref();
        file.map(|file| place(connection, store, file, param)).transpose()
    };
    let (after, before) = (bound("after", &page.after)?, bound("before", &page.before)?);
    let batch = page
        .batch
        .as_ref()
        .map(|batch| batch_number(connection, id, batch))
        .transpose()?;
    let select = format!(
        "{FILES} WHERE vector_store_files.vector_store = ?4 AND (?5 IS NULL OR status = ?5)
            AND (?6 IS NULL OR vector_store_files.file IN (SELECT file FROM file_batch_files WHERE batch = ?6))"
    );
    let query = list_query(&select, "vector_store_files.number", page.ascending, before.is_some());
    let mut statement = connection.prepare_cached(&query)?;
    let status = page.status.map(IndexingStatus::as_str);
    let rows = statement.query_map((after, before, page.limit, store, status, batch), read_row)?;
    let mut files = rows.map(|row| Ok(row?.finish()?.1)).collect::<StoreResult<Vec<_>>>()?;
    if before.is_some() {
        files.reverse();
    }
    Ok(files)
}

/// Where a file stands in the list of a store, or stood before it was removed: a client may remove what it reads.
fn place(connection: &Connection, store: i64, file: &FileId, param: &str) -> StoreResult<i64> {
    let found = connection
        .prepare_cached(
            "SELECT vector_store_files.number FROM vector_store_files JOIN files ON files.number = file
             WHERE vector_store = ?1 AND files.id = ?2
             UNION ALL SELECT number FROM vector_store_places WHERE vector_store = ?1 AND file = ?2
             LIMIT 1",
        )?
        .query_row((store, file.as_str()), |row| row.get(0))
        .optional()?;
    let text = || format!("{param}: the vector store never had a file {file}, or it was removed long ago");
    found.ok_or_else(|| Failure::Known(Error::invalid(text()).with_param(param)))
}

pub(crate) fn text(connection: &Connection, id: &VectorStoreId, file: &FileId) -> StoreResult<String> {
    let number = number_in(connection, id, file)?;
    let found = connection
        .prepare_cached(
            "SELECT documents.text FROM vector_store_files JOIN documents ON documents.number = document
             WHERE vector_store_files.number = ?1",
        )?
        .query_row([number], |row| row.get(0))
        .optional()?;
    let text = || format!("the file {file} is not indexed; ask for its status");
    found.ok_or_else(|| Failure::Known(Error::not_found(text())))
}

pub(crate) fn set_attributes(
    connection: &Connection,
    id: &VectorStoreId,
    file: &FileId,
    attributes: &Metadata,
) -> StoreResult<VectorStoreFile> {
    let number = number_in(connection, id, file)?;
    let document: Option<i64> = connection
        .prepare_cached("UPDATE vector_store_files SET attributes = ?2 WHERE number = ?1 RETURNING document")?
        .query_row((number, serde_json::to_string(attributes)?), |row| row.get(0))?;
    if let Some(document) = document {
        metadata::replace(connection, document, attributes)?;
    }
    get(connection, id, file)
}

/// The change of its document, if it has one.
pub(crate) fn remove(connection: &Connection, id: &VectorStoreId, file: &FileId) -> StoreResult<Option<Change>> {
    let number = number_in(connection, id, file)?;
    remove_number(connection, number)
}

fn remove_number(connection: &Connection, number: i64) -> StoreResult<Option<Change>> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO vector_store_places (vector_store, file, number)
             SELECT vector_store, files.id, vector_store_files.number FROM vector_store_files JOIN files ON files.number = file
             WHERE vector_store_files.number = ?1",
        )?
        .execute([number])?;
    connection
        .prepare_cached("DELETE FROM vector_store_places WHERE removal <= ?1")?
        .execute([connection.last_insert_rowid() - PLACES_MAX])?;
    end_in_batches(connection, number, IndexingStatus::Cancelled)?;
    let document: Option<i64> = connection
        .prepare_cached("DELETE FROM vector_store_files WHERE number = ?1 RETURNING document")?
        .query_row([number], |row| row.get(0))?;
    document
        .map(|document| documents::delete_number(connection, document))
        .transpose()
}

/// Begins to delete a file, which nobody finds from now on. What is left of it then has expired, and is deleted as such.
pub(crate) fn begin_delete(connection: &Connection, file: i64) -> StoreResult<Deleted> {
    connection
        .prepare_cached("UPDATE files SET expires = 0 WHERE number = ?1")?
        .execute([file])?;
    delete_some(connection, file, &mut CHUNKS_AT_ONCE.clone())
}

/// What one transaction has deleted of a file: the changes are of the indexes of the stores that had it.
pub(crate) struct Deleted {
    pub(crate) changes: Vec<Change>,
    pub(crate) is_gone: bool,
}

/// Takes a file out of some of the stores that have it, and deletes it when none has it any more. Takes the chunks from what one transaction
/// may delete.
pub(crate) fn delete_some(connection: &Connection, file: i64, chunks: &mut u32) -> StoreResult<Deleted> {
    let mut statement = connection.prepare_cached(
        "SELECT vector_store_files.number, coalesce(documents.chunks, 0) FROM vector_store_files
         LEFT JOIN documents ON documents.number = document WHERE file = ?1 LIMIT ?2",
    )?;
    let found = statement.query_map((file, CHUNKS_AT_ONCE), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut changes = Vec::new();
    for (number, of_this) in found.collect::<rusqlite::Result<Vec<(i64, u32)>>>()? {
        if *chunks == 0 {
            break;
        }
        *chunks = chunks.saturating_sub(of_this.max(1));
        changes.extend(remove_number(connection, number)?);
    }
    let deleted = connection
        .prepare_cached(
            "DELETE FROM files WHERE number = ?1 AND NOT EXISTS (SELECT 1 FROM vector_store_files WHERE file = ?1)",
        )?
        .execute([file])?;
    Ok(Deleted {
        changes,
        is_gone: deleted > 0,
    })
}

pub(crate) fn next_pending(connection: &Connection) -> StoreResult<Option<PendingFile>> {
    let row = connection
        .prepare_cached(&format!(
            "{FILES} WHERE status = 'in_progress' AND NOT vector_stores.is_deleted ORDER BY vector_store_files.number LIMIT 1"
        ))?
        .query_row([], read_row)
        .optional()?;
    let Some((number, file)) = row.map(FileRow::finish).transpose()? else {
        return Ok(None);
    };
    Ok(Some(PendingFile {
        number,
        store: file.store,
        new: NewVectorStoreFile {
            file: file.file,
            attributes: file.attributes,
            chunk_size: file.chunk_size,
        },
    }))
}

pub(crate) fn complete(
    room: &RoomState,
    most: u64,
    pending: &PendingFile,
    mut document: NewDocument,
    chunks: &[NewChunk],
) -> StoreResult<()> {
    let store = room.database.read(|connection| number(connection, &pending.store))?;
    let bytes = document.text.len() as u64;
    // They are read in the transaction: they may have been changed meanwhile.
    document.metadata = Metadata::new();
    let prepared = PreparedDocument::new(room, store, document, chunks)?;
    room.write_then(
        |connection| {
            let waiting: Option<(String, Option<i64>)> = connection
                .prepare_cached(
                    "SELECT attributes, document FROM vector_store_files
                     WHERE number = ?1 AND vector_store = ?2 AND status = 'in_progress'",
                )?
                .query_row((pending.number, store), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (attributes, before) = waiting.ok_or_else(|| Error::not_found("the file waits no more"))?;
            let attributes = serde_json::from_str(&attributes)?;
            let mut changes = Vec::with_capacity(2);
            if let Some(before) = before {
                changes.push(documents::delete_number(connection, before)?);
            }
            let (_, number, change) = prepared.insert(connection, None)?;
            metadata::replace(connection, number, &attributes)?;
            changes.push(change);
            connection
                .prepare_cached(
                    "UPDATE vector_store_files SET status = 'completed', document = ?2, bytes = ?3 WHERE number = ?1",
                )?
                .execute((pending.number, number, bytes.cast_signed()))?;
            end_in_batches(connection, pending.number, IndexingStatus::Completed)?;
            room.check_quota(connection, most)?;
            Ok(changes)
        },
        |connection, changes| {
            room.indexes.follow_all(connection, changes);
            Ok(())
        },
    )?;
    room.save_due_indexes();
    Ok(())
}

/// What the file was before stays in the store.
pub(crate) fn fail(connection: &Connection, number: i64, error: &IndexingError) -> StoreResult<()> {
    let failed = connection
        .prepare_cached(
            "UPDATE vector_store_files SET status = 'failed', error_code = ?2, error_message = ?3
             WHERE number = ?1 AND status = 'in_progress'",
        )?
        .execute((number, error.code.as_str(), &error.message))?;
    match failed {
        0 => Ok(()),
        _ => end_in_batches(connection, number, IndexingStatus::Failed),
    }
}

pub(crate) fn sources(connection: &Connection, documents: &[DocumentId]) -> StoreResult<Vec<Option<(FileId, String)>>> {
    let mut statement = connection.prepare_cached(
        "SELECT files.id, files.name FROM documents
         JOIN vector_store_files ON vector_store_files.document = documents.number
         JOIN files ON files.number = vector_store_files.file
         WHERE documents.id = ?1",
    )?;
    let source = |document: &DocumentId| {
        let found = statement
            .query_row([document.as_str()], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))
            .optional()?;
        Ok(match found {
            Some((id, name)) => Some((id.parse()?, name)),
            None => None,
        })
    };
    documents.iter().map(source).collect()
}

/// With its number.
pub(crate) fn read(row: &Row<'_>) -> StoreResult<(i64, VectorStoreFile)> {
    read_row(row)?.finish()
}

struct FileRow {
    number: i64,
    store: String,
    file: String,
    status: String,
    error: Option<(String, String)>,
    attributes: String,
    chunk_size: Option<ChunkSize>,
    bytes: i64,
    created: i64,
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<FileRow> {
    let error: (Option<String>, Option<String>) = (row.get(4)?, row.get(5)?);
    let size: (Option<u32>, Option<u32>) = (row.get(7)?, row.get(8)?);
    Ok(FileRow {
        number: row.get(0)?,
        store: row.get(1)?,
        file: row.get(2)?,
        status: row.get(3)?,
        error: error.0.zip(error.1),
        attributes: row.get(6)?,
        chunk_size: size.0.zip(size.1).map(|(max_tokens, overlap_tokens)| ChunkSize {
            max_tokens,
            overlap_tokens,
        }),
        bytes: row.get(9)?,
        created: row.get(10)?,
    })
}

impl FileRow {
    fn finish(self) -> StoreResult<(i64, VectorStoreFile)> {
        let error = match self.error {
            Some((code, message)) => {
                let code = IndexingErrorCode::ALL.into_iter().find(|known| known.as_str() == code);
                let code = code.ok_or_else(|| Failure::Data("an unknown error of a file".to_owned()))?;
                Some(IndexingError { code, message })
            }
            None => None,
        };
        let file = VectorStoreFile {
            store: self.store.parse()?,
            file: self.file.parse()?,
            status: status_of(&self.status)?,
            error,
            attributes: serde_json::from_str(&self.attributes)?,
            chunk_size: self.chunk_size,
            bytes: self.bytes.cast_unsigned(),
            created: self.created.cast_unsigned(),
        };
        Ok((self.number, file))
    }
}
