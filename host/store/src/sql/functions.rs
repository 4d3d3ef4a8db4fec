//! `instr`, `replace` and `trim` for plugins, in linear time. SQLite's own take the product of the lengths of their
//! arguments within one step that no deadline interrupts: seconds for one call, minutes for a statement.
//! Not here: which functions are refused (`guard`).

use crate::error::StoreResult;
use memchr::memmem;
use rusqlite::{
    Connection, Result, ffi,
    functions::{Context, FunctionFlags},
    types::{ToSqlOutput, Value, ValueRef},
};
use std::{borrow::Cow, collections::HashSet};

/// Puts them in the place of SQLite's. No result is longer than `bytes_max`, nor is it made.
pub(super) fn install(connection: &Connection, bytes_max: usize) -> StoreResult<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("instr", 2, flags, |context| instr(context))?;
    connection.create_scalar_function("replace", 3, flags, move |context| replace(context, bytes_max))?;
    for (name, left, right) in [("trim", true, true), ("ltrim", true, false), ("rtrim", false, true)] {
        for arguments in [1, 2] {
            connection.create_scalar_function(name, arguments, flags, move |context| trim(context, left, right))?;
        }
    }
    Ok(())
}

/// The position of the second argument in the first, from 1, in characters (in bytes if both are blobs); 0 if it is not there.
fn instr(context: &Context<'_>) -> Result<Option<i64>> {
    let blobs = [0, 1].map(|argument| matches!(context.get_raw(argument), ValueRef::Blob(_))) == [true, true];
    let (Some(text), Some(part)) = (bytes(context, 0), bytes(context, 1)) else {
        return Ok(None);
    };
    let Some(at) = memmem::find(&text, &part) else {
        return Ok(Some(0));
    };
    let before = if blobs {
        at
    } else {
        // A continuation byte of UTF-8 begins no character.
        text.iter().take(at).filter(|byte| **byte & 0xc0 != 0x80).count()
    };
    Ok(i64::try_from(before + 1).ok())
}

fn replace(context: &Context<'_>, bytes_max: usize) -> Result<ToSqlOutput<'static>> {
    let null = || Ok(ToSqlOutput::Owned(Value::Null));
    let (Some(text), Some(part)) = (bytes(context, 0), bytes(context, 1)) else {
        return null();
    };
    if part.is_empty() {
        return Ok(as_text(text.into_owned()));
    }
    let Some(with) = bytes(context, 2) else {
        return null();
    };
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest: &[u8] = &text;
    for at in memmem::find_iter(&text, &*part) {
        let (kept, from) = rest.split_at(at - (text.len() - rest.len()));
        replaced.extend_from_slice(kept);
        replaced.extend_from_slice(&with);
        rest = from.split_at(part.len()).1;
        if replaced.len() > bytes_max {
            // Without words: SQLite has its own for this code, and words of ours would replace the code.
            return Err(rusqlite::Error::SqliteFailure(
                ffi::Error::new(ffi::SQLITE_TOOBIG),
                None,
            ));
        }
    }
    replaced.extend_from_slice(rest);
    Ok(as_text(replaced))
}

fn trim(context: &Context<'_>, left: bool, right: bool) -> Result<ToSqlOutput<'static>> {
    let characters = if context.len() == 2 {
        bytes(context, 1)
    } else {
        Some(Cow::Borrowed(&b" "[..]))
    };
    let (Some(text), Some(characters)) = (bytes(context, 0), characters) else {
        return Ok(ToSqlOutput::Owned(Value::Null));
    };
    let text = String::from_utf8_lossy(&text);
    let characters: HashSet<char> = String::from_utf8_lossy(&characters).chars().collect();
    let mut trimmed: &str = &text;
    if left {
        trimmed = trimmed.trim_start_matches(|c| characters.contains(&c));
    }
    if right {
        trimmed = trimmed.trim_end_matches(|c| characters.contains(&c));
    }
    Ok(as_text(trimmed.as_bytes().to_vec()))
}

/// An argument as SQLite would read it as text; `None` for NULL.
fn bytes<'a>(context: &'a Context<'_>, argument: usize) -> Option<Cow<'a, [u8]>> {
    match context.get_raw(argument) {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(Cow::Owned(number.to_string().into_bytes())),
        ValueRef::Real(number) => Some(Cow::Owned(format!("{number:?}").into_bytes())),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(Cow::Borrowed(bytes)),
    }
}

fn as_text(bytes: Vec<u8>) -> ToSqlOutput<'static> {
    let text = String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    ToSqlOutput::Owned(Value::Text(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SQLite's own answer to every call is the measure.
    #[test]
    fn limited_functions_answer_as_sqlites_own() {
        let theirs = Connection::open_in_memory().unwrap();
        let ours = Connection::open_in_memory().unwrap();
        install(&ours, 1 << 20).unwrap();
        let values = [
            "NULL", "''", "'a'", "'aab'", "'baa'", "' ab '", "'ä→b'", "'→'", "12", "1.5", "x'6162'", "x'62'", "'ab'",
            "'b '",
        ];
        for x in values {
            for y in values {
                let mut calls = vec![format!("instr({x}, {y})")];
                for name in ["trim", "ltrim", "rtrim"] {
                    calls.push(format!("{name}({x}, {y})"));
                    calls.push(format!("{name}({x})"));
                }
                calls.extend(values.map(|z| format!("replace({x}, {y}, {z})")));
                for call in calls {
                    let sql = format!("SELECT quote({call}), typeof({call})");
                    let answer = |connection: &Connection| {
                        connection
                            .query_row(&sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
                            .unwrap()
                    };
                    assert_eq!(answer(&ours), answer(&theirs), "{call}");
                }
            }
        }
    }

    #[test]
    fn a_result_that_is_too_long_is_never_made() {
        let connection = Connection::open_in_memory().unwrap();
        install(&connection, 1 << 20).unwrap();
        let sql = "SELECT length(replace(hex(zeroblob(500000)), '0', hex(zeroblob(500000))))";
        let error = connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::TooBig));
    }
}
