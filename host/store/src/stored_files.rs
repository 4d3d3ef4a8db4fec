//! The `FileStore` port of a room: what a tenant sent, as files that are named by their digest, and the list of them in `room.db`. The same
//! bytes are there once. Not here: writing a file at once (`files`), deleting what nothing names (`generations`).

use crate::{
    changes::Change,
    error::{StoreResult, run_with_permit},
    files,
    generations::FILES as FOLDER,
    names,
    room::RoomState,
    vector_store_files,
};
use async_trait::async_trait;
use bytes::Bytes;
use riad_core::{
    Digest, Error, FileId, Result, Timestamp,
    file::{FilePage, NewFile, StoredFile},
    ports::{FileStore, FileWriter},
};
use rusqlite::{Connection, OptionalExtension, Row};
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    ops::Range,
    path::PathBuf,
    sync::Arc,
};
use uuid::Uuid;

/// Expired files that one new one deletes, and as many when a room is opened.
const DELETED_AT_ONCE: u32 = 32;
const COLUMNS: &str = "id, name, purpose, bytes, digest, created, expires";
/// Of those that are there at the time in the first parameter.
const IS_THERE: &str = "(expires IS NULL OR expires > ?1)";

/// A room, and the bytes that it may store.
pub(crate) struct RoomFiles(pub(crate) Arc<RoomState>, pub(crate) u64);

#[async_trait]
impl FileStore for RoomFiles {
    async fn begin(&self) -> Result<Box<dyn FileWriter>> {
        let (room, most) = (self.0.clone(), self.1);
        let begun = run_with_permit(&self.0.file_permits, move || Part::create(room, most)).await?;
        Ok(Box::new(Writer(Some(begun))))
    }

    async fn get(&self, id: &FileId) -> Result<StoredFile> {
        let (room, id) = (self.0.clone(), id.clone());
        run_with_permit(&self.0.database.read_permits, move || {
            room.database.read(|connection| find(connection, &id))
        })
        .await
    }

    async fn read(&self, id: &FileId, range: Range<u64>) -> Result<Bytes> {
        let (room, id) = (self.0.clone(), id.clone());
        run_with_permit(&self.0.database.read_permits, move || read(&room, &id, range)).await
    }

    async fn list(&self, page: &FilePage) -> Result<Vec<StoredFile>> {
        let (room, page) = (self.0.clone(), page.clone());
        run_with_permit(&self.0.database.read_permits, move || {
            room.database.read(|connection| list(connection, &page))
        })
        .await
    }

    async fn delete(&self, id: &FileId) -> Result<()> {
        let (room, id) = (self.0.clone(), id.clone());
        run_with_permit(&self.0.file_permits, move || {
            let lock = room.lock_folder()?;
            room.write_then(
                |connection| {
                    let found = find(connection, &id)?;
                    let number =
                        connection.query_row("SELECT number FROM files WHERE id = ?1", [found.id.as_str()], |row| {
                            row.get(0)
                        })?;
                    delete_number(connection, number)
                },
                |connection, changes| {
                    room.indexes.follow_all(connection, changes);
                    Ok(())
                },
            )?;
            room.sweep_later(&lock);
            Ok(())
        })
        .await
    }
}

/// `None` while a piece is written.
struct Writer(Option<Part>);

#[async_trait]
impl FileWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let mut part = self.0.take().ok_or_else(broken_off)?;
        let room = Arc::clone(&part.room);
        let part = run_with_permit(&room.file_permits, move || {
            part.write(&bytes)?;
            Ok(part)
        });
        self.0 = Some(part.await?);
        Ok(())
    }

    async fn finish(mut self: Box<Self>, file: NewFile) -> Result<StoredFile> {
        let part = self.0.take().ok_or_else(broken_off)?;
        let room = Arc::clone(&part.room);
        run_with_permit(&room.file_permits, move || part.finish(file)).await
    }
}

fn broken_off() -> Error {
    Error::internal("a file whose writing has failed is written to")
}

/// The bytes so far, under a name that a sweep leaves alone as long as this lives.
struct Part {
    room: Arc<RoomState>,
    most: u64,
    path: PathBuf,
    file: File,
    hash: Sha256,
    bytes: u64,
    _pin: Arc<()>,
}

impl Part {
    fn create(room: Arc<RoomState>, most: u64) -> StoreResult<Self> {
        room.storage(most).check(0)?;
        let name = format!("{}{}", files::UNFINISHED, Uuid::now_v7().simple());
        let path = room.folder.join(FOLDER).join(&name);
        let lock = room.lock_folder()?;
        // Before the file is there, so that no sweep takes it for a leftover.
        let pin = room.pins.pin(&name);
        let file = File::create_new(&path)?;
        drop(lock);
        Ok(Self {
            file,
            path,
            hash: Sha256::new(),
            bytes: 0,
            most,
            _pin: pin,
            room,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> StoreResult<()> {
        self.bytes += bytes.len() as u64;
        self.room.storage(self.most).check(self.bytes)?;
        self.hash.update(bytes);
        Ok(self.file.write_all(bytes)?)
    }

    fn finish(mut self, file: NewFile) -> StoreResult<StoredFile> {
        self.file.sync_all()?;
        let digest: Digest = format!("sha256:{:x}", std::mem::take(&mut self.hash).finalize()).parse()?;
        let lock = self.room.lock_folder()?;
        let folder = self.room.folder.join(FOLDER);
        fs::rename(&self.path, folder.join(digest.hex()))?;
        files::sync_folder(&folder)?;
        let last: Option<String> = self
            .room
            .database
            .read(|connection| Ok(connection.query_row("SELECT max(id) FROM files", [], |row| row.get(0))?))?;
        let stored = StoredFile {
            // Nobody else gives one meanwhile: the folder is locked.
            id: names::next_file(last.as_deref()).parse()?,
            name: file.name,
            purpose: file.purpose,
            bytes: self.bytes,
            digest,
            created: Timestamp::now().as_seconds(),
            expires: file.expires,
        };
        delete_some_expired(&self.room)?;
        let written = self.room.write(|connection| {
            connection.execute(
                "INSERT INTO files (id, name, purpose, bytes, digest, created, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                (
                    stored.id.as_str(),
                    &stored.name,
                    stored.purpose.as_str(),
                    stored.bytes.cast_signed(),
                    stored.digest.to_string(),
                    stored.created.cast_signed(),
                    stored.expires.map(u64::cast_signed),
                ),
            )?;
            self.room.check_quota(connection, self.most)
        });
        self.room.sweep_later(&lock);
        written?;
        Ok(stored)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Of a finished one the name is gone. What cannot be deleted now, a sweep deletes.
        let _ = fs::remove_file(&self.path);
    }
}

/// Deletes some of the files that have expired.
pub(crate) fn delete_expired(room: &RoomState) -> StoreResult<()> {
    let any = room.database.read(|connection| {
        let found = connection
            .prepare_cached("SELECT 1 FROM files WHERE expires <= ?1 LIMIT 1")?
            .query_row([now()], |_| Ok(()))
            .optional()?;
        Ok(found.is_some())
    })?;
    if any {
        let lock = room.lock_folder()?;
        delete_some_expired(room)?;
        room.sweep_later(&lock);
    }
    Ok(())
}

fn delete_some_expired(room: &RoomState) -> StoreResult<()> {
    room.write_then(
        |connection| {
            let mut statement =
                connection.prepare_cached("SELECT number FROM files WHERE expires <= ?1 ORDER BY expires LIMIT ?2")?;
            let numbers = statement.query_map((now(), DELETED_AT_ONCE), |row| row.get(0))?;
            let numbers = numbers.collect::<rusqlite::Result<Vec<i64>>>()?;
            let mut changes = Vec::new();
            for number in numbers {
                changes.extend(delete_number(connection, number)?);
            }
            Ok(changes)
        },
        |connection, changes| {
            room.indexes.follow_all(connection, changes);
            Ok(())
        },
    )
}

/// Deletes a file, and takes it out of the vector stores that have it: the changes are of their indexes.
fn delete_number(connection: &Connection, number: i64) -> StoreResult<Vec<Change>> {
    let changes = vector_store_files::remove_everywhere(connection, number)?;
    connection
        .prepare_cached("DELETE FROM files WHERE number = ?1")?
        .execute([number])?;
    Ok(changes)
}

fn now() -> i64 {
    Timestamp::now().as_seconds().cast_signed()
}

fn find(connection: &Connection, id: &FileId) -> StoreResult<StoredFile> {
    let found = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM files WHERE {IS_THERE} AND id = ?2"))?
        .query_row((now(), id.as_str()), read_row)
        .optional()?;
    found.ok_or_else(|| no_file(id))?.finish()
}

fn no_file(id: &FileId) -> crate::error::Failure {
    Error::not_found(format!("this room has no file {id}")).into()
}

fn read(room: &RoomState, id: &FileId, range: Range<u64>) -> StoreResult<Bytes> {
    let found = room.database.read(|connection| find(connection, id))?;
    let (start, end) = (range.start.min(found.bytes), range.end.min(found.bytes));
    let mut file = File::open(room.folder.join(FOLDER).join(found.digest.hex()))?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = vec![0; usize::try_from(end.saturating_sub(start)).unwrap_or(0)];
    file.read_exact(&mut bytes)?;
    Ok(bytes.into())
}

fn list(connection: &Connection, page: &FilePage) -> StoreResult<Vec<StoredFile>> {
    let (comparison, order) = match page.ascending {
        true => (">", "ASC"),
        false => ("<", "DESC"),
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM files WHERE {IS_THERE} AND (?2 IS NULL OR id {comparison} ?2) AND (?3 IS NULL OR purpose = ?3)
         ORDER BY id {order} LIMIT ?4"
    ))?;
    let purpose = page.purpose.map(|purpose| purpose.as_str());
    let after = page.after.as_ref().map(FileId::as_str);
    let rows = statement.query_map((now(), after, purpose, page.limit), read_row)?;
    rows.map(|row| row?.finish()).collect()
}

struct FileRow {
    id: String,
    name: String,
    purpose: String,
    bytes: i64,
    digest: String,
    created: i64,
    expires: Option<i64>,
}

impl FileRow {
    fn finish(self) -> StoreResult<StoredFile> {
        Ok(StoredFile {
            id: self.id.parse()?,
            name: self.name,
            purpose: self.purpose.parse()?,
            bytes: self.bytes.cast_unsigned(),
            digest: self.digest.parse()?,
            created: self.created.cast_unsigned(),
            expires: self.expires.map(i64::cast_unsigned),
        })
    }
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<FileRow> {
    Ok(FileRow {
        id: row.get(0)?,
        name: row.get(1)?,
        purpose: row.get(2)?,
        bytes: row.get(3)?,
        digest: row.get(4)?,
        created: row.get(5)?,
        expires: row.get(6)?,
    })
}
