//! A file of a room that comes piece by piece, until its last byte gives it its name: its digest. Not here: what names it in `room.db`
//! (`stored_files`, `stored_uploads`).

use crate::{
    error::{StoreResult, run_with_permit},
    expired,
    files::{self, Written},
    generations::{FILES, FolderLock},
    quota::Reservation,
    room::RoomState,
};
use bytes::Bytes;
use riad_core::{Error, Result};
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    sync::Arc,
};
use uuid::Uuid;

/// The bytes so far, under a name that a sweep leaves alone as long as this lives. Dropped before it is finished, it leaves nothing.
pub(crate) struct UnfinishedFile {
    room: Arc<RoomState>,
    path: PathBuf,
    file: File,
    hash: Sha256,
    bytes: u64,
    _pin: Arc<()>,
}

impl UnfinishedFile {
    pub(crate) fn create(room: &Arc<RoomState>) -> StoreResult<Self> {
        let name = format!("{}{}", files::UNFINISHED, Uuid::now_v7().simple());
        let path = room.folder.join(FILES).join(&name);
        let lock = room.lock_folder()?;
        // Before the file is there, so that no sweep takes it for a leftover.
        let pin = room.pins.pin(&name);
        let file = File::create_new(&path)?;
        drop(lock);
        Ok(Self {
            room: Arc::clone(room),
            path,
            file,
            hash: Sha256::new(),
            bytes: 0,
            _pin: pin,
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> StoreResult<()> {
        self.room.database.check_disk()?;
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
        Ok(self.file.write_all(bytes)?)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the file its name and lets `record` name it in the database, in one transaction with whatever else it changes. Files that nothing
    /// names after it, among them this one if it fails, are deleted.
    pub(crate) fn finish<T>(
        mut self,
        record: impl FnOnce(&RoomState, &Connection, Written) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let written = self.end()?;
        let lock = self.room.lock_folder()?;
        self.rename(&written, &lock)?;
        let recorded = self.room.write(|connection| record(&self.room, connection, written));
        // What it is, or has, may expire first of all.
        expired::note(&self.room, 0);
        self.room.sweep_later(&lock);
        recorded
    }

    /// Gives the file its name, and leaves it to the caller to name it in the database.
    pub(crate) fn place(mut self) -> StoreResult<PlacedFile> {
        let written = self.end()?;
        let lock = self.room.lock_folder()?;
        let pin = self.room.pins.pin(&written.digest.hex());
        self.rename(&written, &lock)?;
        drop(lock);
        Ok(PlacedFile {
            room: Arc::clone(&self.room),
            written,
            pin: Some(pin),
        })
    }

    fn end(&mut self) -> StoreResult<Written> {
        self.file.sync_all()?;
        Ok(Written {
            digest: format!("sha256:{:x}", std::mem::take(&mut self.hash).finalize()).parse()?,
            bytes: self.bytes,
        })
    }

    fn rename(&self, written: &Written, _lock: &FolderLock<'_>) -> StoreResult<()> {
        let folder = self.room.folder.join(FILES);
        fs::rename(&self.path, folder.join(written.digest.hex()))?;
        files::sync_folder(&folder)?;
        Ok(self.room.open_files.replace(&folder, &written.digest.hex())?)
    }
}

/// A file that has its name, which a sweep leaves alone as long as this lives. It is deleted with this if nothing in the database names it then.
pub(crate) struct PlacedFile {
    room: Arc<RoomState>,
    written: Written,
    pin: Option<Arc<()>>,
}

impl PlacedFile {
    pub(crate) fn written(&self) -> &Written {
        &self.written
    }
}

impl Drop for PlacedFile {
    fn drop(&mut self) {
        self.pin = None;
        self.room.delete_unnamed_file(&self.written.digest);
    }
}

impl Drop for UnfinishedFile {
    fn drop(&mut self) {
        // Of a finished one the name is gone. What cannot be deleted now, a sweep deletes.
        let _ = fs::remove_file(&self.path);
    }
}

/// Writes a file for async callers, within the bytes that its room may store.
pub(crate) struct PieceWriter {
    /// `None` while a piece is written.
    file: Option<(UnfinishedFile, Reservation)>,
    most: u64,
}

impl PieceWriter {
    /// Begins a file in a room that may store so many bytes, unless `check` refuses it.
    pub(crate) async fn begin(
        room: &Arc<RoomState>,
        most: u64,
        check: impl FnOnce(&RoomState) -> StoreResult<()> + Send + 'static,
    ) -> Result<Self> {
        let begun = Arc::clone(room);
        let file = run_with_permit(&room.file_permits, move || {
            check(&begun)?;
            begun.database.check_disk()?;
            begun.storage(most).check(0)?;
            UnfinishedFile::create(&begun)
        });
        Ok(Self {
            file: Some((file.await?, Reservation::begin(&room.stored))),
            most,
        })
    }

    /// # Errors
    /// `StorageFull` if the room has no space for so many.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let most = self.most;
        let (mut file, mut reserved) = self.file.take().ok_or_else(broken_off)?;
        let room = Arc::clone(&file.room);
        let file = run_with_permit(&room.file_permits, move || {
            reserved.grow(bytes.len() as u64, most)?;
            file.write(&bytes)?;
            Ok((file, reserved))
        });
        self.file = Some(file.await?);
        Ok(())
    }

    /// As [`UnfinishedFile::finish`]; refuses what has made the room larger than it may be.
    pub(crate) async fn finish<T: Send + 'static>(
        mut self,
        record: impl FnOnce(&Connection, Written) -> StoreResult<T> + Send + 'static,
    ) -> Result<T> {
        let most = self.most;
        let (file, reserved) = self.file.take().ok_or_else(broken_off)?;
        let room = Arc::clone(&file.room);
        run_with_permit(&room.file_permits, move || {
            file.finish(|room, connection, written| {
                let recorded = record(connection, written)?;
                room.check_quota_without(connection, most, reserved.bytes())?;
                Ok(recorded)
            })
        })
        .await
    }
}

fn broken_off() -> Error {
    Error::internal("a file whose writing has failed is written to")
}
