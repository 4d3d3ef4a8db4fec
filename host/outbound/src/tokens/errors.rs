//! Errors of tokens and of the settings for them.

use riad_core::{Error, ErrorKind};
use std::fmt::Display;

/// `why` must not contain any part of the token: the error is logged.
pub(super) fn reject(why: impl Display) -> Error {
    Error::new(ErrorKind::Unauthenticated, format!("this token is not valid: {why}"))
}

pub(super) fn invalid_setting(name: &str, what: impl Display) -> Error {
    Error::invalid(format!("auth.{name} {what}")).with_param(format!("auth.{name}"))
}
