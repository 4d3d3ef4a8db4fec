//! Metadata in two tables, so that a filter is an index lookup. Tags: a short digest of each member and its value, whatever it is. Attributes:
//! the members that are texts, numbers or booleans, which can be compared. Not here: which documents have them (`documents`), filters over
//! attributes (`attributes`).

use crate::{attributes, error::StoreResult};
use riad_core::document::Metadata;
use rusqlite::{Connection, types::Value as SqlValue};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// Members that a filter may have: each is one more lookup.
pub(crate) const FILTER_MAX: usize = 32;

/// What a document's metadata says.
pub(crate) fn insert(connection: &Connection, document: i64, metadata: &Metadata) -> StoreResult<()> {
    let mut statement = connection.prepare_cached("INSERT OR IGNORE INTO tags (tag, document) VALUES (?1, ?2)")?;
    for tag in tags(metadata) {
        statement.execute((tag, document))?;
    }
    attributes::insert(connection, document, metadata)
}

/// Puts new metadata in the place of a document's.
pub(crate) fn replace(connection: &Connection, document: i64, metadata: &Metadata) -> StoreResult<()> {
    connection.execute(
        "UPDATE documents SET metadata = ?2 WHERE number = ?1",
        (document, serde_json::to_string(metadata)?),
    )?;
    connection.execute("DELETE FROM tags WHERE document = ?1", [document])?;
    connection.execute("DELETE FROM attributes WHERE document = ?1", [document])?;
    insert(connection, document, metadata)
}

/// The documents that filters do not find by their metadata; those whose metadata cannot be read are not among them.
pub(crate) fn unindexed(connection: &Connection) -> StoreResult<Vec<i64>> {
    let mut statement = connection.prepare("SELECT number, metadata FROM documents")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let number = row.get(0)?;
        let Ok(metadata) = serde_json::from_str(&row.get::<_, String>(1)?) else {
            continue;
        };
        if !is_indexed(connection, number, &metadata)? {
            found.push(number);
        }
    }
    Ok(found)
}

/// Makes tags and attributes of a document again.
pub(crate) fn index_again(connection: &Connection, document: i64) -> StoreResult<()> {
    let stored: String =
        connection.query_row("SELECT metadata FROM documents WHERE number = ?1", [document], |row| {
            row.get(0)
        })?;
    replace(connection, document, &serde_json::from_str(&stored)?)
}

/// Whether tags and attributes of a document are those of its metadata.
fn is_indexed(connection: &Connection, document: i64, metadata: &Metadata) -> StoreResult<bool> {
    let tags: BTreeSet<_> = tags(metadata).into_iter().map(Vec::from).collect();
    let mut stored = connection.prepare_cached("SELECT tag FROM tags WHERE document = ?1")?;
    let stored = stored.query_map([document], |row| row.get(0))?;
    if stored.collect::<rusqlite::Result<BTreeSet<Vec<u8>>>>()? != tags {
        return Ok(false);
    }
    let mut stored = connection.prepare_cached("SELECT key, type, value FROM attributes WHERE document = ?1")?;
    let stored = stored.query_map([document], |row| {
        Ok((row.get(0)?, (row.get(1)?, row.get::<_, SqlValue>(2)?)))
    })?;
    let stored = stored.collect::<rusqlite::Result<HashMap<String, (String, SqlValue)>>>()?;
    let attributes = attributes::of(metadata).map(|(key, kind, value)| (key.clone(), (kind.to_owned(), value)));
    Ok(stored == attributes.collect())
}

/// The tag of each member. Equal values have equal tags: `1` and `1.0`, and objects in any order of their members.
pub(crate) fn tags(metadata: &Metadata) -> Vec<[u8; 16]> {
    metadata.iter().map(|(name, value)| tag(name, value)).collect()
}

fn tag(name: &str, value: &Value) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    write_text(&mut hasher, name);
    write_value(&mut hasher, value);
    let mut tag = [0; 16];
    hasher.finalize_xof().fill(&mut tag);
    tag
}

fn write_value(hasher: &mut blake3::Hasher, value: &Value) {
    match value {
        Value::Null => drop(hasher.update(b"n")),
        Value::Bool(value) => drop(hasher.update(if *value { b"t" } else { b"f" })),
        Value::Number(number) => {
            hasher.update(b"#");
            // Integers exactly; a number with a fraction of zero is the integer.
            let whole = number
                .as_f64()
                .filter(|n| n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0);
            match (number.is_f64(), whole) {
                (true, Some(whole)) => write_text(hasher, &format!("{:.0}", whole + 0.0)),
                _ => write_text(hasher, &number.to_string()),
            }
        }
        Value::String(text) => {
            hasher.update(b"s");
            write_text(hasher, text);
        }
        Value::Array(items) => {
            hasher.update(b"[");
            hasher.update(&(items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| write_value(hasher, item));
        }
        Value::Object(members) => {
            hasher.update(b"{");
            hasher.update(&(members.len() as u64).to_le_bytes());
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            for (name, value) in members {
                write_text(hasher, name);
                write_value(hasher, value);
            }
        }
    }
}

fn write_text(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_values_have_equal_tags() {
        for (left, right, equal) in [
            (json!(1), json!(1.0), true),
            (json!(0), json!(-0.0), true),
            (json!(1), json!("1"), false),
            (json!(1.5), json!(1), false),
            (json!(true), json!("true"), false),
            (json!({"a": 1, "b": [2, null]}), json!({"b": [2, null], "a": 1}), true),
            (json!(["ab", "c"]), json!(["a", "bc"]), false),
            (json!(u64::MAX), json!(u64::MAX - 1), false),
        ] {
            assert_eq!(tag("k", &left) == tag("k", &right), equal, "{left} {right}");
        }
        assert_ne!(tag("k", &json!(1)), tag("j", &json!(1)));
    }
}
