//! One thread with one connection, which commits what many callers have queued in one transaction.

use super::rows::{self, EntryHash};
use crate::{
    error::{Failure, StoreResult},
    reserve::Reserve,
    sqlite::{WriteConnection, WriterGuard, WriterLock},
};
use parking_lot::Mutex;
use riad_core::{
    Error, ErrorKind, Result,
    ledger::{Entry, Record},
};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction};
use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::sync::oneshot;

/// Maximum records in one transaction, so that the first callers do not wait for all later ones.
const BATCH: usize = 4096;
/// Times that a transaction is begun anew while the control database's other writer has it. SQLite waits 5 s each time.
const BEGIN_ATTEMPTS: usize = 12;
/// Between two attempts to write the backlog while nobody asks for anything.
const RETRY: Duration = Duration::from_secs(1);
/// Entries in the backlog: some 30 MB. New holds are refused while there is one, so that it grows with the requests that run.
const BACKLOG_MAX: usize = 16_384;

pub(super) enum Job {
    Record(Box<Record>),
    /// Any other write, in order with the records.
    Other(Other),
}

type Other = Box<dyn Fn(&Connection) -> StoreResult<()> + Send>;

struct Task {
    job: Job,
    done: oneshot::Sender<Result<()>>,
}

pub(super) struct Writer {
    tasks: Mutex<Option<Sender<Task>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// `connection` is the thread's from now on; `run` is the number of this process's run.
    pub(super) fn start(
        connection: WriteConnection,
        run: i64,
        lock: WriterLock,
        reserve: Arc<Reserve>,
    ) -> StoreResult<Self> {
        let last_hash = last_entry_hash(&*connection.begin(&lock.lock())?)?;
        // resources::LEDGER_WRITES
        let (sender, tasks) = mpsc::channel();
        let writer = BatchWriter {
            connection,
            run,
            last_hash,
            lock,
            reserve,
            full: true,
            backlog: Vec::new(),
            is_failing: false,
            has_lost: false,
        };
        let thread = thread::Builder::new()
            .name("ledger".into())
            .spawn(move || writer.write_all(&tasks))?;
        Ok(Self {
            tasks: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Enqueues the job immediately; the future resolves when it is committed.
    pub(super) fn queue(&self, job: Job) -> impl Future<Output = Result<()>> + Send + 'static {
        let (done, result) = oneshot::channel();
        if let Some(tasks) = &*self.tasks.lock() {
            // If the thread is gone the task is dropped, and with it the sender that the future listens to.
            let _gone = tasks.send(Task { job, done });
        }
        async move { result.await.unwrap_or_else(|_| Err(closed())) }
    }

    /// Waits until all that came before it is on the disk.
    pub(super) async fn catch_up(&self) -> Result<()> {
        self.queue(Job::Other(Box::new(|_| Ok(())))).await
    }

    /// Writes what is queued and ends. What comes later is refused.
    pub(super) fn close(&self) {
        drop(self.tasks.lock().take());
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the ledger's thread panicked");
        }
    }
}

struct BatchWriter {
    connection: WriteConnection,
    run: i64,
    /// Of the last row.
    last_hash: EntryHash,
    lock: WriterLock,
    reserve: Arc<Reserve>,
    /// Whether commits wait for the disk, as a connection of ours does when it is opened.
    full: bool,
    /// Entries that could not be written yet, oldest first. Later ones continue from their numbers and hashes, so that they come first.
    backlog: Vec<Entry>,
    /// Whether the last write failed.
    is_failing: bool,
    /// Whether the backlog was full: without the entry that was lost, none that comes later can be written.
    has_lost: bool,
}

impl BatchWriter {
    fn write_all(mut self, tasks: &Receiver<Task>) {
        loop {
            let first = match self.backlog.is_empty() {
                true => tasks.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => tasks.recv_timeout(RETRY),
            };
            match first {
                Ok(first) => self.write_tasks(first, tasks),
                Err(RecvTimeoutError::Timeout) => self.write_backlog(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.write_backlog();
        if !self.backlog.is_empty() {
            tracing::error!(
                entries = self.backlog.len(),
                "entries could not be written to the ledger before the server stopped; the next start bills what their requests held"
            );
        }
    }

    fn write_tasks(&mut self, first: Task, tasks: &Receiver<Task>) {
        let mut tasks: Vec<Task> = [first].into_iter().chain(tasks.try_iter().take(BATCH - 1)).collect();
        self.write_backlog();
        let can_write = self.backlog.is_empty() && !self.has_lost;
        if self.reserve.check_half().is_err() {
            tasks = refuse_holds(tasks);
        }
        let (mut jobs, mut waiting) = split(tasks);
        let reserve = Arc::clone(&self.reserve);
        let mut outcome = match can_write && !jobs.is_empty() {
            true => reserve.spend_half(|| self.write(&jobs)),
            false => Ok(()),
        };
        if outcome.as_ref().is_err_and(Failure::is_full_disk) {
            // What has happened is written with all of the reserve; what would begin is not.
            let tasks = jobs.into_iter().zip(waiting).map(|(job, done)| Task { job, done });
            (jobs, waiting) = split(refuse_holds(tasks.collect()));
            outcome = match jobs.is_empty() {
                true => Ok(()),
                false => reserve.spend(|| self.write(&jobs)),
            };
        }
        if jobs.is_empty() {
            return;
        }
        let written = can_write && self.log_outcome(|_| outcome);
        if !written {
            self.keep_entries(jobs);
        }
        for done in waiting {
            // Fails if the caller has dropped its future.
            let _gone = done.send(match (written, self.has_lost) {
                (true, _) => Ok(()),
                (false, false) => Err(failing()),
                (false, true) => Err(broken()),
            });
        }
    }

    /// Their receipts are signed and the accounts' chains have moved on: they are written as soon as the disk takes them.
    fn keep_entries(&mut self, jobs: Vec<Job>) {
        for job in jobs {
            let Job::Record(record) = job else { continue };
            let Record::Entry(entry) = *record else { continue };
            if self.has_lost || self.backlog.len() >= BACKLOG_MAX {
                self.has_lost = true;
                tracing::error!(
                    request = entry.request,
                    "an entry of the ledger is lost: too many wait to be written"
                );
            } else {
                self.backlog.push(entry);
            }
        }
    }

    fn write_backlog(&mut self) {
        if self.backlog.is_empty() {
            return;
        }
        let entries = std::mem::take(&mut self.backlog);
        let reserve = Arc::clone(&self.reserve);
        if !self.log_outcome(|writer| reserve.spend(|| writer.write_again(&entries))) {
            self.backlog = entries;
        }
    }

    /// Logs when writing begins to fail, and when it works again. True if it worked.
    fn log_outcome(&mut self, write: impl FnOnce(&mut Self) -> StoreResult<()>) -> bool {
        let outcome = write(self);
        match (&outcome, self.is_failing) {
            (Err(failure), false) => tracing::error!(
                error = %failure,
                "the ledger could not be written; nothing is served that cannot be billed until it can, which is tried every second"
            ),
            (Err(failure), true) => tracing::debug!(error = %failure, "the ledger still cannot be written"),
            (Ok(()), true) => tracing::info!("the ledger is written again"),
            (Ok(()), false) => {}
        }
        self.is_failing = outcome.is_err();
        outcome.is_ok()
    }

    /// Whether the next commits wait for the disk.
    fn sync(&mut self, full: bool) -> StoreResult<()> {
        if self.full != full {
            self.connection.set_synchronous(full)?;
            self.full = full;
        }
        Ok(())
    }

    /// All or nothing. An entry is on the disk when it returns; holds alone are with the system, which is where a killed process
    /// needs them, and on the disk with the next entry.
    fn write(&mut self, jobs: &[Job]) -> StoreResult<()> {
        let is_hold = |job: &Job| matches!(job, Job::Record(record) if matches!(**record, Record::Hold(_)));
        self.sync(!jobs.iter().all(is_hold))?;
        let guard = self.lock.lock();
        let transaction = begin(&self.connection, &guard)?;
        let mut hash = self.last_hash;
        for job in jobs {
            match job {
                Job::Record(record) => match &**record {
                    Record::Hold(hold) => rows::put_hold(&transaction, self.run, hold)?,
                    Record::Entry(entry) => hash = rows::put_entry(&transaction, self.run, &hash, entry)?,
                },
                Job::Other(work) => work(&transaction)?,
            }
        }
        transaction.commit()?;
        self.last_hash = hash;
        Ok(())
    }

    /// Writes entries that an earlier write failed for. It may have committed them all the same: SQLite reports a failure also if only the
    /// end of the commit failed.
    fn write_again(&mut self, entries: &[Entry]) -> StoreResult<()> {
        self.sync(true)?;
        let guard = self.lock.lock();
        let transaction = begin(&self.connection, &guard)?;
        let mut hash = last_entry_hash(&transaction)?;
        for entry in entries {
            if !rows::has_entry(&transaction, entry)? {
                hash = rows::put_entry(&transaction, self.run, &hash, entry)?;
            }
        }
        transaction.commit()?;
        self.last_hash = hash;
        Ok(())
    }
}

/// Answers those that would begin something on a full disk; returns the others.
fn refuse_holds(tasks: Vec<Task>) -> Vec<Task> {
    let is_hold = |task: &Task| matches!(&task.job, Job::Record(record) if matches!(**record, Record::Hold(_)));
    let (holds, others): (Vec<_>, Vec<_>) = tasks.into_iter().partition(is_hold);
    for hold in holds {
        // Fails if the caller has dropped its future.
        let _gone = hold.done.send(Err(Failure::DiskFull.into()));
    }
    others
}

fn split(tasks: Vec<Task>) -> (Vec<Job>, Vec<oneshot::Sender<Result<()>>>) {
    tasks.into_iter().map(|task| (task.job, task.done)).unzip()
}

fn begin<'c>(connection: &'c WriteConnection, guard: &'c WriterGuard<'_>) -> StoreResult<Transaction<'c>> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match connection.begin(guard) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && attempts < BEGIN_ATTEMPTS => {
                tracing::warn!(attempts, "the ledger waits for the control database's other writer");
            }
            begun => return Ok(begun?),
        }
    }
}

fn last_entry_hash(connection: &Connection) -> StoreResult<EntryHash> {
    let seal: Option<Vec<u8>> = connection
        .query_row("SELECT seal FROM ledger ORDER BY position DESC LIMIT 1", [], |row| {
            row.get(0)
        })
        .optional()?;
    match seal {
        None => Ok(EntryHash::default()),
        Some(seal) => EntryHash::try_from(seal)
            .map_err(|seal| Failure::Data(format!("the ledger's last hash has {} bytes, not 32", seal.len()))),
    }
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the ledger is closed: the server is stopping")
}

fn failing() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the ledger cannot be written now, and nothing is served that cannot be billed; the server's log says why. Writing is tried \
         again every second: send the request again later",
    )
}

/// After entries were lost.
fn broken() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the ledger cannot be written, and nothing is served that cannot be billed; the server's log says why, and it must be \
         restarted",
    )
}
