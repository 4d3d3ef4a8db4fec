//! Arguments and results of SQL functions, as SQLite itself would read and write them.

use rusqlite::{
    Error, Result, ffi,
    functions::Context,
    types::{ToSqlOutput, Value, ValueRef},
};
use std::borrow::Cow;

/// An argument as SQLite would read it as text; `None` for NULL.
pub(super) fn bytes<'a>(context: &'a Context<'_>, argument: usize) -> Option<Cow<'a, [u8]>> {
    match context.get_raw(argument) {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(Cow::Owned(number.to_string().into_bytes())),
        ValueRef::Real(number) => Some(Cow::Owned(real(number).into_bytes())),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(Cow::Borrowed(bytes)),
    }
}

pub(super) fn as_text(bytes: Vec<u8>) -> ToSqlOutput<'static> {
    let text = String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    ToSqlOutput::Owned(Value::Text(text))
}

/// In the form of C's `%.17g` with a fraction, in the fewest digits that read as the same number; SQLite may write one more.
pub(super) fn real(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Inf" } else { "-Inf" }.into();
    }
    let with_fraction = |digits: String| match digits.contains('.') {
        true => digits,
        false => digits + ".0",
    };
    // SQLite writes no negative zero.
    let number = number + 0.0;
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    match exponent {
        -4..=16 => with_fraction(number.to_string()),
        _ => format!("{}e{exponent:+03}", with_fraction(digits.to_owned())),
    }
}

/// Without words: SQLite has its own for this code, and words of ours would replace the code.
pub(super) fn too_long() -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None)
}

/// A fault of the plugin's SQL, in words for its author.
pub(super) fn fault<T>(words: impl Into<String>) -> Result<T> {
    Err(Error::UserFunctionError(words.into().into()))
}
