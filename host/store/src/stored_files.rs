//! The `FileStore` port of a room: what a tenant sent, as files that are named by their digest, and the list of them in `room.db`. The same
//! bytes are there once. Not here: the list (`file_rows`), writing one (`unfinished`), parts of one (`stored_uploads`), deleting what nothing names (`generations`).

use crate::{
    erasure,
    error::{StoreResult, run_with_permit},
    expired::{self, delete_expired},
    file_rows::{find, insert, list, no_file},
    generations::FILES as FOLDER,
    open_files::OpenFile,
    room::RoomState,
    unfinished::PieceWriter,
    vector_store_files,
};
use async_trait::async_trait;
use bytes::Bytes;
use riad_core::{
    Error, FileId, Result,
    file::{FilePage, NewFile, StoredFile},
    ports::{FileReader, FileStore, FileWriter},
};
use std::{io, sync::Arc};

/// A room, and the bytes that it may store.
pub(crate) struct RoomFiles(pub(crate) Arc<RoomState>, pub(crate) u64);

#[async_trait]
impl FileStore for RoomFiles {
    async fn begin(&self) -> Result<Box<dyn FileWriter>> {
        let writer = PieceWriter::begin(&self.0, self.1, delete_expired).await?;
        Ok(Box::new(Writer(writer)))
    }

    async fn get(&self, id: &FileId) -> Result<StoredFile> {
        let id = id.clone();
        self.0.query(move |connection| find(connection, &id)).await
    }

    async fn open(&self, id: &FileId) -> Result<Box<dyn FileReader>> {
        let (room, id) = (self.0.clone(), id.clone());
        let opened = run_with_permit(&self.0.database.read_permits, move || Reader::open(room, &id)).await?;
        Ok(Box::new(opened))
    }

    async fn list(&self, page: &FilePage) -> Result<Vec<StoredFile>> {
        let page = page.clone();
        self.0.query(move |connection| list(connection, &page)).await
    }

    async fn delete(&self, id: &FileId) -> Result<()> {
        let (room, id) = (self.0.clone(), id.clone());
        run_with_permit(&self.0.file_permits, move || {
            let lock = room.lock_folder()?;
            let (number, is_gone) = room.write_reserved_then(
                |connection| {
                    let found = find(connection, &id)?;
                    let number: i64 =
                        connection.query_row("SELECT number FROM files WHERE id = ?1", [found.id.as_str()], |row| {
                            row.get(0)
                        })?;
                    Ok((number, vector_store_files::begin_delete(connection, number)?))
                },
                |connection, (number, deleted)| {
                    room.indexes.follow_all(connection, deleted.changes);
                    Ok((number, deleted.is_gone))
                },
            )?;
            if !is_gone {
                expired::note(&room, 0);
                expired::delete_file(&room, number)?;
            }
            room.sweep_later(&lock);
            drop(lock);
            erasure::erase(&room);
            Ok(())
        })
        .await
    }
}

/// The room is not closed while somebody reads a file of it.
struct Reader {
    room: Arc<RoomState>,
    file: StoredFile,
    open: Arc<OpenFile>,
    offset: u64,
}

impl Reader {
    fn open(room: Arc<RoomState>, id: &FileId) -> StoreResult<Self> {
        let file = room.database.read(|connection| find(connection, id))?;
        let opened = room.open_files.open(&room.folder.join(FOLDER), &file.digest.hex());
        let open = opened.map_err(|error| match error.kind() == io::ErrorKind::NotFound {
            // Deleted since it was found.
            true => no_file(id),
            false => error.into(),
        })?;
        Ok(Self {
            room,
            file,
            open,
            offset: 0,
        })
    }
}

#[async_trait]
impl FileReader for Reader {
    fn file(&self) -> &StoredFile {
        &self.file
    }

    fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    async fn read(&mut self, most: usize) -> Result<Bytes> {
        let (open, start) = (Arc::clone(&self.open), self.offset);
        let left = usize::try_from(self.file.bytes.saturating_sub(start)).unwrap_or(usize::MAX);
        let read = run_with_permit(&self.room.database.read_permits, move || {
            Ok(open.read(start, most.min(left))?)
        });
        let piece = read.await?.ok_or_else(|| Error::from(no_file(&self.file.id)))?;
        self.offset += piece.len() as u64;
        Ok(piece.into())
    }
}

struct Writer(PieceWriter);

#[async_trait]
impl FileWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.0.write(bytes).await
    }

    async fn finish(self: Box<Self>, file: NewFile) -> Result<StoredFile> {
        self.0
            .finish(move |connection, written| insert(connection, file, &written))
            .await
    }
}
