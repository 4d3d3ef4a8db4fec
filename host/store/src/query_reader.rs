//! Connections for long questions to the control database: lists, usage, receipts. A question ends at its deadline, and as soon as
//! its caller has gone. Not here: whose question is next (`services`), and what authentication asks (`identity`).

use crate::{
    error::{BlockingPermits, Failure, StoreResult, closed, run_with_permit},
    sqlite,
};
use parking_lot::Mutex;
use riad_core::{Error, ErrorKind, Result};
use rusqlite::{Connection, ErrorCode};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Questions that run at the same time (`resources::CONTROL_THREADS`): one of a tenant's and one of another's.
const CONNECTIONS: usize = 2;
/// SQLite's steps between two looks at the clock: less than a millisecond.
const STEPS: i32 = 1_000;

pub(crate) struct QueryReader {
    /// Connections that answer nothing now; `None` once the reader is closed.
    idle: Mutex<Option<Vec<Connection>>>,
    permits: BlockingPermits,
    longest: Duration,
}

/// A connection that is given back when dropped.
struct Lent<'r> {
    reader: &'r QueryReader,
    /// There until it is dropped.
    connection: Option<Connection>,
}

/// Tells the question, when dropped, that nobody waits for its answer.
struct Caller(Arc<AtomicBool>);

impl QueryReader {
    /// `prepare` is called with each connection.
    pub(crate) fn open(
        path: &Path,
        longest: Duration,
        prepare: impl Fn(&Connection) -> StoreResult<()>,
    ) -> StoreResult<Arc<Self>> {
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS {
            let connection = sqlite::open_reader(path)?;
            prepare(&connection)?;
            idle.push(connection);
        }
        Ok(Arc::new(Self {
            idle: Mutex::new(Some(idle)),
            permits: BlockingPermits::new(CONNECTIONS),
            longest,
        }))
    }

    /// Reads one state of the database. `Timeout` if it takes too long. Dropping the future ends the question.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> Result<T> {
        let gone = Arc::new(AtomicBool::new(false));
        let _caller = Caller(Arc::clone(&gone));
        let reader = Arc::clone(self);
        run_with_permit(&self.permits, move || reader.answer(gone, work)).await
    }

    /// A question that runs ends with its connection. Calls that come later fail.
    pub(crate) fn close(&self) {
        drop(self.idle.lock().take());
    }

    fn answer<T>(&self, gone: Arc<AtomicBool>, work: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<T> {
        let mut lent = self.lend()?;
        let connection = lent.connection.as_mut().ok_or_else(closed)?;
        let deadline = Instant::now().checked_add(self.longest);
        let should_end =
            move || gone.load(Ordering::Relaxed) || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        connection.progress_handler(STEPS, Some(should_end))?;
        let answer = read(connection, work);
        connection.progress_handler(0, None::<fn() -> bool>)?;
        answer.map_err(|failure| self.explain(failure))
    }

    fn lend(&self) -> StoreResult<Lent<'_>> {
        // There is one for each permit.
        let connection = self.idle.lock().as_mut().and_then(Vec::pop).ok_or_else(closed)?;
        Ok(Lent {
            reader: self,
            connection: Some(connection),
        })
    }

    fn explain(&self, failure: Failure) -> Failure {
        match &failure {
            Failure::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                Failure::Known(Error::new(
                    ErrorKind::Timeout,
                    format!(
                        "this question takes more than {} ms; ask for a shorter time or for less at once",
                        self.longest.as_millis()
                    ),
                ))
            }
            Failure::Sqlite(_)
            | Failure::File(_)
            | Failure::Json(_)
            | Failure::Index(_)
            | Failure::Data(_)
            | Failure::DiskFull
            | Failure::Known(_) => failure,
        }
    }
}

fn read<T>(connection: &Connection, work: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<T> {
    let transaction = connection.unchecked_transaction()?;
    work(&transaction)
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Some(idle) = self.reader.idle.lock().as_mut()
        {
            idle.push(connection);
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::tests::begin;
    use std::sync::mpsc;
    use tokio::sync::oneshot;

    const ENDLESS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

    fn open(folder: &tempfile::TempDir, longest: Duration) -> Arc<QueryReader> {
        QueryReader::open(&folder.path().join("test.db"), longest, |_| Ok(())).unwrap()
    }

    fn ask(connection: &Connection, sql: &str) -> StoreResult<i64> {
        Ok(connection.query_row(sql, [], |row| row.get(0))?)
    }

    #[tokio::test]
    async fn a_question_ends_at_its_deadline_and_the_next_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let reader = open(&folder, Duration::from_millis(20));
        for _ in 0..CONNECTIONS + 1 {
            let error = reader.read(|connection| ask(connection, ENDLESS)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
            assert!(error.message().contains("more than 20 ms"), "{error}");
        }
        assert_eq!(reader.read(|connection| ask(connection, "SELECT 7")).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_question_ends_with_its_caller() {
        let folder = tempfile::tempdir().unwrap();
        let reader = open(&folder, Duration::from_secs(1 << 30));
        for _ in 0..CONNECTIONS {
            let (begun, has_begun) = oneshot::channel();
            let question = begin(reader.read(move |connection| {
                let _ = begun.send(());
                ask(connection, ENDLESS)
            }));
            has_begun.await.unwrap();
            drop(question);
        }
        // Both connections are free again: with one that goes on, this would never be answered.
        assert_eq!(reader.read(|connection| ask(connection, "SELECT 7")).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_question_does_not_wait_for_another_that_takes_long() {
        let folder = tempfile::tempdir().unwrap();
        let reader = open(&folder, Duration::from_secs(60));
        let (finish, finished) = mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let long = begin(reader.read(move |connection| {
            let _ = begun.send(());
            let _ = finished.recv();
            ask(connection, "SELECT 1")
        }));
        has_begun.await.unwrap();
        assert_eq!(reader.read(|connection| ask(connection, "SELECT 2")).await.unwrap(), 2);
        finish.send(()).unwrap();
        assert_eq!(long.await.unwrap(), 1);
        reader.close();
        assert!(reader.read(|connection| ask(connection, "SELECT 2")).await.is_err());
    }

    #[tokio::test]
    async fn work_that_panics_costs_no_connection() {
        let folder = tempfile::tempdir().unwrap();
        let reader = open(&folder, Duration::from_secs(60));
        for _ in 0..CONNECTIONS {
            let failed: Result<i64> = reader.read(|_| panic!("this test lets a question panic")).await;
            assert_eq!(failed.unwrap_err().kind(), ErrorKind::Internal);
        }
        assert_eq!(reader.read(|connection| ask(connection, "SELECT 7")).await.unwrap(), 7);
    }
}
