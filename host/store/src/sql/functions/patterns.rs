//! `LIKE` and `GLOB` for plugins, with a bound on the comparisons of one call. SQLite's own take the product of the lengths of value
//! and pattern within one step that no deadline interrupts.

use super::values::{bytes, fault};
use crate::error::StoreResult;
use memchr::memmem;
use rusqlite::{
    Connection, Result,
    functions::{Context, FunctionFlags},
};
use std::borrow::Cow;

/// Bytes; as SQLite is told with `SQLITE_LIMIT_LIKE_PATTERN_LENGTH`, which holds only for its own functions.
pub(in crate::sql) const PATTERN_MAX: i32 = 100;
/// Comparisons in one call, by the bytes of the longest value.
const COMPARISONS_PER_BYTE: usize = 4;

/// Puts them in the place of SQLite's.
pub(super) fn install(connection: &Connection, bytes_max: usize) -> StoreResult<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    let comparisons = bytes_max.saturating_mul(COMPARISONS_PER_BYTE);
    for arguments in [2, 3] {
        connection.create_scalar_function("like", arguments, flags, move |context| like(context, comparisons))?;
    }
    connection.create_scalar_function("glob", 2, flags, move |context| glob(context, comparisons))?;
    Ok(())
}

/// `value LIKE pattern ESCAPE escape` calls `like(pattern, value, escape)`.
fn like(context: &Context<'_>, comparisons: usize) -> Result<Option<bool>> {
    let pattern = pattern(context)?;
    let escape = if context.len() == 3 {
        let Some(escape) = bytes(context, 2) else {
            return Ok(None);
        };
        let escape = text(&escape).into_owned();
        let mut characters = escape.chars();
        let (Some(escape), None) = (characters.next(), characters.next()) else {
            return fault("ESCAPE expression must be a single character");
        };
        Some(escape)
    } else {
        None
    };
    let (Some(pattern), Some(value)) = (pattern, bytes(context, 1)) else {
        return Ok(None);
    };
    let Some(pattern) = like_pattern(&pattern, escape) else {
        return Ok(Some(false));
    };
    matches(&pattern, &text(&value).to_ascii_lowercase(), comparisons).map(Some)
}

/// `value GLOB pattern` calls `glob(pattern, value)`.
fn glob(context: &Context<'_>, comparisons: usize) -> Result<Option<bool>> {
    let pattern = pattern(context)?;
    let (Some(pattern), Some(value)) = (pattern, bytes(context, 1)) else {
        return Ok(None);
    };
    match glob_pattern(&pattern) {
        None => Ok(Some(false)),
        Some(pattern) => matches(&pattern, &text(&value), comparisons).map(Some),
    }
}

fn pattern(context: &Context<'_>) -> Result<Option<String>> {
    let Some(pattern) = bytes(context, 0) else {
        return Ok(None);
    };
    if i32::try_from(pattern.len()).is_ok_and(|length| length <= PATTERN_MAX) {
        return Ok(Some(text(&pattern).into_owned()));
    }
    fault(format!(
        "LIKE or GLOB pattern too complex: it may have {PATTERN_MAX} bytes"
    ))
}

/// SQLite's patterns and values end at the first NUL.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// What stands between two wildcards for any text.
#[derive(Default)]
struct Part {
    items: Vec<Item>,
    /// The items as text, if they are characters only.
    literal: Option<String>,
}

/// Matches one character.
enum Item {
    Any,
    Character(char),
    Set { inverted: bool, ranges: Vec<(char, char)> },
}

impl Item {
    fn matches(&self, character: char) -> bool {
        match self {
            Self::Any => true,
            Self::Character(expected) => *expected == character,
            Self::Set { inverted, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *inverted
            }
        }
    }
}

/// At least one part.
struct Parts(Vec<Part>);

impl Parts {
    fn new() -> Self {
        Self(vec![Part::default()])
    }

    fn begin(&mut self) {
        self.0.push(Part::default());
    }

    fn push(&mut self, item: Item) {
        if let Some(part) = self.0.last_mut() {
            part.items.push(item);
        }
    }

    fn finish(mut self) -> Vec<Part> {
        for part in &mut self.0 {
            let characters = part.items.iter().map(|item| match item {
                Item::Character(character) => Some(*character),
                Item::Any | Item::Set { .. } => None,
            });
            part.literal = characters.collect();
        }
        self.0
    }
}

/// In lower case, as far as it is ASCII. `None` if nothing can match.
fn like_pattern(pattern: &str, escape: Option<char>) -> Option<Vec<Part>> {
    let mut parts = Parts::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            // First: the escape character may be a wildcard, which then is none.
            escaped if Some(escaped) == escape => parts.push(Item::Character(characters.next()?.to_ascii_lowercase())),
            '%' => parts.begin(),
            '_' => parts.push(Item::Any),
            plain => parts.push(Item::Character(plain.to_ascii_lowercase())),
        }
    }
    Some(parts.finish())
}

/// `None` if nothing can match.
fn glob_pattern(pattern: &str) -> Option<Vec<Part>> {
    let mut parts = Parts::new();
    let mut rest = pattern;
    while let Some(character) = rest.chars().next() {
        rest = rest.strip_prefix(character)?;
        match character {
            '*' => parts.begin(),
            '?' => parts.push(Item::Any),
            '[' => {
                let (set, after) = set(rest)?;
                parts.push(set);
                rest = after;
            }
            plain => parts.push(Item::Character(plain)),
        }
    }
    Some(parts.finish())
}

/// What follows a "[", and what follows its "]". `None` if that is missing.
fn set(pattern: &str) -> Option<(Item, &str)> {
    let (inverted, mut rest) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let mut ranges = Vec::new();
    // A "]" that comes first is one of the set.
    if let Some(after) = rest.strip_prefix(']') {
        ranges.push((']', ']'));
        rest = after;
    }
    let mut before: Option<char> = None;
    loop {
        let character = rest.chars().next()?;
        rest = rest.strip_prefix(character)?;
        if character == ']' {
            return Some((Item::Set { inverted, ranges }, rest));
        }
        let high = rest.chars().next().filter(|high| *high != ']');
        if let ('-', Some(low), Some(high)) = (character, before, high) {
            rest = rest.strip_prefix(high)?;
            ranges.push((low, high));
            before = None;
        } else {
            ranges.push((character, character));
            before = Some(character);
        }
    }
}

/// Each part where it is found first: a part matches a fixed number of characters, so that a later place is never better.
fn matches(parts: &[Part], value: &str, mut comparisons: usize) -> Result<bool> {
    let Some((first, others)) = parts.split_first() else {
        return Ok(value.is_empty());
    };
    let Some(mut rest) = first.strip_from(value, &mut comparisons)? else {
        return Ok(false);
    };
    let Some((last, inner)) = others.split_last() else {
        return Ok(rest.is_empty());
    };
    for part in inner {
        match part.strip_found(rest, &mut comparisons)? {
            Some(after) => rest = after,
            None => return Ok(false),
        }
    }
    let from = match last.items.len() {
        0 => return Ok(true),
        length => rest.char_indices().rev().nth(length - 1),
    };
    let Some(end) = from.and_then(|(from, _)| rest.get(from..)) else {
        return Ok(false);
    };
    Ok(last.strip_from(end, &mut comparisons)?.is_some())
}

impl Part {
    /// What follows the part in a value that begins with it.
    fn strip_from<'v>(&self, value: &'v str, comparisons: &mut usize) -> Result<Option<&'v str>> {
        let mut characters = value.chars();
        for item in &self.items {
            match comparisons.checked_sub(1) {
                Some(left) => *comparisons = left,
                None => {
                    return fault(
                        "the LIKE or GLOB pattern takes too long for so long a value; put fewer wildcards for single characters into it",
                    );
                }
            }
            if !characters.next().is_some_and(|character| item.matches(character)) {
                return Ok(None);
            }
        }
        Ok(Some(characters.as_str()))
    }

    /// What follows the first place where the part is.
    fn strip_found<'v>(&self, value: &'v str, comparisons: &mut usize) -> Result<Option<&'v str>> {
        if let Some(literal) = &self.literal {
            let at = memmem::find(value.as_bytes(), literal.as_bytes());
            return Ok(at.and_then(|at| value.get(at + literal.len()..)));
        }
        let mut from = value;
        loop {
            if let Some(after) = self.strip_from(from, comparisons)? {
                return Ok(Some(after));
            }
            let mut characters = from.chars();
            if characters.next().is_none() {
                return Ok(None);
            }
            from = characters.as_str();
        }
    }
}
