//! The only place where a SQLite connection is opened: pragmas, schema versions, one writer and one reader per database.
//! Not here: what is asked of them, and the guards around a plugin's statements (`sql`).

use crate::{
    error::{BlockingPermits, Failure, StoreResult, closed},
    reserve::Reserve,
    sqlite_memory,
};
use parking_lot::{FairMutex, FairMutexGuard, Mutex};
use riad_core::{Error, ErrorKind};
use rusqlite::{
    Connection, OpenFlags, Transaction, TransactionBehavior,
    backup::{Backup, StepResult},
    config::DbConfig,
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// How long a statement waits for another connection.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// How long writers wait for a reader when the log is emptied; most reads take milliseconds.
const LOG_WAIT: Duration = Duration::from_millis(200);

/// A database's schema: step n brings it from version n to n + 1 and is never changed after a release.
pub(crate) struct Schema {
    /// For messages: "the control database".
    pub what: &'static str,
    pub steps: &'static [&'static str],
}

impl Schema {
    #[expect(clippy::cast_possible_truncation, reason = "a schema has a handful of steps")]
    pub(crate) const fn version(&self) -> u32 {
        self.steps.len() as u32
    }
}

/// Held by every writer of one database file, whatever its connection, and given to the one that has waited longest. Without
/// it, SQLite lets a connection that commits often overtake the others, which sleep and retry until their busy timeout ends.
#[derive(Clone, Default)]
pub(crate) struct WriterLock(Arc<FairMutex<()>>);

/// Proves that the thread holds a [`WriterLock`]: no write transaction begins without it.
pub(crate) struct WriterGuard<'l> {
    _guard: FairMutexGuard<'l, ()>,
}

impl WriterLock {
    pub(crate) fn lock(&self) -> WriterGuard<'_> {
        WriterGuard { _guard: self.0.lock() }
    }
}

/// A connection that writes. It gives out transactions only, and those only to the holder of the writer lock.
pub(crate) struct WriteConnection(Connection);

impl WriteConnection {
    pub(crate) fn open(path: &Path) -> StoreResult<Self> {
        open(path).map(Self)
    }

    /// Takes SQLite's write lock too, so that the transaction cannot fail for it later.
    pub(crate) fn begin<'c>(&'c self, _guard: &'c WriterGuard<'_>) -> rusqlite::Result<Transaction<'c>> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place where write transactions begin"
        )]
        Transaction::new_unchecked(&self.0, TransactionBehavior::Immediate)
    }

    /// Whether the next commits wait for the disk, as they do on a new connection.
    pub(crate) fn set_synchronous(&self, full: bool) -> rusqlite::Result<()> {
        self.0
            .pragma_update(None, "synchronous", if full { "FULL" } else { "NORMAL" })
    }
}

/// Whether a room may not be changed.
#[derive(Clone, Default)]
pub(crate) struct Sealed(Arc<AtomicBool>);

impl Sealed {
    pub(crate) fn is_sealed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn check(&self) -> StoreResult<()> {
        match self.is_sealed() {
            false => Ok(()),
            true => Err(sealed().into()),
        }
    }
}

pub(crate) fn sealed() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "this tenant moves to another cell, and nothing of it can be changed until it is there; send the request again in a moment",
    )
    .with_retry_after(Duration::from_secs(1))
}

/// One writer and one reader, so that reading does not wait for the disk to sync. Each call is one transaction.
pub(crate) struct Database {
    lock: WriterLock,
    writer: Mutex<Option<WriteConnection>>,
    /// Whether the last commit failed. It may be on the disk all the same, where the next start would find it; the next commit overwrites it.
    in_doubt: AtomicBool,
    /// Whether nothing may change it, because its tenant moves to another cell. Shared with who else writes for the tenant.
    pub(crate) sealed: Sealed,
    reader: Mutex<Option<Connection>>,
    reserve: Arc<Reserve>,
    /// As [`Self::memory`] has last seen it.
    memory: AtomicU64,
    /// For async callers, whose work reads, or reads and writes (`resources::ROOM_THREADS`): they wait here and not for the connection's lock.
    pub(crate) read_permits: BlockingPermits,
    pub(crate) write_permits: BlockingPermits,
}

impl Database {
    pub(crate) fn open(path: &Path, schema: &Schema) -> StoreResult<Self> {
        Self::open_with_reserve(path, schema, &Reserve::none())
    }

    /// With what is kept on the disk for [`Self::write_reserved`].
    pub(crate) fn open_with_reserve(path: &Path, schema: &Schema, reserve: &Arc<Reserve>) -> StoreResult<Self> {
        let lock = WriterLock::default();
        let writer = WriteConnection::open(path)?;
        migrate(writer.begin(&lock.lock())?, schema)?;
        let reader = open_reader(path)?;
        Ok(Self {
            lock,
            writer: Mutex::new(Some(writer)),
            in_doubt: AtomicBool::new(false),
            sealed: Sealed::default(),
            reader: Mutex::new(Some(reader)),
            reserve: Arc::clone(reserve),
            memory: AtomicU64::default(),
            read_permits: BlockingPermits::default(),
            write_permits: BlockingPermits::default(),
        })
    }

    /// For other connections that write to the same file.
    pub(crate) fn writer_lock(&self) -> &WriterLock {
        &self.lock
    }

    /// Reads one state of the database.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<T> {
        let reader = self.reader.lock();
        let transaction = reader.as_ref().ok_or_else(closed)?.unchecked_transaction()?;
        work(&transaction)
    }

    /// All of the work or nothing; on the disk when it returns.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<T> {
        self.write_then(work, |_, result| Ok(result))
    }

    /// As `write`, of what says nothing about the tenant's data: also while they are sealed.
    pub(crate) fn write_sealed<T>(&self, work: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<T> {
        self.reserve.check()?;
        let guard = self.lock.lock();
        let writer = self.writer.lock();
        self.commit(writer.as_ref().ok_or_else(closed)?, &guard, work)
    }

    /// As `write`; then does what follows from it before the next writer begins, so that it happens in the same order.
    pub(crate) fn write_then<T, U>(
        &self,
        work: impl FnOnce(&Connection) -> StoreResult<T>,
        then: impl FnOnce(&Connection, T) -> StoreResult<U>,
    ) -> StoreResult<U> {
        self.reserve.check()?;
        let guard = self.lock.lock();
        self.sealed.check()?;
        let writer = self.writer.lock();
        let connection = writer.as_ref().ok_or_else(closed)?;
        let result = self.commit(connection, &guard, work)?;
        then(&connection.0, result)
    }

    /// As `write`, of what must be written also when the disk is full: deletions, and what says what has happened. The work may run twice.
    pub(crate) fn write_reserved<T>(&self, work: impl Fn(&Connection) -> StoreResult<T>) -> StoreResult<T> {
        self.write_reserved_then(work, |_, result| Ok(result))
    }

    /// As `write_then`, of what must be written also when the disk is full.
    pub(crate) fn write_reserved_then<T, U>(
        &self,
        work: impl Fn(&Connection) -> StoreResult<T>,
        then: impl FnOnce(&Connection, T) -> StoreResult<U>,
    ) -> StoreResult<U> {
        let guard = self.lock.lock();
        self.sealed.check()?;
        let writer = self.writer.lock();
        let connection = writer.as_ref().ok_or_else(closed)?;
        let result = self.reserve.spend(|| self.commit(connection, &guard, &work))?;
        then(&connection.0, result)
    }

    /// Refuses changes from when it returns, or takes them again.
    pub(crate) fn set_sealed(&self, sealed: bool) {
        // Whoever is writing ends before.
        let _guard = self.lock.lock();
        self.sealed.0.store(sealed, Ordering::Relaxed);
    }

    fn commit<T>(
        &self,
        connection: &WriteConnection,
        guard: &WriterGuard<'_>,
        work: impl FnOnce(&Connection) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let transaction = connection.begin(guard)?;
        let result = work(&transaction)?;
        let committed = transaction.commit();
        self.in_doubt.store(committed.is_err(), Ordering::Relaxed);
        committed?;
        Ok(result)
    }

    /// Refuses what stores something beside the database while the disk is full.
    pub(crate) fn check_disk(&self) -> StoreResult<()> {
        self.reserve.check()
    }

    /// Moves the write-ahead log into the database and cuts it off, so that nothing is left of pages as they were before a deletion. `false`
    /// if a reader is in the way for longer than a moment: then the log stays as it is.
    pub(crate) fn empty_log(&self) -> StoreResult<bool> {
        let _guard = self.lock.lock();
        let writer = self.writer.lock();
        let connection = &writer.as_ref().ok_or_else(closed)?.0;
        // Our own reader is waited for here, those of other programs by SQLite.
        let Some(_reader) = self.reader.try_lock_for(LOG_WAIT) else {
            return Ok(false);
        };
        connection.busy_timeout(LOG_WAIT)?;
        let busy: StoreResult<i64> = self
            .reserve
            .spend(|| Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?));
        connection.busy_timeout(BUSY_WAIT)?;
        Ok(busy? == 0)
    }

    /// Whether the disk has something else than [`Self::read`] reads: then nothing that it may name can be deleted.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::Relaxed)
    }

    /// Bytes of memory that its connections take. Of one that works at this moment, as they were when they were last asked for.
    pub(crate) fn memory(&self) -> u64 {
        if let (Some(writer), Some(reader)) = (self.writer.try_lock(), self.reader.try_lock()) {
            let writer = writer
                .as_ref()
                .map_or(0, |writer| sqlite_memory::of_connection(&writer.0));
            let reader = reader.as_ref().map_or(0, sqlite_memory::of_connection);
            self.memory.store(writer + reader, Ordering::Relaxed);
        }
        self.memory.load(Ordering::Relaxed)
    }

    /// Waits for what runs; calls that come later fail.
    pub(crate) fn close(&self) {
        drop(self.reader.lock().take());
        // The last to go: it moves the write-ahead log into the database.
        drop(self.writer.lock().take());
    }
}

/// As [`open`], and refuses to write.
pub(crate) fn open_reader(path: &Path) -> StoreResult<Connection> {
    let connection = open(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// A connection with our pragmas: a commit that returned survives `kill -9` and a power cut.
pub(crate) fn open(path: &Path) -> StoreResult<Connection> {
    sqlite_memory::install();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place where databases are opened"
    )]
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    // Without it, SQLite plans a prepared statement again whenever a bound value changes: at every look-up of a key.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Failure::Data(format!("journal_mode is {mode}, not wal")));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // What a tenant deleted is overwritten, not only unlinked.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "journal_size_limit", 16_i64 << 20)?;
    Ok(connection)
}

/// Copies the state that a connection reads, page by page, into a file that is not there yet. A crash may leave any part of it.
pub(crate) fn copy_database(from: &Connection, to: &Path) -> StoreResult<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place where databases are opened"
    )]
    let mut copy = Connection::open_with_flags(to, flags)?;
    copy.pragma_update(None, "synchronous", "OFF")?;
    // All pages at once: between two steps a writer would make it begin again.
    let step = Backup::new(from, &mut copy)?.step(-1)?;
    match step == StepResult::Done {
        true => Ok(copy),
        false => Err(Failure::Data("a database could not be copied in one step".into())),
    }
}

/// A database in memory, for what is computed to be compared.
pub(crate) fn open_scratch() -> StoreResult<Connection> {
    sqlite_memory::install();
    Ok(Connection::open_in_memory()?)
}

/// Opens a database that no other process writes to, and changes none of its data.
pub(crate) fn open_read_only(path: &Path) -> StoreResult<Connection> {
    let path = path.canonicalize()?;
    let mut log = path.clone().into_os_string();
    log.push("-wal");
    let has_log = Path::new(&log).metadata().is_ok_and(|log| log.len() > 0);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // Without a log, SQLite needs no shared memory and so no file of its own: the folder may be on a read-only disk.
    let (name, flags) = match cfg!(unix) && !has_log {
        true => (immutable_uri(&path).into(), flags | OpenFlags::SQLITE_OPEN_URI),
        false => (path, flags),
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place where databases are opened"
    )]
    let connection = Connection::open_with_flags(name, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn immutable_uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => uri += &format!("%{byte:02X}"),
        }
    }
    uri + "?immutable=1"
}

fn migrate(transaction: Transaction<'_>, schema: &Schema) -> StoreResult<()> {
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let newest = i64::try_from(schema.steps.len()).map_err(|error| Failure::Data(error.to_string()))?;
    if version < 0 || version > newest {
        return Err(Failure::Known(Error::new(
            ErrorKind::Unavailable,
            format!(
                "{} has schema version {version}, this server reads versions up to {newest}; start the newer server that wrote it",
                schema.what
            ),
        )));
    }
    if version == newest {
        // A room can be opened on a full disk.
        return Ok(());
    }
    for (number, step) in (1_i64..).zip(schema.steps) {
        if number > version {
            transaction.execute_batch(step)?;
        }
    }
    transaction.pragma_update(None, "user_version", newest)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: Schema = Schema {
        what: "the test database",
        steps: &["CREATE TABLE a (x)", "CREATE TABLE b (x)"],
    };

    #[test]
    fn steps_run_once_and_a_newer_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let first = Schema {
            what: "the test database",
            steps: &["CREATE TABLE a (x)"],
        };
        drop(Database::open(&path, &first).unwrap());
        let database = Database::open(&path, &SCHEMA).unwrap();
        database
            .write(|connection| Ok(connection.execute("INSERT INTO b VALUES (1)", [])?))
            .unwrap();
        drop(database);
        drop(Database::open(&path, &SCHEMA).unwrap());
        let error = Error::from(Database::open(&path, &first).err().unwrap());
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("version 2"), "{error}");
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("test.db"), &SCHEMA).unwrap();
        let failed = database.write(|connection| {
            connection.execute("INSERT INTO a VALUES (1)", [])?;
            Err::<(), _>(Failure::Data("no".into()))
        });
        assert!(failed.is_err());
        let rows: i64 = database
            .read(|connection| Ok(connection.query_row("SELECT count(*) FROM a", [], |row| row.get(0))?))
            .unwrap();
        assert_eq!(rows, 0);
    }

    #[test]
    fn the_reader_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("test.db"), &SCHEMA).unwrap();
        let written = database.read(|connection| Ok(connection.execute("INSERT INTO a VALUES (1)", [])?));
        assert!(written.is_err());
    }
}
