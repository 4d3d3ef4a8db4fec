//! The one place that writes to the terminal: results to stdout, notes and errors to stderr.
//!
//! A closed output (`| head`) is no failure of ours: what cannot be written is dropped. Text that came from a server is
//! cleaned of control characters, so that a document's title cannot drive the reader's terminal.
//! Not here: log lines (`tracing`).

pub mod progress;
pub mod table;

use riad_core::Error;
use serde_json::Value;
use std::io::{self, IsTerminal, Write};

/// How results are shown: for people or as the server's JSON.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
    color: bool,
}

impl Output {
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self {
            json,
            color: io::stdout().is_terminal(),
        }
    }

    /// For people, without color, wherever it goes.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self {
            json: false,
            color: false,
        }
    }

    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// One JSON value on one line with `--json`, else what `human` makes of it.
    pub fn show(&self, value: &Value, human: impl FnOnce(&Value) -> String) {
        if self.json {
            line(&value.to_string());
        } else {
            line(human(value).trim_end());
        }
    }

    /// Text that recedes, on a terminal.
    #[must_use]
    pub fn dim(&self, text: &str) -> String {
        self.styled("2", text)
    }

    #[must_use]
    pub fn bold(&self, text: &str) -> String {
        self.styled("1", text)
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.color && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A line of the result.
pub fn line(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// A piece of an answer that is being written.
pub fn piece(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// What is going on, for whoever waits.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// One line that says what to change.
pub fn error(error: &Error) {
    let message = clean(error.message());
    let _ = match error.param() {
        Some(param) => writeln!(io::stderr().lock(), "riad: {message} ({})", clean(param)),
        None => writeln!(io::stderr().lock(), "riad: {message}"),
    };
}

/// Text from elsewhere without control characters; line ends and tabs stay.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// A string member of an object, cleaned; empty if it is not there.
#[must_use]
pub fn text(value: &Value, key: &str) -> String {
    clean(value.get(key).and_then(Value::as_str).unwrap_or_default())
}

/// A number member of an object; 0 if it is not there.
#[must_use]
pub fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or_default()
}

/// The array member `data` of a list.
#[must_use]
pub fn data(value: &Value) -> &[Value] {
    value.get("data").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A digest as people compare it: enough of it to tell versions apart.
#[must_use]
pub fn short_digest(digest: &str) -> String {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    clean(hex.get(..12).unwrap_or(hex))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_cannot_drive_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\td\r"), "a\u{fffd}[2Jb\nc\td\u{fffd}");
    }

    #[test]
    fn a_digest_is_cut_and_a_short_one_is_kept() {
        assert_eq!(short_digest(&format!("sha256:{}", "ab".repeat(32))), "abababababab");
        assert_eq!(short_digest("sha256:ab"), "ab");
    }
}
