//! The rows of a room's documents and their chunks. Not here: what comes and goes with them (`room_documents`), searching (`search`).

use crate::{
    changes::{self, Change},
    document_text::read_text,
    error::{Failure, StoreResult},
    file_rows,
    files::Written,
    idempotency,
    indexes::OWN,
    known_embeddings, metadata, names, position,
    room::RoomState,
    words::DocumentWords,
};
use bytes::Bytes;
use riad_core::{
    Digest, DocumentId, Error, ErrorKind, FileId, Timestamp,
    document::{ChunkSource, Document, DocumentFile, NewChunk, NewDocument, Page, StoredChunk},
    file::{FilePurpose, NewFile},
};
use rusqlite::{Connection, OptionalExtension, Row};
use std::ops::Range;

/// A document with all that can be made before the transaction that stores it.
pub(crate) struct PreparedDocument<'c> {
    vector_store: i64,
    document: NewDocument,
    chunks: &'c [NewChunk],
    /// What each chunk's embedding is found by.
    digests: Vec<Vec<u8>>,
    count: u32,
    words: DocumentWords,
}

impl<'c> PreparedDocument<'c> {
    /// Makes room in the index of the vector store, or of the room's own documents.
    pub(crate) fn new(
        room: &RoomState,
        vector_store: i64,
        document: NewDocument,
        chunks: &'c [NewChunk],
    ) -> StoreResult<Self> {
        for chunk in chunks {
            check_embedding(room, &chunk.embedding)?;
        }
        let count = u32::try_from(chunks.len()).map_err(|_| Error::invalid("the document has too many chunks"))?;
        let words = DocumentWords::new(
            &document.title,
            &document.text,
            chunks
                .iter()
                .map(|chunk| (chunk.position.heading.as_slice(), chunk.text.as_str())),
        );
        let digest =
            |chunk: &NewChunk| known_embeddings::digest_of(&document.title, &chunk.position.heading, &chunk.text);
        let digests = chunks.iter().map(digest).collect();
        room.indexes.of(vector_store, &room.database)?.reserve(chunks.len())?;
        Ok(Self {
            vector_store,
            document,
            chunks,
            digests,
            count,
            words,
        })
    }

    /// The document, its number, and the change that an index is to follow. `original` are the bytes of its original.
    pub(crate) fn insert(
        mut self,
        connection: &Connection,
        original: Option<&Written>,
    ) -> StoreResult<(Document, i64, Change)> {
        let file = self.document.file.take();
        let store = self.vector_store;
        let mut document = insert_document(connection, store, self.document, file.as_ref(), self.count, &self.words)?;
        let number = connection.last_insert_rowid();
        metadata::insert(connection, number, &document.metadata)?;
        if let Some(file) = &file {
            document.file = insert_file(connection, number, file, original)?;
        }
        let (first, last) = insert_chunks(connection, number, store, self.chunks, &self.digests)?;
        self.words.insert(connection, first..=last)?;
        let change = changes::record(connection, store, false, first, last)?;
        Ok((document, number, change))
    }
}

fn check_embedding(room: &RoomState, embedding: &[f32]) -> StoreResult<()> {
    if embedding.len() != room.space.dimensions {
        return Err(Failure::Data(format!(
            "an embedding has {} dimensions, the room {}",
            embedding.len(),
            room.space.dimensions
        )));
    }
    if embedding.iter().all(|x| x.is_finite()) {
        return Ok(());
    }
    Err(Failure::Data("an embedding has a number that is not finite".into()))
}

fn insert_document(
    connection: &Connection,
    vector_store: i64,
    document: NewDocument,
    file: Option<&DocumentFile>,
    chunks: u32,
    words: &DocumentWords,
) -> StoreResult<Document> {
    let last: Option<String> = connection
        .prepare_cached("SELECT max(id) FROM documents")?
        .query_row([], |row| row.get(0))?;
    let stored = Document {
        id: names::next_document(last.as_deref()).parse()?,
        title: document.title,
        metadata: document.metadata,
        chunks,
        bytes: document.text.len() as u64,
        created: Timestamp::now().as_seconds(),
        media_type: file.map(|file| file.media_type.clone()),
        warnings: file.map(|file| file.warnings.clone()).unwrap_or_default(),
        file: None,
    };
    connection
        .prepare_cached(
            "INSERT INTO documents (id, title, metadata, chunks, bytes, created, text, language, vector_store)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute((
            stored.id.as_str(),
            &stored.title,
            serde_json::to_string(&stored.metadata)?,
            stored.chunks,
            stored.bytes.cast_signed(),
            stored.created.cast_signed(),
            &document.text,
            words.language.code(),
            vector_store,
        ))?;
    Ok(stored)
}

/// The id of its original, if that is kept.
fn insert_file(
    connection: &Connection,
    number: i64,
    file: &DocumentFile,
    original: Option<&Written>,
) -> StoreResult<Option<FileId>> {
    let kept = match file.original.as_ref().zip(original) {
        Some((original, written)) => {
            let new = NewFile {
                name: original.name.clone(),
                purpose: FilePurpose::UserData,
                expires: None,
            };
            let stored = file_rows::insert(connection, new, written)?;
            Some((stored.id, connection.last_insert_rowid()))
        }
        None => None,
    };
    let inserted = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO document_files (document, media_type, warnings, source, file) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((
            number,
            &file.media_type,
            serde_json::to_string(&file.warnings)?,
            file.source.as_bytes(),
            kept.as_ref().map(|(_, file)| file),
        ))?;
    match inserted {
        0 => Err(Failure::Known(Error::new(
            ErrorKind::Conflict,
            "the same file has been added meanwhile",
        ))),
        _ => Ok(kept.map(|(id, _)| id)),
    }
}

/// Returns the first and the last key; an empty range if there is no chunk.
fn insert_chunks(
    connection: &Connection,
    number: i64,
    vector_store: i64,
    chunks: &[NewChunk],
    digests: &[Vec<u8>],
) -> StoreResult<(i64, i64)> {
    let mut insert_chunk = connection.prepare_cached(
        "INSERT INTO chunks (document, position, start, embedding, text, heading, page, vector_store, embedded)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let mut range = None;
    for (position, (chunk, digest)) in (0_u32..).zip(chunks.iter().zip(digests)) {
        let embedding = changes::normalized(&chunk.embedding).map(|unit| changes::to_blob(&unit));
        insert_chunk.execute((
            number,
            position,
            chunk.offset.cast_signed(),
            embedding,
            &chunk.text,
            position::heading_column(&chunk.position)?,
            chunk.position.page,
            vector_store,
            digest,
        ))?;
        let key = connection.last_insert_rowid();
        range = Some((range.map_or(key, |(first, _)| first), key));
    }
    Ok(range.unwrap_or((0, -1)))
}

pub(crate) const COLUMNS: &str = "id, title, metadata, chunks, bytes, created, media_type, warnings,
    (SELECT files.id FROM files WHERE files.number = document_files.file)";
/// With those of its file.
pub(crate) const DOCUMENTS: &str = "documents LEFT JOIN document_files ON document_files.document = documents.number";

pub(crate) fn get(room: &RoomState, id: &DocumentId, text: Range<u64>) -> StoreResult<(Document, Bytes)> {
    room.database.read(|connection| {
        let found = connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS}, number FROM {DOCUMENTS} WHERE id = ?1 AND vector_store = 0"
            ))?
            .query_row([id.as_str()], |row| Ok((read_row(row)?, row.get(9)?)))
            .optional()?;
        let (document, number) = found.ok_or_else(|| no_document(id))?;
        Ok((document.finish()?, read_text(connection, number, text)?))
    })
}

pub(crate) fn chunks(
    room: &RoomState,
    id: &DocumentId,
    numbers: Range<u32>,
) -> StoreResult<(Document, Vec<StoredChunk>)> {
    room.database.read(|connection| {
        let document = of_number(connection, find_number(connection, id)?)?;
        let mut statement = connection.prepare_cached(
            "SELECT chunks.position, chunks.start, chunks.heading, chunks.page, chunks.text FROM chunks
             JOIN documents ON documents.number = chunks.document
             WHERE documents.id = ?1 AND chunks.position >= ?2 AND chunks.position < ?3 ORDER BY chunks.position",
        )?;
        let row = |row: &Row<'_>| {
            Ok((
                row.get(0)?,
                row.get::<_, i64>(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ))
        };
        let rows = statement.query_map((id.as_str(), numbers.start, numbers.end), row)?;
        let chunks = rows.map(|row| {
            let (number, offset, heading, page, text) = row?;
            Ok(StoredChunk {
                number,
                offset: offset.cast_unsigned(),
                position: position::read(heading, page)?,
                text,
            })
        });
        Ok((document, chunks.collect::<StoreResult<_>>()?))
    })
}

/// That with the number.
pub(crate) fn of_number(connection: &Connection, number: i64) -> StoreResult<Document> {
    let row = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM {DOCUMENTS} WHERE number = ?1"))?
        .query_row([number], read_row)?;
    row.finish()
}

pub(crate) fn find_source(room: &RoomState, source: &Digest) -> StoreResult<Option<Document>> {
    room.database.read(|connection| {
        let found = connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM {DOCUMENTS} WHERE source = ?1 AND vector_store = 0"
            ))?
            .query_row([source.as_bytes()], read_row)
            .optional()?;
        found.map(DocumentRow::finish).transpose()
    })
}

pub(crate) fn locate(room: &RoomState, chunks: &[(DocumentId, u32)]) -> StoreResult<Vec<ChunkSource>> {
    room.database.read(|connection| {
        let mut statement = connection.prepare_cached(
            "SELECT chunks.heading, chunks.page, files.id FROM documents
             JOIN chunks ON chunks.document = documents.number AND chunks.position = ?2
             LEFT JOIN vector_store_files ON vector_store_files.document = documents.number
             LEFT JOIN files ON files.number = vector_store_files.file
             WHERE documents.id = ?1",
        )?;
        let source = |(document, chunk): &(DocumentId, u32)| {
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?));
            match statement.query_row((document.as_str(), chunk), row).optional()? {
                Some((heading, page, file)) => Ok(ChunkSource {
                    position: position::read(heading, page)?,
                    file: file.map(|id| id.parse()).transpose()?,
                }),
                None => Ok(ChunkSource::default()),
            }
        };
        chunks.iter().map(source).collect()
    })
}

pub(crate) fn list(room: &RoomState, page: &Page) -> StoreResult<Vec<Document>> {
    let after = page.after.as_ref().map(DocumentId::as_str);
    names::check_place("after", after)?;
    room.database.read(|connection| {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM {DOCUMENTS} WHERE vector_store = 0 AND id > ?1 ORDER BY id LIMIT ?2"
        ))?;
        let rows = statement.query_map((after.unwrap_or_default(), page.limit), read_row)?;
        rows.map(|row| row?.finish()).collect()
    })
}

/// The number and the digest of its original, if that is still there.
pub(crate) fn original(connection: &Connection, number: i64) -> StoreResult<Option<(i64, Digest)>> {
    let found: Option<(i64, String)> = connection
        .prepare_cached(
            "SELECT files.number, files.digest FROM document_files JOIN files ON files.number = document_files.file
             WHERE document_files.document = ?1",
        )?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.map(|(file, digest)| Ok((file, digest.parse()?))).transpose()
}

/// Of a document that is in no vector store. Never given twice.
pub(crate) fn find_number(connection: &Connection, id: &DocumentId) -> StoreResult<i64> {
    connection
        .prepare_cached("SELECT number FROM documents WHERE id = ?1 AND vector_store = 0")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?
        .ok_or_else(|| no_document(id))
}

/// The change that an index is to follow. The caller erases what is left (`erasure`).
pub(crate) fn delete_number(connection: &Connection, number: i64) -> StoreResult<Change> {
    let found = DocumentWords::of_stored(connection, number)?;
    let (words, keys) = found.ok_or_else(|| Failure::Data("a document that is named is not there".into()))?;
    delete_with(connection, number, &words, &keys)
}

/// With the words and keys of its chunks.
pub(crate) fn delete_with(
    connection: &Connection,
    number: i64,
    words: &DocumentWords,
    keys: &[i64],
) -> StoreResult<Change> {
    words.delete(connection, keys.iter().copied())?;
    // Chunks, tags and attributes go with it.
    let (id, vector_store): (String, i64) = connection
        .prepare_cached("DELETE FROM documents WHERE number = ?1 RETURNING id, vector_store")?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // No other request answers with a document.
    if vector_store == OWN {
        idempotency::forget_document(connection, &id.parse()?)?;
    }
    let range = (keys.iter().min(), keys.iter().max());
    changes::record(
        connection,
        vector_store,
        true,
        range.0.map_or(0, |key| *key),
        range.1.map_or(-1, |key| *key),
    )
}

pub(crate) fn no_document(id: &DocumentId) -> Failure {
    Failure::Known(Error::not_found(format!("there is no document \"{id}\"")))
}

/// A row of [`COLUMNS`].
pub(crate) fn read(row: &Row<'_>) -> StoreResult<Document> {
    read_row(row)?.finish()
}

struct DocumentRow {
    id: String,
    title: String,
    metadata: String,
    chunks: u32,
    bytes: i64,
    created: i64,
    media_type: Option<String>,
    warnings: Option<String>,
    file: Option<String>,
}

impl DocumentRow {
    fn finish(self) -> StoreResult<Document> {
        Ok(Document {
            id: self.id.parse()?,
            title: self.title,
            metadata: serde_json::from_str(&self.metadata)?,
            chunks: self.chunks,
            bytes: self.bytes.cast_unsigned(),
            created: self.created.cast_unsigned(),
            media_type: self.media_type,
            warnings: match self.warnings {
                Some(warnings) => serde_json::from_str(&warnings)?,
                None => Vec::new(),
            },
            file: self.file.map(|file| file.parse()).transpose()?,
        })
    }
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<DocumentRow> {
    Ok(DocumentRow {
        id: row.get(0)?,
        title: row.get(1)?,
        metadata: row.get(2)?,
        chunks: row.get(3)?,
        bytes: row.get(4)?,
        created: row.get(5)?,
        media_type: row.get(6)?,
        warnings: row.get(7)?,
        file: row.get(8)?,
    })
}
