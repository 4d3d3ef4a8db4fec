//! One closed set of error kinds, which HTTP, WIT and the command line each map in one exhaustive table.
//! Not here: those tables (`api/src/error.rs`, `sandbox/src/errors.rs`, `app/src/exit.rs`).

use serde::{Deserialize, Serialize};
use std::{error::Error as StdError, fmt, iter, sync::Arc, time::Duration};

const INTERNAL: &str = "the server failed to do this; its log says why";

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Its names in JSON are in rooms (`document_job`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The caller sent something that cannot be served; the message says what to change.
    InvalidRequest,
    /// Prompt and completion do not fit into the model's context; the message has both numbers.
    ContextTooLong,
    /// No key, an unknown key or a revoked one.
    Unauthenticated,
    /// The key is good, and may not do this.
    Forbidden,
    /// Another cell serves the caller's tenant; the error names it.
    Misdirected,
    /// There is no such object in the caller's room. Another tenant's object is this too.
    NotFound,
    /// The model, or the adapter alias in its name, does not exist for this tenant.
    ModelNotFound,
    /// The object exists already, or has been changed in between.
    Conflict,
    /// A body, document, component or result over its limit.
    TooLarge,
    /// The queue or a rate is full now; the same request may be served later.
    Busy,
    /// A budget is spent.
    QuotaExceeded,
    /// The tenant stores as much as it may, or the server's disk is full; the message says of what.
    StorageFull,
    /// A file of a kind that nothing reads; the message names it.
    UnsupportedFile,
    /// A file that is broken, encrypted or without text; the message says which.
    UnreadableFile,
    /// A plugin trapped or returned an error.
    PluginFailed,
    /// A plugin used more memory, stack, time, fuel, output, SQL or host calls than it may, or takes too much to compile.
    PluginLimit,
    /// The numbers of an adapter are too large for the model to compute with.
    AdapterFailed,
    /// The caller went away.
    Cancelled,
    /// The deadline of the request passed.
    Timeout,
    /// A part of the server is not there: not loaded, not compiled in, draining.
    Unavailable,
    /// A bug or a broken disk. The message is for the caller; the source is for the log.
    Internal,
}

/// What went wrong, in words for the caller, with the internal cause kept apart for the log.
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    param: Option<String>,
    code: Option<&'static str>,
    cell: Option<Arc<str>>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The words of another crate's error and of its causes, for the log.
pub fn with_causes(error: &dyn StdError) -> String {
    let causes = iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            param: None,
            code: None,
            cell: None,
            retry_after: None,
            source: None,
        }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// What a client may read: the message of an internal error was not written for it.
    #[must_use]
    pub fn message_for_client(&self) -> &str {
        match self.kind == ErrorKind::Internal {
            true => INTERNAL,
            false => &self.message,
        }
    }

    /// A fault of ours: callers see a fixed sentence, the log sees `source`.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            kind: ErrorKind::Internal,
            message: INTERNAL.into(),
            param: None,
            code: None,
            cell: None,
            retry_after: None,
            source: Some(source.into().into()),
        }
    }

    /// A word for programs, where that of the kind does not say enough.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Names the cell that would serve the request.
    #[must_use]
    pub fn with_cell(mut self, cell: &str) -> Self {
        self.cell = Some(cell.into());
        self
    }

    /// Names the field of the request that is at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// When the same request may be served.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into().into());
        self
    }

    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Text that may be shown to the caller.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        self.code
    }

    #[must_use]
    pub fn cell(&self) -> Option<&str> {
        self.cell.as_deref()
    }

    #[must_use]
    pub fn param(&self) -> Option<&str> {
        self.param.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)?;
        match &self.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_stand_behind_the_error() {
        let refused = Error::internal("connection refused");
        let failed = Error::invalid("cannot connect").with_source(refused);
        let error = Error::not_found("no answer").with_source(failed);
        assert_eq!(
            with_causes(&error),
            format!("no answer: cannot connect: {INTERNAL}: connection refused")
        );
    }
}
