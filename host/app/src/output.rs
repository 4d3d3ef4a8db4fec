//! The one place that writes to the terminal: results to stdout, notes and errors to stderr.
//!
//! A closed output (`| head`) is not an error: what cannot be written is dropped. Text from a server loses its control
//! characters, so that a document's title cannot drive the reader's terminal.

pub mod progress;
pub mod table;

use crate::client::Response;
use anstyle::Style;
use riad_core::Error;
use serde_json::Value;
use std::io::{self, Write};

/// How results are shown: for people or as the server's JSON.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// The server's JSON on one line with `--json`, else what `human` makes of the answer.
    pub fn show<T>(&self, response: &Response<T>, human: impl FnOnce(&T) -> String) {
        self.show_json(&response.json, || human(&response.body));
    }

    /// As [`Output::show`], for JSON that is not one answer of the server.
    pub fn show_json(&self, json: &Value, human: impl FnOnce() -> String) {
        if self.json {
            data_line(&json.to_string());
        } else {
            line(human().trim_end());
        }
    }
}

/// Dimmed text. [`line`] drops the style where the output has no color.
#[must_use]
pub fn dim(text: &str) -> String {
    styled(Style::new().dimmed(), text)
}

/// Emphasized text. [`line`] drops the style where the output has no color.
#[must_use]
pub fn bold(text: &str) -> String {
    styled(Style::new().bold(), text)
}

fn styled(style: Style, text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!("{style}{text}{style:#}"),
    }
}

/// A line of the result, for people. `NO_COLOR`, `CLICOLOR_FORCE` and the kind of output decide about its style.
pub fn line(text: &str) {
    let _ = writeln!(anstream::stdout().lock(), "{text}");
}

/// A line of the result, for programs: written as it is.
pub fn data_line(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// A piece of an answer that is still being written.
pub fn piece(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// A piece of a reasoning that is still being written, dimmed. To stderr, so that stdout has the answer alone.
pub fn dim_piece(text: &str) {
    let mut out = anstream::stderr().lock();
    let _ = write!(out, "{}", dim(text));
    let _ = out.flush();
}

/// Progress, for whoever waits.
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

/// Text without control characters; line ends and tabs stay.
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
    fn styles_are_dropped_where_there_is_no_color() {
        let shown = format!("{} {} {}", bold("a"), dim("b"), dim(""));
        assert!(shown.contains('\u{1b}'));
        let write = |choice| {
            let mut out = anstream::AutoStream::new(Vec::new(), choice);
            out.write_all(shown.as_bytes()).unwrap();
            String::from_utf8(out.into_inner()).unwrap()
        };
        assert_eq!(write(anstream::ColorChoice::Never), "a b ");
        assert_eq!(write(anstream::ColorChoice::Always), shown);
    }

    #[test]
    fn a_digest_is_cut_and_a_short_one_is_kept() {
        assert_eq!(short_digest(&format!("sha256:{}", "ab".repeat(32))), "abababababab");
        assert_eq!(short_digest("sha256:ab"), "ab");
    }
}
