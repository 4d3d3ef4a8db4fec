//! The ledger in the control database: entries, holds, rollups and runs, behind one writer whose commits many callers share.
//! Not here: who is billed for what (`services`), accounts and plans (`control`).

mod chain;
mod recount;
mod rows;
mod schema;
mod usage;
mod verify;
mod writer;

pub(crate) use schema::{CACHED_TOKENS, SCHEMA};
pub(crate) use usage::add_functions;

use crate::{
    error::{BlockingPermits, Failure, StoreResult, run_blocking, run_with_permit},
    query_reader::QueryReader,
    reserve::Reserve,
    sqlite::{self, WriteConnection, WriterLock},
};
use async_trait::async_trait;
use parking_lot::Mutex;
use riad_core::{
    Account, Digest, KeyId, Result, Secret, Timestamp,
    ledger::{ChainHead, EngineTokens, Entry, EntryCheck, Hold, Record, Spent, Verification},
    ports::Ledger,
    usage::{EntryQuery, LedgerScope, Rollup, UsageBucket, UsageQuery},
};
use rusqlite::{Connection, OptionalExtension};
use std::{
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};
use writer::{Job, Writer};

const SIGNING_KEY: &str = "receipt_signing_key";

pub(crate) struct ControlLedger {
    path: PathBuf,
    run: i64,
    abandoned: Vec<Hold>,
    writer: Writer,
    /// For the reads that admission waits for: they do not wait behind long queries.
    admission_reader: Reader,
    queries: Arc<QueryReader>,
}

struct Reader {
    connection: Arc<Mutex<Option<Connection>>>,
    permits: BlockingPermits,
}

impl ControlLedger {
    /// Begins a run. The control database must have its tables; `lock` is the one that its other writers take, `queries` its reader for
    /// long questions, `reserve` what entries are written with when the disk is full.
    pub(crate) fn open(
        path: &Path,
        lock: WriterLock,
        queries: Arc<QueryReader>,
        reserve: &Arc<Reserve>,
    ) -> StoreResult<Arc<Self>> {
        let connection = WriteConnection::open(path)?;
        let (run, abandoned) = begin_run(&connection, &lock)?;
        Ok(Arc::new(Self {
            path: path.to_owned(),
            run,
            abandoned,
            writer: Writer::start(connection, run, lock, Arc::clone(reserve))?,
            admission_reader: Reader::open(path)?,
            queries,
        }))
    }

    /// Writes what is queued. Calls that come later fail with `Unavailable`.
    pub(crate) fn close(&self) {
        self.writer.close();
        self.admission_reader.close();
    }
}

impl Reader {
    fn open(path: &Path) -> StoreResult<Self> {
        Ok(Self {
            connection: Arc::new(Mutex::new(Some(open_reader(path)?))),
            permits: BlockingPermits::default(),
        })
    }

    fn close(&self) {
        drop(self.connection.lock().take());
    }

    /// Reads one state of the database.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> Result<T> {
        let connection = self.connection.clone();
        run_with_permit(&self.permits, move || {
            let connection = connection.lock();
            let connection = connection.as_ref().ok_or_else(|| Failure::Known(writer::closed()))?;
            let transaction = connection.unchecked_transaction()?;
            work(&transaction)
        })
        .await
    }
}

impl Drop for ControlLedger {
    fn drop(&mut self) {
        self.close();
    }
}

#[async_trait]
impl Ledger for ControlLedger {
    fn append(&self, record: Record) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(self.writer.queue(Job::Record(Box::new(record))))
    }

    async fn abandoned(&self) -> Result<Vec<Hold>> {
        Ok(self.abandoned.clone())
    }

    async fn head(&self, account: Account) -> Result<ChainHead> {
        self.writer.catch_up().await?;
        self.admission_reader
            .read(move |connection| head(connection, account))
            .await
    }

    async fn spent(&self, account: Account, key: Option<&KeyId>, now: u64) -> Result<Spent> {
        let key = key.cloned();
        self.writer.catch_up().await?;
        self.admission_reader
            .read(move |connection| usage::spent(connection, account, key.as_ref(), now))
            .await
    }

    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageBucket>> {
        self.queries
            .read(move |connection| usage::usage(connection, &query))
            .await
    }

    async fn rollups(&self, scope: LedgerScope, start: u64, end: u64) -> Result<Vec<Rollup>> {
        self.queries
            .read(move |connection| usage::rollups(connection, &scope, start, end))
            .await
    }

    async fn entries(&self, query: EntryQuery) -> Result<Vec<(u64, Entry)>> {
        self.queries
            .read(move |connection| usage::entries(connection, &query))
            .await
    }

    async fn verify(&self, check: Box<EntryCheck>) -> Result<Verification> {
        self.writer.catch_up().await?;
        let (path, run) = (self.path.clone(), self.run);
        // On a connection of its own: it takes long, and others want to read.
        run_blocking(move || verify::verify(&open_reader(&path)?, run, check.as_ref())).await
    }

    async fn end_run(&self, engine: EngineTokens) -> Result<()> {
        let run = self.run;
        self.writer
            .queue(Job::Other(Box::new(move |connection| {
                connection.execute(
                    "UPDATE runs SET engine = ?2 WHERE number = ?1",
                    (run, serde_json::to_string(&engine)?),
                )?;
                Ok(())
            })))
            .await
    }

    async fn signing_key(&self, make: Vec<u8>) -> Result<Secret<Vec<u8>>> {
        self.writer
            .queue(Job::Other(Box::new(move |connection| {
                connection.execute(
                    "INSERT OR IGNORE INTO meta (key, value) VALUES (?1, ?2)",
                    (SIGNING_KEY, &make),
                )?;
                Ok(())
            })))
            .await?;
        self.admission_reader
            .read(|connection| {
                let key =
                    connection.query_row("SELECT value FROM meta WHERE key = ?1", [SIGNING_KEY], |row| row.get(0))?;
                Ok(Secret::new(key))
            })
            .await
    }
}

/// The new run's number, and the holds that earlier runs left behind.
fn begin_run(connection: &WriteConnection, lock: &WriterLock) -> StoreResult<(i64, Vec<Hold>)> {
    let began_ms = rows::stored(Timestamp::now().as_millis());
    let guard = lock.lock();
    let transaction = connection.begin(&guard)?;
    // A hold that came after its entry ends nothing, and a second entry for its request would be refused.
    transaction.execute("DELETE FROM holds WHERE request IN (SELECT request FROM ledger)", [])?;
    transaction.execute("INSERT INTO runs (began_ms) VALUES (?1)", [began_ms])?;
    let run = transaction.last_insert_rowid();
    let abandoned = rows::holds(&transaction)?.into_iter().map(|(_, hold)| hold).collect();
    transaction.commit()?;
    Ok((run, abandoned))
}

fn open_reader(path: &Path) -> StoreResult<Connection> {
    let connection = sqlite::open_reader(path)?;
    add_functions(&connection)?;
    Ok(connection)
}

/// Checks the ledger of a folder without a server. What the last run left open is no fault: the next one settles it.
pub(crate) fn verify_last_run(connection: &Connection, check: &EntryCheck) -> StoreResult<Verification> {
    add_functions(connection)?;
    let last_run = connection.query_row("SELECT ifnull(max(number), 0) FROM runs", [], |row| row.get(0))?;
    verify::verify(connection, last_run, check)
}

pub(crate) fn read_signing_key(connection: &Connection) -> StoreResult<Option<Secret<Vec<u8>>>> {
    let key = connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [SIGNING_KEY], |row| row.get(0))
        .optional()?;
    Ok(key.map(Secret::new))
}

fn head(connection: &Connection, account: Account) -> StoreResult<ChainHead> {
    let last: Option<(i64, String)> = connection
        .prepare_cached("SELECT number, receipt FROM ledger WHERE account = ?1 ORDER BY number DESC LIMIT 1")?
        .query_row([rows::stored(account.number())], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match last {
        None => ChainHead::default(),
        Some((number, receipt)) => ChainHead {
            number: rows::unsigned(number)?,
            receipt: Some(Digest::of(receipt.as_bytes())),
        },
    })
}
