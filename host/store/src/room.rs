//! One open room: its database, its indexes and the lock over its folder. Not here: which rooms are open (`rooms`), and the
//! ports, each in a file of its own.

use crate::{
    embedding_space,
    error::{BlockingPermits, Failure, StoreResult, run_with_permit},
    files,
    generations::{self, FolderLock, FolderWriter, Pins},
    indexes::Indexes,
    open_files::OpenFiles,
    quota::{self, StoredBytes},
    reserve::Reserve,
    room_schema::SCHEMA,
    sql::PluginDatabase,
    sqlite::{self, Database},
    state::{get_state, set_state},
    words,
};
use riad_core::{
    Digest, Error, ErrorKind, Limits,
    ports::{EmbeddingSpace, Storage},
};
use rusqlite::Connection;
use std::{
    cmp::Ordering,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{self, AtomicBool, AtomicI64, AtomicU64},
    },
};

/// Below a room's folder.
pub(crate) const DATABASE: &str = "room.db";
pub(crate) const PLUGIN_DATABASE: &str = "plugin.db";

/// In `state`: the same as its account has in `control.db`.
pub(crate) const ROOM_ID: &str = "room_id";

pub(crate) struct RoomState {
    pub(crate) folder: PathBuf,
    pub(crate) space: EmbeddingSpace,
    pub(crate) database: Database,
    pub(crate) indexes: Indexes,
    /// For searches by words.
    pub(crate) phrase_counts: words::PhraseCounts,
    pub(crate) sql: PluginDatabase,
    pub(crate) pins: Arc<Pins>,
    pub(crate) stored: Arc<StoredBytes>,
    pub(crate) open_files: OpenFiles,
    /// When the next file or upload expires, in seconds, or before.
    pub(crate) next_expiry: AtomicI64,
    pub(crate) erasing: Erasing,
    /// For async callers that write files, which may take long: they wait here and not for `writer`.
    pub(crate) file_permits: BlockingPermits,
    /// Generations of an adapter's alias that are kept.
    pub(crate) adapter_generations: u32,
    writer: FolderWriter,
    unembedded: AtomicU64,
}

/// What deletions have left to a later time.
#[derive(Default)]
pub(crate) struct Erasing {
    /// Whether deleted bytes are in the write-ahead log.
    pub(crate) log: AtomicBool,
    /// Whether a task sees to it.
    pub(crate) task: AtomicBool,
}

/// Refuses a room that this program cannot read without changing it.
pub(crate) fn check_version(connection: &Connection) -> StoreResult<()> {
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let help = match version.cmp(&SCHEMA.version()) {
        Ordering::Equal => return Ok(()),
        Ordering::Less => "start the server and use the room once, which updates it",
        Ordering::Greater => "use the newer program that wrote it",
    };
    Err(Failure::Known(Error::new(
        ErrorKind::Unavailable,
        format!(
            "the room has schema version {version}, this program reads version {}; {help}",
            SCHEMA.version()
        ),
    )))
}

/// The id that the room in this folder has. `None` also if it cannot be read: a damaged room can be deleted.
pub(crate) fn stored_id(folder: &Path) -> Option<String> {
    let path = folder.join(DATABASE);
    if !path.try_exists().unwrap_or(false) {
        return None;
    }
    let connection = sqlite::open_reader(&path).ok()?;
    get_state(&connection, ROOM_ID).ok().flatten()
}

impl RoomState {
    /// Makes the folder if it is not there, brings the index up to date, and sweeps what was left over.
    /// `check_id` says which id the room must have, given the one that it has.
    pub(crate) fn open(
        folder: &Path,
        space: &EmbeddingSpace,
        limits: &Limits,
        pins: Arc<Pins>,
        reserve: &Arc<Reserve>,
        check_id: impl FnOnce(Option<&str>) -> StoreResult<String>,
    ) -> StoreResult<Self> {
        files::create_folder(folder)?;
        for part in generations::FOLDERS {
            files::create_folder(&folder.join(part))?;
        }
        let database = Database::open_with_reserve(&folder.join(DATABASE), &SCHEMA, reserve)?;
        files::sync_folder(folder)?;
        let stored = database.read(|connection| get_state(connection, ROOM_ID))?;
        let id = check_id(stored.as_deref())?;
        database.write_reserved(|connection| {
            if stored.is_none() {
                set_state(connection, ROOM_ID, &id)?;
            }
            embedding_space::follow_space(connection, space)
        })?;
        words::update(&database)?;
        database.read(words::install_score)?;
        let sealed = database.sealed.clone();
        let indexes = Indexes::open(folder, space.dimensions, &database)?;
        let room = Self {
            folder: folder.to_owned(),
            space: space.clone(),
            database,
            indexes,
            phrase_counts: words::PhraseCounts::default(),
            sql: PluginDatabase::new(folder.join(PLUGIN_DATABASE), limits.clone(), sealed),
            pins,
            stored: Arc::default(),
            open_files: OpenFiles::default(),
            next_expiry: AtomicI64::new(i64::MAX),
            erasing: Erasing::default(),
            file_permits: BlockingPermits::default(),
            adapter_generations: limits.adapter_generations,
            writer: FolderWriter::default(),
            unembedded: AtomicU64::default(),
        };
        room.database.read(|connection| {
            room.set_unembedded(embedding_space::count(connection)?);
            room.count(connection)
        })?;
        room.stored.set_sql(room.sql.file_bytes());
        room.sweep(&room.lock_folder()?)?;
        Ok(room)
    }

    /// What the room stores, of so many bytes at most.
    pub(crate) fn storage(&self, most: u64) -> Storage {
        Storage {
            stored: self.stored.all(),
            most,
        }
    }

    /// Chunks that wait to be embedded again.
    pub(crate) fn unembedded(&self) -> u64 {
        self.unembedded.load(atomic::Ordering::Relaxed)
    }

    pub(crate) fn set_unembedded(&self, chunks: u64) {
        self.unembedded.store(chunks, atomic::Ordering::Relaxed);
    }

    /// Bytes of memory for vectors and SQLite.
    pub(crate) fn memory(&self) -> u64 {
        self.database.memory() + self.indexes.memory()
    }

    /// As `Database::read`, for an async caller, once a permit is free.
    pub(crate) async fn query<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> riad_core::Result<T> {
        let room = Arc::clone(self);
        run_with_permit(&self.database.read_permits, move || room.database.read(work)).await
    }

    /// As `Database::write`, and counts what the room stores then.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<T> {
        self.write_then(work, |_, result| Ok(result))
    }

    /// As `Database::write_reserved`, and counts what the room stores then.
    pub(crate) fn write_reserved<T>(&self, work: impl Fn(&Connection) -> StoreResult<T>) -> StoreResult<T> {
        self.write_reserved_then(work, |_, result| Ok(result))
    }

    /// As `Database::write_reserved_then`, and counts what the room stores then.
    pub(crate) fn write_reserved_then<T, U>(
        &self,
        work: impl Fn(&Connection) -> StoreResult<T>,
        then: impl FnOnce(&Connection, T) -> StoreResult<U>,
    ) -> StoreResult<U> {
        self.database.write_reserved_then(work, |connection, result| {
            self.count_after(connection);
            then(connection, result)
        })
    }

    /// As `Database::write_then`, and counts what the room stores then.
    pub(crate) fn write_then<T, U>(
        &self,
        work: impl FnOnce(&Connection) -> StoreResult<T>,
        then: impl FnOnce(&Connection, T) -> StoreResult<U>,
    ) -> StoreResult<U> {
        self.database.write_then(work, |connection, result| {
            self.count_after(connection);
            then(connection, result)
        })
    }

    /// The change is there: what follows from it must happen.
    fn count_after(&self, connection: &Connection) {
        if let Err(error) = self.count(connection) {
            tracing::warn!(%error, "what a room stores could not be counted; the next change counts it");
        }
    }

    fn count(&self, connection: &Connection) -> StoreResult<()> {
        self.stored
            .set_room(quota::count(connection, self.indexes.file_bytes())?);
        Ok(())
    }

    /// Refuses a change that has made the room larger than it may be. Called at the end of its transaction, which is undone then.
    pub(crate) fn check_quota(&self, connection: &Connection, most: u64) -> StoreResult<()> {
        self.check_quota_without(connection, most, 0)
    }

    /// The same for a change that stores so many bytes that are reserved, and given back after it.
    pub(crate) fn check_quota_without(&self, connection: &Connection, most: u64, reserved: u64) -> StoreResult<()> {
        let more = quota::count(connection, self.indexes.file_bytes())?.saturating_sub(self.stored.room());
        let storage = Storage {
            stored: self.stored.all().saturating_sub(reserved),
            most,
        };
        match more {
            0 => Ok(()),
            more => Ok(storage.check(more)?),
        }
    }

    /// Waits for the right to write into the folder; fails if the room is closed.
    pub(crate) fn lock_folder(&self) -> StoreResult<FolderLock<'_>> {
        self.writer.lock()
    }

    /// Deletes files that nothing names and nobody uses. Those that cannot be deleted now are deleted at a later sweep.
    pub(crate) fn sweep_later(&self, lock: &FolderLock<'_>) {
        if let Err(error) = self.sweep(lock) {
            tracing::warn!(%error, "files that nobody uses were not deleted");
        }
    }

    /// Deletes one of the files of `room.db` that nothing names any more; one that cannot be deleted now is deleted at a later sweep.
    pub(crate) fn delete_unnamed_file(&self, digest: &Digest) {
        let deleted = self.lock_folder().and_then(|lock| {
            generations::delete_unnamed_file(
                &self.folder,
                &self.database,
                &self.pins,
                &self.open_files,
                digest,
                &lock,
            )
        });
        if let Err(error) = deleted {
            tracing::warn!(%error, "a file that nobody uses was not deleted");
        }
    }

    fn sweep(&self, lock: &FolderLock<'_>) -> StoreResult<()> {
        generations::sweep(&self.folder, &self.database, &self.pins, &self.open_files, lock)
    }

    /// Writes all vector indexes that are behind their files. On a full disk, the files that have what was deleted go instead.
    pub(crate) fn save_indexes(&self) -> StoreResult<()> {
        let _lock = self.lock_folder()?;
        let saved = self
            .database
            .check_disk()
            .and_then(|()| self.indexes.save(&self.database, false));
        match saved {
            Err(failure) if failure.is_full_disk() => self.indexes.remove_stale_files(),
            saved => saved,
        }
    }

    /// Writes the vector indexes that are behind their files by much. What they are of is safe in SQLite: a file that cannot be written now
    /// costs time at the next opening, nothing else.
    pub(crate) fn save_due_indexes(&self) {
        if self.indexes.should_save()
            && self.database.check_disk().is_ok()
            && let Err(error) = self
                .lock_folder()
                .and_then(|_lock| self.indexes.save(&self.database, true))
        {
            tracing::warn!(%error, "a vector index of a room was not saved");
        }
    }

    /// Refuses changes from when it returns, or takes them again. Blocks for as long as what is being written takes.
    pub(crate) fn set_sealed(&self, sealed: bool) {
        self.database.set_sealed(sealed);
        self.sql.wait();
    }

    /// Saves the indexes and closes. Waits for what runs; calls that come later fail.
    pub(crate) fn close(&self) -> StoreResult<()> {
        let saved = self
            .lock_folder()
            .and_then(|_lock| self.indexes.save_quickly(&self.database));
        self.discard();
        saved
    }

    /// Closes without saving, for a room whose folder goes.
    pub(crate) fn discard(&self) {
        self.writer.close();
        self.open_files.close_all();
        self.sql.close();
        self.database.close();
    }
}
