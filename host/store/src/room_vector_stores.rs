//! The `VectorStores` port of a room, and deleting what its stores had. Not here: the rows (`vector_stores`, `vector_store_files`).

use crate::{
    changes::Change,
    documents, erasure,
    error::{StoreResult, run_with_permit},
    room::RoomState,
    vector_store_files::{self as files, CHUNKS_AT_ONCE},
    vector_stores::{self, EXPIRES, now},
};
use async_trait::async_trait;
use riad_core::{
    DocumentId, FileBatchId, FileId, Result, VectorStoreId,
    document::{Metadata, NewChunk, NewDocument},
    ports::VectorStores,
    vector_store::{
        FileBatch, IndexingError, NewVectorStore, NewVectorStoreFile, PendingFile, VectorStore, VectorStoreChange,
        VectorStoreFile, VectorStoreFilePage, VectorStorePage,
    },
};
use rusqlite::Connection;
use std::sync::Arc;

/// Rows of files of a store that is deleted or has expired which one transaction deletes.
const DELETED_AT_ONCE: u32 = 32;

/// A room, and the bytes that it may store.
pub(crate) struct RoomVectorStores(pub(crate) Arc<RoomState>, pub(crate) u64);

impl RoomVectorStores {
    /// With the bytes that the room may store.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<RoomState>, u64) -> StoreResult<T> + Send + 'static,
    ) -> Result<T> {
        let (room, most) = (self.0.clone(), self.1);
        run_with_permit(&self.0.database.write_permits, move || work(&room, most)).await
    }
}

#[async_trait]
impl VectorStores for RoomVectorStores {
    async fn touch(&self, ids: &[VectorStoreId]) -> Result<()> {
        let ids = ids.to_vec();
        self.write(move |room, _| {
            // Not at each search: an hour of an expiry in days is nothing.
            let is_due = room
                .database
                .read(|connection| vector_stores::is_use_due(connection, &ids))?;
            match is_due {
                false => Ok(()),
                // Its use counts in its next cell.
                true if room.database.sealed.is_sealed() => Ok(()),
                true => room.database.write_reserved(|connection| {
                    ids.iter()
                        .try_for_each(|id| vector_stores::use_store(connection, id).map(drop))
                }),
            }
        })
        .await
    }

    async fn create(&self, store: NewVectorStore) -> Result<VectorStore> {
        self.write(move |room, most| {
            room.write(|connection| {
                let created = vector_stores::create(connection, &store)?;
                room.check_quota(connection, most)?;
                Ok(created)
            })
        })
        .await
    }

    async fn get(&self, id: &VectorStoreId) -> Result<VectorStore> {
        let id = id.clone();
        self.0
            .query(move |connection| vector_stores::get(connection, &id))
            .await
    }

    async fn list(&self, page: &VectorStorePage) -> Result<Vec<VectorStore>> {
        let page = page.clone();
        self.0
            .query(move |connection| vector_stores::list(connection, &page))
            .await
    }

    async fn change(&self, id: &VectorStoreId, change: VectorStoreChange) -> Result<VectorStore> {
        let id = id.clone();
        self.write(move |room, most| {
            room.write(|connection| {
                let changed = vector_stores::change(connection, &id, &change)?;
                room.check_quota(connection, most)?;
                Ok(changed)
            })
        })
        .await
    }

    async fn delete(&self, id: &VectorStoreId) -> Result<()> {
        let id = id.clone();
        self.write(move |room, _| {
            let number = room.write_reserved(|connection| {
                let number = vector_stores::number(connection, &id)?;
                connection.execute("UPDATE vector_stores SET is_deleted = 1 WHERE number = ?1", [number])?;
                Ok(number)
            })?;
            empty(room, number)?;
            erasure::erase(room);
            Ok(())
        })
        .await
    }

    async fn add(&self, id: &VectorStoreId, added: Vec<NewVectorStoreFile>) -> Result<()> {
        let id = id.clone();
        self.write(move |room, most| {
            room.write(|connection| {
                files::add(connection, &id, &added, None)?;
                room.check_quota(connection, most)
            })
        })
        .await
    }

    async fn add_batch(&self, id: &VectorStoreId, added: Vec<NewVectorStoreFile>) -> Result<FileBatch> {
        let id = id.clone();
        self.write(move |room, most| {
            room.write(|connection| {
                let batch = files::add_batch(connection, &id, &added)?;
                room.check_quota(connection, most)?;
                Ok(batch)
            })
        })
        .await
    }

    async fn batch(&self, id: &VectorStoreId, batch: &FileBatchId) -> Result<FileBatch> {
        let (id, batch) = (id.clone(), batch.clone());
        self.0
            .query(move |connection| files::batch(connection, &id, &batch))
            .await
    }

    async fn cancel_batch(&self, id: &VectorStoreId, batch: &FileBatchId) -> Result<FileBatch> {
        let (id, batch) = (id.clone(), batch.clone());
        self.write(move |room, _| room.write_reserved(|connection| files::cancel_batch(connection, &id, &batch)))
            .await
    }

    async fn file(&self, id: &VectorStoreId, file: &FileId) -> Result<VectorStoreFile> {
        let (id, file) = (id.clone(), file.clone());
        self.0.query(move |connection| files::get(connection, &id, &file)).await
    }

    async fn files(&self, id: &VectorStoreId, page: &VectorStoreFilePage) -> Result<Vec<VectorStoreFile>> {
        let (id, page) = (id.clone(), page.clone());
        self.0
            .query(move |connection| files::list(connection, &id, &page))
            .await
    }

    async fn text(&self, id: &VectorStoreId, file: &FileId) -> Result<String> {
        let (id, file) = (id.clone(), file.clone());
        self.0
            .query(move |connection| files::text(connection, &id, &file))
            .await
    }

    async fn set_attributes(&self, id: &VectorStoreId, file: &FileId, attributes: Metadata) -> Result<VectorStoreFile> {
        let (id, file) = (id.clone(), file.clone());
        self.write(move |room, most| {
            room.write(|connection| {
                let changed = files::set_attributes(connection, &id, &file, &attributes)?;
                room.check_quota(connection, most)?;
                Ok(changed)
            })
        })
        .await
    }

    async fn remove(&self, id: &VectorStoreId, file: &FileId) -> Result<()> {
        let (id, file) = (id.clone(), file.clone());
        self.write(move |room, _| {
            room.write_reserved_then(
                |connection| files::remove(connection, &id, &file),
                |connection, change| {
                    room.indexes.follow_all(connection, change);
                    Ok(())
                },
            )?;
            erasure::erase(room);
            room.save_due_indexes();
            Ok(())
        })
        .await
    }

    async fn next_pending(&self) -> Result<Option<PendingFile>> {
        self.0.query(files::next_pending).await
    }

    async fn complete(&self, pending: &PendingFile, document: NewDocument, chunks: Vec<NewChunk>) -> Result<()> {
        let pending = pending.clone();
        self.write(move |room, most| {
            files::complete(room, most, &pending, document, &chunks)?;
            // What the file was before.
            erasure::erase_soon(room);
            Ok(())
        })
        .await
    }

    async fn fail(&self, pending: &PendingFile, error: IndexingError) -> Result<()> {
        let number = pending.number;
        self.write(move |room, _| room.write_reserved(|connection| files::fail(connection, number, &error)))
            .await
    }

    async fn sources(&self, documents: &[DocumentId]) -> Result<Vec<Option<(FileId, String)>>> {
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let documents = documents.to_vec();
        self.0
            .query(move |connection| files::sources(connection, &documents))
            .await
    }
}

/// Goes on with deleting what deleted and expired stores have: some of it, so that a room opens quickly.
pub(crate) fn sweep(room: &RoomState) -> StoreResult<()> {
    let find = |connection: &Connection| {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT number FROM vector_stores WHERE is_deleted
                OR ({EXPIRES} <= ?1 AND EXISTS (SELECT 1 FROM vector_store_files WHERE vector_store = vector_stores.number))
             LIMIT 8"
        ))?;
        let numbers = statement.query_map([now()], |row| row.get(0))?;
        Ok(numbers.collect::<rusqlite::Result<Vec<i64>>>()?)
    };
    for number in room.database.read(find)? {
        empty(room, number)?;
    }
    Ok(())
}

/// Deletes the files of a store, a bounded number in each transaction, and then the store itself if it is deleted.
fn empty(room: &RoomState, number: i64) -> StoreResult<()> {
    loop {
        let is_empty = room.write_reserved_then(
            |connection| delete_some(connection, number),
            |connection, (changes, is_empty)| {
                room.indexes.follow_all(connection, changes);
                Ok(is_empty)
            },
        )?;
        if is_empty {
            break;
        }
    }
    let lock = room.lock_folder()?;
    room.indexes.remove(number, &room.database)?;
    drop(lock);
    room.write_reserved(|connection| {
        connection.execute("DELETE FROM vector_stores WHERE number = ?1 AND is_deleted", [number])?;
        Ok(())
    })
}

fn delete_some(connection: &Connection, number: i64) -> StoreResult<(Vec<Change>, bool)> {
    connection
        .prepare_cached(
            "DELETE FROM vector_store_files WHERE number IN
                (SELECT number FROM vector_store_files WHERE vector_store = ?1 LIMIT ?2)",
        )?
        .execute((number, DELETED_AT_ONCE))?;
    let mut statement = connection
        .prepare_cached("SELECT number, chunks FROM documents WHERE vector_store = ?1 ORDER BY id LIMIT ?2")?;
    let found = statement.query_map((number, DELETED_AT_ONCE), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let found = found.collect::<rusqlite::Result<Vec<(i64, u32)>>>()?;
    let are_all = found.len() < DELETED_AT_ONCE as usize;
    let count = found.len();
    let mut chunks = 0_u32;
    // One at least.
    let documents = found.into_iter().take_while(|(_, more)| {
        let fits = chunks < CHUNKS_AT_ONCE;
        chunks = chunks.saturating_add(*more);
        fits
    });
    let documents = documents.map(|(document, _)| document);
    let deleted = documents.map(|document| documents::delete_number(connection, document));
    let changes = deleted.collect::<StoreResult<Vec<_>>>()?;
    let is_left: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM vector_store_files WHERE vector_store = ?1)")?
        .query_row([number], |row| row.get(0))?;
    let is_empty = are_all && changes.len() == count && !is_left;
    Ok((changes, is_empty))
}
