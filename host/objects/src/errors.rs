//! What an object store's failures are to callers.

use object_store::Error as StoreError;
use riad_core::{Error, ErrorKind};
use std::error::Error as _;

/// A store that does not answer, or refuses; `doing` as in "read the object x".
pub(crate) fn unavailable(url: &str, doing: &str, error: &StoreError) -> Error {
    let help = match is_refusal(error) {
        true => "check the credentials in the environment, and what they permit",
        false => "what is not saved yet is saved when it answers again",
    };
    Error::new(
        ErrorKind::Unavailable,
        format!("the object store {url} did not {doing}: {}; {help}", with_causes(error)),
    )
}

/// What waiting does not mend: the configuration is wrong.
pub(crate) fn is_refusal(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::PermissionDenied { .. }
            | StoreError::Unauthenticated { .. }
            | StoreError::NotFound { .. }
            | StoreError::InvalidPath { .. }
            | StoreError::NotSupported { .. }
            | StoreError::NotImplemented { .. }
            | StoreError::UnknownConfigurationKey { .. }
    )
}

/// What is stored is not what was stored.
pub(crate) fn damaged(what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("{what}; restore another snapshot (riad room snapshots lists them)"),
    )
}

/// An error often hides why it happened behind a general sentence.
fn with_causes(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text += &format!(": {inner_text}");
        }
        cause = inner.source();
    }
    text
}
