//! The failures of this crate and what callers see of them, and the way off the async threads.
//! Not here: the closed set of kinds (`riad_core::ErrorKind`).

use riad_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

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

/// Runs work that waits for the disk. A caller that goes away does not stop it: it runs to its end, or never began.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> riad_core::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(Error::from),
        Err(error) => Err(Error::internal(error)),
    }
}
