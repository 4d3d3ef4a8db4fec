//! The failures of this crate, what callers see of them, and running blocking work outside the async threads.

use riad_core::{Error, ErrorKind};
use rusqlite::{ErrorCode, ffi};
use std::{io, sync::Arc};
use tokio::sync::Semaphore;

pub(crate) type StoreResult<T> = Result<T, Failure>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("file: {0}")]
    File(#[from] io::Error),
    #[error("stored JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("vector index: {0}")]
    Index(String),
    #[error("stored data: {0}")]
    Data(String),
    /// The reserve for deletions is in use, and nothing else is stored.
    #[error("the disk is full")]
    DiskFull,
    /// An error with words for the caller.
    #[error("{0}")]
    Known(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Known(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        if let Failure::Known(error) = failure {
            return error;
        }
        if failure.is_full_disk() {
            return Self::new(ErrorKind::StorageFull, "the server's disk is full; nothing was stored")
                .with_source(failure);
        }
        Self::internal(failure)
    }
}

impl Failure {
    pub(crate) fn is_full_disk(&self) -> bool {
        if matches!(self, Self::DiskFull) {
            return true;
        }
        if let Self::Sqlite(error) = self {
            let code = error.sqlite_error().map(|error| error.extended_code);
            // The memory that connections share is a file too.
            return error.sqlite_error_code() == Some(ErrorCode::DiskFull) || code == Some(ffi::SQLITE_IOERR_SHMSIZE);
        }
        let Self::File(error) = self else { return false };
        // Also what the process or its user may have.
        matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }
}

/// A connection that was taken away: the room was evicted, removed, or the server ends.
pub(crate) fn closed() -> Failure {
    Failure::Known(Error::new(
        ErrorKind::Unavailable,
        "this room has been closed; send the request again",
    ))
}

/// Limits how many callers run blocking work at the same time, first come, first served. Callers that wait hold no thread: tokio
/// has some hundreds for all tenants, and one tenant's calls could fill them (`resources::ROOM_THREADS`, `resources::CONTROL_THREADS`). The permits are no lock: two callers run at once.
pub(crate) struct BlockingPermits(Arc<Semaphore>);

/// One caller works while the thread of the next one wakes up.
const PERMITS: usize = 2;

impl Default for BlockingPermits {
    fn default() -> Self {
        Self::new(PERMITS)
    }
}

impl BlockingPermits {
    pub(crate) fn new(permits: usize) -> Self {
        Self(Arc::new(Semaphore::new(permits)))
    }
}

/// As `run_blocking`, once a permit is free. The work keeps its permit to its end, also if the caller goes away.
pub(crate) async fn run_with_permit<T: Send + 'static>(
    permits: &BlockingPermits,
    work: impl FnOnce() -> StoreResult<T> + Send + 'static,
) -> riad_core::Result<T> {
    let permit = permits.0.clone().acquire_owned().await.map_err(Error::internal)?;
    run_blocking(move || {
        let _permit = permit;
        work()
    })
    .await
}

/// Runs work that waits for the disk. A caller that goes away does not stop it: it runs to its end, or never began.
pub(crate) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> StoreResult<T> + Send + 'static,
) -> riad_core::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(Error::from),
        Err(error) => Err(Error::internal(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, time::Duration};

    #[test]
    fn a_caller_that_waits_for_a_permit_holds_no_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(PERMITS + 1)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let permits = Arc::new(BlockingPermits::default());
            let (finish, finished) = mpsc::channel::<()>();
            let blocked = Arc::new(std::sync::Mutex::new(finished));
            let mut waiting = Vec::new();
            for _ in 0..20 {
                let (permits, blocked) = (permits.clone(), blocked.clone());
                let wait = move || Ok(blocked.lock().is_ok_and(|finished| finished.recv().is_ok()));
                waiting.push(tokio::spawn(async move { run_with_permit(&permits, wait).await }));
            }
            tokio::task::yield_now().await;
            let others = tokio::time::timeout(Duration::from_secs(30), run_blocking(|| Ok(7)));
            assert_eq!(others.await.expect("a thread is left").unwrap(), 7);
            // A caller that goes away while it waits takes no permit.
            waiting.pop().unwrap().abort();
            for _ in 0..waiting.len() {
                finish.send(()).unwrap();
            }
            for task in waiting {
                assert!(task.await.unwrap().unwrap());
            }
        });
    }
}
