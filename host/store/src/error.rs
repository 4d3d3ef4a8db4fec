//! The failures of this crate and what callers see of them, and the way off the async threads.
//! Not here: the closed set of kinds (`riad_core::ErrorKind`).

use riad_core::{Error, ErrorKind};
use rusqlite::ErrorCode;
use std::sync::Arc;
use tokio::sync::Semaphore;

pub(crate) type Outcome<T> = Result<T, Failure>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("file: {0}")]
    File(#[from] std::io::Error),
    #[error("stored JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("vector index: {0}")]
    Index(String),
    #[error("stored data: {0}")]
    Data(String),
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
            return Self::new(ErrorKind::Unavailable, "the server's disk is full").with_source(failure);
        }
        Self::internal(failure)
    }
}

impl Failure {
    fn is_full_disk(&self) -> bool {
        if let Self::Sqlite(error) = self {
            return error.sqlite_error_code() == Some(ErrorCode::DiskFull);
        }
        matches!(self, Self::File(error) if error.kind() == std::io::ErrorKind::StorageFull)
    }
}

/// A connection that was taken away: the room was evicted, removed, or the server ends.
pub(crate) fn closed() -> Failure {
    Failure::Known(Error::new(
        ErrorKind::Unavailable,
        "this room has been closed; send the request again",
    ))
}

/// Lets a few callers at a time off the async threads, first come, first served. Those who wait hold no thread: tokio has some
/// hundreds for everybody, which one tenant's calls could fill. Excludes nobody: that is what locks are for.
pub(crate) struct Turns(Arc<Semaphore>);

/// One works, the next is at hand: nothing waits while a thread wakes up.
const AT_A_TIME: usize = 2;

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_A_TIME)))
    }
}

/// As `off_thread`, when it is the caller's turn. The turn lasts as long as the work, also if the caller goes away.
pub(crate) async fn in_turn<T: Send + 'static>(
    turns: &Turns,
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> riad_core::Result<T> {
    let turn = turns.0.clone().acquire_owned().await.map_err(Error::internal)?;
    off_thread(move || {
        let _turn = turn;
        work()
    })
    .await
}

/// Runs work that waits for the disk. A caller that goes away does not stop it: it runs to its end, or never began.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
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
    fn those_who_wait_for_their_turn_hold_no_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(AT_A_TIME + 1)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let turns = Arc::new(Turns::default());
            let (finish, finished) = mpsc::channel::<()>();
            let blocked = Arc::new(std::sync::Mutex::new(finished));
            let mut waiting = Vec::new();
            for _ in 0..20 {
                let (turns, blocked) = (turns.clone(), blocked.clone());
                let wait = move || Ok(blocked.lock().is_ok_and(|finished| finished.recv().is_ok()));
                waiting.push(tokio::spawn(async move { in_turn(&turns, wait).await }));
            }
            tokio::task::yield_now().await;
            let others = tokio::time::timeout(Duration::from_secs(30), off_thread(|| Ok(7)));
            assert_eq!(others.await.expect("a thread is left").unwrap(), 7);
            // Who goes away before its turn takes none.
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
