//! A capability's error as a stage's, so that `?` works in a stage. Not here: the variants (`wit/`).
//! The generated types implement `Display` and `std::error::Error` by themselves.

use crate::{Error, StageError};

impl Error {
    /// What went wrong, for people.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::InvalidArgument(text) => text.clone(),
            Self::NotFound => "not found".to_string(),
            Self::LimitExceeded(text) => format!("limit exceeded: {text}"),
            Self::Unavailable => "the server failed; try again".to_string(),
        }
    }
}

impl From<Error> for StageError {
    fn from(error: Error) -> Self {
        Self::Failed(error.message())
    }
}
