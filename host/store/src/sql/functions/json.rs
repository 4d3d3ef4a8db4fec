//! `json_array`, `json_object` and the aggregates `json_group_array` and `json_group_object`, with a bound on what they build.
//! SQLite's own check the length of a result only when it is whole: one call may have taken gigabytes by then.

use super::values::{as_text, bytes, fault, real, too_long};
use crate::error::StoreResult;
use rusqlite::{
    Connection, Result,
    functions::{Aggregate, Context, FunctionFlags, SubType, WindowAggregate},
    types::{ToSqlOutput, ValueRef},
};
use std::{collections::VecDeque, ffi::c_uint};

/// SQLite's mark of text that is JSON already and stands in other JSON as it is.
const JSON: c_uint = 'J' as c_uint;

type Output = (ToSqlOutput<'static>, SubType);

/// Puts them in the place of SQLite's. Nothing that they build is longer than `bytes_max`.
pub(super) fn install(connection: &Connection, bytes_max: usize) -> StoreResult<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS
        | FunctionFlags::SQLITE_SUBTYPE
        | FunctionFlags::SQLITE_RESULT_SUBTYPE;
    connection.create_scalar_function("json_array", -1, flags, move |context| array(context, bytes_max))?;
    connection.create_scalar_function("json_object", -1, flags, move |context| object(context, bytes_max))?;
    let array = Collect {
        kind: Kind::Array,
        bytes_max,
    };
    connection.create_window_function("json_group_array", 1, flags, array)?;
    let object = Collect {
        kind: Kind::Object,
        bytes_max,
    };
    connection.create_window_function("json_group_object", 2, flags, object)?;
    Ok(())
}

fn array(context: &Context<'_>, bytes_max: usize) -> Result<Output> {
    let mut text = Text::new(bytes_max);
    for argument in 0..context.len() {
        text.push_value(context, argument)?;
        text.push(b",")?;
    }
    Ok(Kind::Array.enclose(&text.bytes))
}

fn object(context: &Context<'_>, bytes_max: usize) -> Result<Output> {
    if context.len() % 2 == 1 {
        return fault("json_object() requires an even number of arguments");
    }
    let mut text = Text::new(bytes_max);
    for label in (0..context.len()).step_by(2) {
        let ValueRef::Text(name) = context.get_raw(label) else {
            return fault("json_object() labels must be TEXT");
        };
        text.push_string(name)?;
        text.push(b":")?;
        text.push_value(context, label + 1)?;
        text.push(b",")?;
    }
    Ok(Kind::Object.enclose(&text.bytes))
}

/// JSON that is being written.
struct Text {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Text {
    fn new(bytes_max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            bytes_max,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if self.bytes.len() + bytes.len() > self.bytes_max {
            return Err(too_long());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn push_value(&mut self, context: &Context<'_>, argument: usize) -> Result<()> {
        match context.get_raw(argument) {
            ValueRef::Null => self.push(b"null"),
            ValueRef::Integer(number) => self.push(number.to_string().as_bytes()),
            // What JSON readers take for an infinite number, as SQLite writes it.
            ValueRef::Real(f64::INFINITY) => self.push(b"9.0e+999"),
            ValueRef::Real(f64::NEG_INFINITY) => self.push(b"-9.0e+999"),
            ValueRef::Real(number) => self.push(real(number).as_bytes()),
            ValueRef::Text(text) if context.get_subtype(argument) == JSON => self.push(text),
            ValueRef::Text(text) => self.push_string(text),
            ValueRef::Blob(_) => fault("JSON cannot hold BLOB values; write JSONB as text first, with json(…)"),
        }
    }

    fn push_string(&mut self, text: &[u8]) -> Result<()> {
        self.push(b"\"")?;
        let mut rest = text;
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
            let (plain, from) = rest.split_at(at);
            self.push(plain)?;
            let Some((special, after)) = from.split_first() else {
                break;
            };
            match special {
                b'"' => self.push(b"\\\"")?,
                b'\\' => self.push(b"\\\\")?,
                0x08 => self.push(b"\\b")?,
                b'\t' => self.push(b"\\t")?,
                b'\n' => self.push(b"\\n")?,
                0x0c => self.push(b"\\f")?,
                b'\r' => self.push(b"\\r")?,
                control => self.push(format!("\\u{control:04x}").as_bytes())?,
            }
            rest = after;
        }
        self.push(rest)?;
        self.push(b"\"")
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Array,
    Object,
}

impl Kind {
    /// `members` is each of them with a comma behind it.
    fn enclose(self, members: &[u8]) -> Output {
        let (first, last) = match self {
            Self::Array => (b'[', b']'),
            Self::Object => (b'{', b'}'),
        };
        let mut text = Vec::with_capacity(members.len() + 2);
        text.push(first);
        text.extend_from_slice(members.strip_suffix(b",").unwrap_or(members));
        text.push(last);
        (as_text(text), Some(JSON))
    }
}

struct Collect {
    kind: Kind,
    bytes_max: usize,
}

/// The members of one group or window, in order.
struct Group {
    text: Text,
    /// Bytes at the beginning of `text` that have left the window.
    gone: usize,
    /// Bytes of each row that is in the window; 0 for a row without a member.
    lengths: VecDeque<usize>,
    /// Rows in the window that have no member. They count as a byte each: their lengths need memory, too.
    empty: usize,
}

impl Aggregate<Group, Output> for Collect {
    fn init(&self, _context: &mut Context<'_>) -> Result<Group> {
        Ok(Group {
            text: Text::new(self.bytes_max),
            gone: 0,
            lengths: VecDeque::new(),
            empty: 0,
        })
    }

    fn step(&self, context: &mut Context<'_>, group: &mut Group) -> Result<()> {
        if group.gone > group.text.bytes.len() / 2 {
            group.text.bytes.drain(..group.gone);
            group.gone = 0;
        }
        let before = group.text.bytes.len();
        group.text.bytes_max = (self.bytes_max + group.gone).saturating_sub(group.empty);
        let value = match self.kind {
            Kind::Array => Some(0),
            // SQLite leaves out a member whose name is NULL.
            Kind::Object => match bytes(context, 0) {
                None => None,
                Some(name) => {
                    group.text.push_string(&name)?;
                    group.text.push(b":")?;
                    Some(1)
                }
            },
        };
        match value {
            Some(argument) => {
                group.text.push_value(context, argument)?;
                group.text.push(b",")?;
            }
            None if before >= group.text.bytes_max => return Err(too_long()),
            None => group.empty += 1,
        }
        group.lengths.push_back(group.text.bytes.len() - before);
        Ok(())
    }

    fn finalize(&self, _context: &mut Context<'_>, group: Option<Group>) -> Result<Output> {
        Ok(group.map_or_else(|| self.kind.enclose(b""), |group| group.enclose(self.kind)))
    }
}

impl WindowAggregate<Group, Output> for Collect {
    fn value(&self, group: Option<&mut Group>) -> Result<Output> {
        Ok(group.map_or_else(|| self.kind.enclose(b""), |group| group.enclose(self.kind)))
    }

    fn inverse(&self, _context: &mut Context<'_>, group: &mut Group) -> Result<()> {
        match group.lengths.pop_front() {
            Some(0) => group.empty -= 1,
            Some(length) => group.gone += length,
            None => {}
        }
        Ok(())
    }
}

impl Group {
    fn enclose(&self, kind: Kind) -> Output {
        kind.enclose(self.text.bytes.get(self.gone..).unwrap_or_default())
    }
}
