//! SQLite's functions for plugins, rewritten where its own have no bound within one step, which no deadline interrupts. `instr`,
//! `replace` and `trim` here take linear time; SQLite's take the product of the lengths of their arguments.
//! Not here: which functions are refused (`guard`).

mod json;
mod patterns;
mod values;

pub(super) use patterns::PATTERN_MAX;

use crate::error::StoreResult;
use memchr::memmem;
use rusqlite::{
    Connection, Result,
    functions::{Context, FunctionFlags},
    types::{ToSqlOutput, Value, ValueRef},
};
use std::{borrow::Cow, collections::HashSet};
use values::{as_text, bytes, too_long};

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
    json::install(connection, bytes_max)?;
    patterns::install(connection, bytes_max)
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
            return Err(too_long());
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

#[cfg(test)]
mod tests {
    use super::*;

    /// SQLite's own answer to every call is the measure.
    fn compare(calls: impl IntoIterator<Item = String>) {
        let theirs = Connection::open_in_memory().unwrap();
        let ours = Connection::open_in_memory().unwrap();
        install(&ours, 1 << 20).unwrap();
        for call in calls {
            let sql = format!("SELECT quote({call}), typeof({call})");
            let answer = |connection: &Connection| {
                connection
                    .query_row(&sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
                    .map_err(|error| error.sqlite_error_code())
            };
            assert_eq!(answer(&ours), answer(&theirs), "{call}");
        }
    }

    #[test]
    fn limited_functions_answer_as_sqlites_own() {
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
                compare(calls);
            }
        }
    }

    #[test]
    fn numbers_are_written_as_by_sqlite() {
        let numbers = [
            "0.0",
            "-0.0",
            "1.5",
            "-2.0",
            "0.1",
            "0.1+0.2",
            "1e15",
            "1e16",
            "1.25e16",
            "1e17",
            "-1e18",
            "123456789012345678.0",
            "1e-4",
            "1.5e-4",
            "9.99e-5",
            "1e-5",
            "1e-300",
            "1.7976931348623157e308",
            "1e100",
            "9e999",
            "-9e999",
        ];
        compare(numbers.map(|number| format!("replace({number}, 'x', 'y')")));
        compare(numbers.map(|number| format!("json_array({number})")));
    }

    #[test]
    fn json_is_written_as_by_sqlite() {
        let values = [
            "NULL",
            "1",
            "-9223372036854775808",
            "1.5",
            "''",
            "'a\"b\\c'",
            "'ä→'",
            "char(1,8,9,10,11,12,13,31,32,127)",
            "'[1]'",
            "json('[1, 2]')",
            "json_array(1, 'x')",
            "json_object('k', json('{}'))",
            "json_quote('q')",
            "x'ff00'",
        ];
        for x in values {
            let mut calls: Vec<String> = [
                "json_array({x})",
                "json_object('a', {x})",
                "json_object({x}, 1)",
                "json_object({x})",
            ]
            .map(|call| call.replace("{x}", x))
            .to_vec();
            for y in values {
                calls.push(format!("json_array({x}, {y})"));
                let rows = format!("(SELECT {x} AS x, {y} AS y UNION ALL SELECT {y}, {x})");
                calls.push(format!("(SELECT json_group_array({x}) FROM {rows})"));
                calls.push(format!("(SELECT json_group_array(x) FROM {rows})"));
                // SQLite ends a name at the first NUL, and these values have none.
                calls.push(format!(
                    "(SELECT json_group_object(x, y) FROM {rows} WHERE typeof(x) <> 'blob')"
                ));
                calls.push(format!(
                    "(SELECT json_group_array(json_group_array(x)) OVER () FROM {rows})"
                ));
            }
            compare(calls);
        }
        let rows = "(VALUES (1, 'a'), (2, NULL), (3, 'b,'), (4, '\"'), (5, NULL), (6, 'c'))";
        compare(["ROWS 1 PRECEDING", "ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING", "ROWS 4 PRECEDING"].into_iter().flat_map(
            |frame| {
                ["json_group_array(column2)", "json_group_object(column2, column1)"].map(|call| {
                    format!("(SELECT group_concat(j, ' ') FROM (SELECT {call} OVER (ORDER BY column1 {frame}) AS j FROM {rows}))")
                })
            },
        ));
        compare(
            ["json_group_array(x)", "json_group_object(x, x)"]
                .map(|call| format!("(SELECT {call} FROM (SELECT 1 AS x) WHERE x = 2)")),
        );
    }

    #[test]
    fn patterns_match_as_sqlites_own() {
        let values = [
            "NULL",
            "''",
            "'a'",
            "'A'",
            "'ab'",
            "'aXb'",
            "'ä→b'",
            "'aabaab'",
            "'%'",
            "'_'",
            "'a%b'",
            "'[a]'",
            "']'",
            "'-'",
            "'abcabc'",
            "12",
            "1.5",
            "x'6162'",
            "'a' || char(0) || 'b'",
            "'É'",
        ];
        let patterns = [
            "NULL",
            "''",
            "'a'",
            "'A%'",
            "'%b'",
            "'a_b'",
            "'%a%b%'",
            "'_'",
            "'__'",
            "'%_'",
            "'%_b'",
            "'%a_b'",
            "'%aab'",
            "'%_%_%'",
            "'a!%b'",
            "'!_'",
            "'!!'",
            "'%!%%'",
            "'a!'",
            "'ä_b'",
            "'→'",
            "'%→%'",
            "'1%'",
            "'%.5'",
            "'é'",
            "'%a_a%b'",
            "'ab%ab'",
            "'*'",
            "'?'",
            "'a*'",
            "'*b'",
            "'*a?b*'",
            "'[a]'",
            "'[^a]*'",
            "'[a-c]*[a-c]'",
            "'[]]'",
            "'[^]]'",
            "'*[b-]*'",
            "'[a-'",
            "'[a'",
            "'[[]a]'",
            "'*[a-c]?[a-c]*'",
            "'[%]'",
            "'[--a]'",
            "'[a-c-e]*'",
            "x'6125'",
        ];
        for value in values {
            for pattern in patterns {
                compare([format!("{value} LIKE {pattern}"), format!("{value} GLOB {pattern}")]);
                compare(
                    ["'!'", "'%'", "'_'", "'a'", "'A'", "NULL", "''", "'ab'"]
                        .map(|escape| format!("{value} LIKE {pattern} ESCAPE {escape}")),
                );
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
