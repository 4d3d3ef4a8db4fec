//! The results of checks that a command makes before a server is started, and how they are shown.

use crate::output;
use riad_core::{Error, Result};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Ok,
    /// The server starts, but something may fail later.
    Warn,
    /// The server does not start, or cannot serve requests.
    Fail,
    /// Not checked; the message says why.
    Skip,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

#[derive(Debug)]
pub struct Check {
    pub name: &'static str,
    pub status: Status,
    /// What was found; after a semicolon, what to do.
    pub message: String,
}

impl Check {
    pub fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, Status::Ok, message)
    }

    pub fn warn(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, Status::Warn, message)
    }

    pub fn fail(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, Status::Fail, message)
    }

    pub fn skip(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, Status::Skip, message)
    }

    fn new(name: &'static str, status: Status, message: impl Into<String>) -> Self {
        Self {
            name,
            status,
            message: message.into(),
        }
    }
}

/// A line for each check.
pub fn as_lines(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    checks
        .iter()
        .map(|check| {
            let message = output::clean(&check.message).replace('\n', " ");
            format!(
                "{:<4}  {}  {message}\n",
                check.status.as_str(),
                output::table::pad(check.name, width)
            )
        })
        .collect()
}

pub fn as_json(checks: &[Check]) -> Value {
    checks
        .iter()
        .map(|check| json!({"check": check.name, "result": check.status.as_str(), "message": check.message}))
        .collect()
}

/// `InvalidRequest` if a check failed, which makes the exit code say so.
pub fn outcome(checks: &[Check]) -> Result<()> {
    match checks.iter().filter(|check| check.status == Status::Fail).count() {
        0 => Ok(()),
        failed => Err(Error::invalid(format!(
            "{failed} of {} checks failed; each line above that begins with `fail` says what to do",
            checks.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_per_check_and_json_for_machines() {
        let checks = [Check::ok("clock", "plausible"), Check::fail("disk space", "two\nlines")];
        assert_eq!(
            as_lines(&checks),
            "ok    clock       plausible\nfail  disk space  two lines\n"
        );
        assert_eq!(as_json(&checks)[1]["result"], "fail");
        assert!(outcome(&checks).is_err());
        assert!(outcome(&checks[..1]).is_ok());
    }
}
