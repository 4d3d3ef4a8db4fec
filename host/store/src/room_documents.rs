//! The `Documents` port of a room, and what comes and goes with a document: the original of its file. Not here: the rows (`documents`), searching
//! (`search`), chunking and embedding (`services`).

use crate::{
    documents::{self, PreparedDocument},
    erasure,
    error::{StoreResult, run_with_permit},
    expired, idempotency,
    indexes::OWN,
    known_embeddings,
    quota::Reservation,
    reembedding,
    room::RoomState,
    search,
    unfinished::{PlacedFile, UnfinishedFile},
    vector_store_files,
    words::DocumentWords,
};
use async_trait::async_trait;
use bytes::Bytes;
use riad_core::{
    Digest, DocumentId, Result,
    document::{
        ChunkSource, Document, NewChunk, NewDocument, Page, Passage, SearchQuery, StoredChunk, UnembeddedChunk,
    },
    ports::{Documents, RequestMark, StoredObject},
};
use std::{ops::Range, sync::Arc};

/// A room, and the bytes that it may store.
pub(crate) struct RoomDocuments(pub(crate) Arc<RoomState>, pub(crate) u64);

#[async_trait]
impl Documents for RoomDocuments {
    async fn insert(
        &self,
        mut document: NewDocument,
        chunks: Vec<NewChunk>,
        mark: Option<RequestMark>,
    ) -> Result<Document> {
        let (room, most) = (self.0.clone(), self.1);
        let original = document.file.as_mut().and_then(|file| file.original.as_mut());
        let original = match original.map(|original| std::mem::take(&mut original.bytes)) {
            Some(bytes) => {
                let room = room.clone();
                let kept = run_with_permit(&self.0.file_permits, move || keep(&room, most, &bytes));
                Some(kept.await?)
            }
            None => None,
        };
        run_with_permit(&self.0.database.write_permits, move || {
            insert(&room, most, document, &chunks, mark.as_ref(), original)
        })
        .await
    }

    async fn get(&self, id: &DocumentId, text: Range<u64>) -> Result<(Document, Bytes)> {
        let (room, id) = (self.0.clone(), id.clone());
        run_with_permit(&self.0.database.read_permits, move || documents::get(&room, &id, text)).await
    }

    async fn chunks(&self, id: &DocumentId, numbers: Range<u32>) -> Result<(Document, Vec<StoredChunk>)> {
        let (room, id) = (self.0.clone(), id.clone());
        run_with_permit(&self.0.database.read_permits, move || {
            documents::chunks(&room, &id, numbers)
        })
        .await
    }

    async fn find_source(&self, source: &Digest) -> Result<Option<Document>> {
        let (room, source) = (self.0.clone(), *source);
        run_with_permit(&self.0.database.read_permits, move || {
            documents::find_source(&room, &source)
        })
        .await
    }

    async fn locate(&self, chunks: &[(DocumentId, u32)]) -> Result<Vec<ChunkSource>> {
        if chunks.is_empty() {
            return Ok(Vec::new());
        }
        let (room, chunks) = (self.0.clone(), chunks.to_vec());
        run_with_permit(&self.0.database.read_permits, move || documents::locate(&room, &chunks)).await
    }

    async fn list(&self, page: &Page) -> Result<Vec<Document>> {
        let (room, page) = (self.0.clone(), page.clone());
        run_with_permit(&self.0.database.read_permits, move || documents::list(&room, &page)).await
    }

    async fn delete(&self, id: &DocumentId) -> Result<()> {
        let (room, id) = (self.0.clone(), id.clone());
        run_with_permit(&self.0.database.write_permits, move || delete(&room, &id)).await
    }

    async fn search(&self, query: &SearchQuery) -> Result<Vec<Passage>> {
        let (room, query) = (self.0.clone(), query.clone());
        run_with_permit(&self.0.database.read_permits, move || search::search(&room, &query)).await
    }

    fn unembedded(&self) -> u64 {
        self.0.unembedded()
    }

    async fn next_unembedded(&self, most: u32) -> Result<Vec<UnembeddedChunk>> {
        self.0
            .query(move |connection| reembedding::next(connection, most))
            .await
    }

    async fn set_embeddings(&self, embedded: Vec<(i64, Vec<f32>)>) -> Result<()> {
        let room = self.0.clone();
        run_with_permit(&self.0.database.write_permits, move || {
            reembedding::set(&room, &embedded)
        })
        .await
    }

    async fn find_embeddings(&self, texts: &[Digest]) -> Result<Vec<Option<Vec<f32>>>> {
        let (room, texts) = (self.0.clone(), texts.to_vec());
        run_with_permit(&self.0.database.read_permits, move || {
            known_embeddings::find(&room, &texts)
        })
        .await
    }

    async fn watermark(&self) -> Result<u64> {
        Ok(self.0.indexes.watermark())
    }
}

/// Writes an original, which is deleted again unless a document is stored with it.
fn keep(room: &Arc<RoomState>, most: u64, bytes: &[u8]) -> StoreResult<(PlacedFile, Reservation)> {
    let mut reserved = Reservation::begin(&room.stored);
    reserved.grow(bytes.len() as u64, most)?;
    let mut file = UnfinishedFile::create(room)?;
    file.write(bytes)?;
    Ok((file.place()?, reserved))
}

fn insert(
    room: &RoomState,
    most: u64,
    document: NewDocument,
    chunks: &[NewChunk],
    mark: Option<&RequestMark>,
    original: Option<(PlacedFile, Reservation)>,
) -> StoreResult<Document> {
    let prepared = PreparedDocument::new(room, OWN, document, chunks)?;
    let stored = room.write_then(
        |connection| {
            let written = original.as_ref().map(|(file, _)| file.written());
            let (document, _, change) = prepared.insert(connection, written)?;
            if let Some(mark) = mark {
                idempotency::mark(connection, mark, &StoredObject::Document(document.id.clone()))?;
            }
            let reserved = original.as_ref().map_or(0, |(_, reserved)| reserved.bytes());
            room.check_quota_without(connection, most, reserved)?;
            Ok((document, change))
        },
        |connection, (document, change)| {
            room.indexes.follow(connection, change);
            Ok(document)
        },
    )?;
    room.save_due_indexes();
    Ok(stored)
}

/// No search finds it when this returns, and no byte of it or its original is in the room, but in the index's file: vectors leave that later
/// (`erasure`).
fn delete(room: &Arc<RoomState>, id: &DocumentId) -> StoreResult<()> {
    // Made before the transaction: it may take a while.
    let (number, words, keys) = room.database.read(|connection| {
        let number = documents::find_number(connection, id)?;
        let found = DocumentWords::of_stored(connection, number)?;
        let (words, keys) = found.ok_or_else(|| documents::no_document(id))?;
        Ok((number, words, keys))
    })?;
    let (original, is_gone) = room.write_reserved_then(
        |connection| {
            if documents::find_number(connection, id)? != number {
                return Err(documents::no_document(id));
            }
            let original = documents::original(connection, number)?;
            let mut changes = vec![documents::delete_with(connection, number, &words, &keys)?];
            let mut is_gone = true;
            if let Some((file, _)) = original {
                // Vector stores may have it, too.
                let deleted = vector_store_files::begin_delete(connection, file)?;
                changes.extend(deleted.changes);
                is_gone = deleted.is_gone;
            }
            Ok((changes, original, is_gone))
        },
        |connection, (changes, original, is_gone)| {
            room.indexes.follow_all(connection, changes);
            Ok((original, is_gone))
        },
    )?;
    if let Some((file, digest)) = original {
        if !is_gone {
            expired::note(room, 0);
            expired::delete_file(room, file)?;
        }
        room.delete_unnamed_file(&digest);
    }
    erasure::erase(room);
    room.save_due_indexes();
    Ok(())
}
