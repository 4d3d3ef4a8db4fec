//! Attributes of documents, and filters over them as conditions of SQL: each comparison is a range of the index over key, type and value.
//! Not here: the tags of any metadata (`metadata`).

use crate::error::StoreResult;
use riad_core::{
    Error,
    document::Metadata,
    search_scope::{AttributeFilter, AttributeValue, COMPARISONS_MAX, Comparison, VALUES_MAX},
};
use rusqlite::{Connection, types::Value as SqlValue};
use serde_json::Value;

/// Bytes of a text that can be compared. A longer one is metadata all the same.
const TEXT_MAX: usize = 2_048;
/// How deep a filter may be. SQLite's own bound is far above.
const DEPTH_MAX: usize = 8;

pub(crate) fn insert(connection: &Connection, document: i64, metadata: &Metadata) -> StoreResult<()> {
    let mut statement =
        connection.prepare_cached("INSERT INTO attributes (document, key, type, value) VALUES (?1, ?2, ?3, ?4)")?;
    for (key, kind, value) in of(metadata) {
        statement.execute((document, key, kind, value))?;
    }
    Ok(())
}

/// Key, type and value of the members that can be compared, as they are stored.
pub(crate) fn of(metadata: &Metadata) -> impl Iterator<Item = (&String, &'static str, SqlValue)> {
    metadata.iter().filter_map(|(key, value)| {
        let value = match value {
            Value::String(text) if text.len() <= TEXT_MAX => AttributeValue::Text(text.clone()),
            Value::Number(number) => AttributeValue::Number(number.as_f64()?),
            Value::Bool(value) => AttributeValue::Bool(*value),
            Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        let (kind, value) = column(&value);
        Some((key, kind, value))
    })
}

/// Type and value as they are stored.
fn column(value: &AttributeValue) -> (&'static str, SqlValue) {
    match value {
        AttributeValue::Text(text) => ("text", SqlValue::Text(text.clone())),
        AttributeValue::Number(number) => ("number", SqlValue::Real(*number)),
        AttributeValue::Bool(value) => ("bool", SqlValue::Integer(i64::from(*value))),
    }
}

/// A condition over `documents.number`, and its parameters in order.
pub(crate) fn condition(filter: &AttributeFilter) -> StoreResult<(String, Vec<SqlValue>)> {
    let mut writer = Writer::default();
    writer.write(filter, 1)?;
    Ok((writer.sql, writer.parameters))
}

#[derive(Default)]
struct Writer {
    sql: String,
    parameters: Vec<SqlValue>,
    comparisons: usize,
    /// Values in lists.
    listed: usize,
}

impl Writer {
    fn write(&mut self, filter: &AttributeFilter, depth: usize) -> StoreResult<()> {
        if depth > DEPTH_MAX {
            return Err(refused(format!("filters may have {DEPTH_MAX} levels")).into());
        }
        match filter {
            AttributeFilter::Compare { key, comparison, value } => {
                self.count()?;
                let operator = match comparison {
                    Comparison::Equal | Comparison::NotEqual => "=",
                    Comparison::Greater => ">",
                    Comparison::GreaterOrEqual => ">=",
                    Comparison::Less => "<",
                    Comparison::LessOrEqual => "<=",
                };
                self.write_lookup(key, value, operator, *comparison == Comparison::NotEqual);
            }
            AttributeFilter::OneOf {
                key,
                values,
                is_negated,
            } => {
                self.count()?;
                self.listed += values.len();
                if values.is_empty() || self.listed > VALUES_MAX {
                    let text = format!("a list of values must have one at least, and all lists {VALUES_MAX} at most");
                    return Err(refused(text).into());
                }
                self.sql.push('(');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        self.sql.push_str(if *is_negated { " AND " } else { " OR " });
                    }
                    self.write_lookup(key, value, "=", *is_negated);
                }
                self.sql.push(')');
            }
            AttributeFilter::All(filters) => self.write_joined(filters, " AND ", depth)?,
            AttributeFilter::Any(filters) => self.write_joined(filters, " OR ", depth)?,
        }
        Ok(())
    }

    fn write_joined(&mut self, filters: &[AttributeFilter], joint: &str, depth: usize) -> StoreResult<()> {
        if filters.is_empty() {
            return Err(refused("a list of filters must have one at least".to_owned()).into());
        }
        self.sql.push('(');
        for (at, filter) in filters.iter().enumerate() {
            if at > 0 {
                self.sql.push_str(joint);
            }
            self.write(filter, depth + 1)?;
        }
        self.sql.push(')');
        Ok(())
    }

    /// `operator` is one of ours.
    fn write_lookup(&mut self, key: &str, value: &AttributeValue, operator: &str, is_negated: bool) {
        let (kind, value) = column(value);
        let is_in = if is_negated { "NOT IN" } else { "IN" };
        self.sql += &format!(
            "documents.number {is_in} (SELECT document FROM attributes WHERE key = ? AND type = ? AND value {operator} ?)"
        );
        self.parameters
            .extend([SqlValue::Text(key.to_owned()), SqlValue::Text(kind.to_owned()), value]);
    }

    fn count(&mut self) -> StoreResult<()> {
        self.comparisons += 1;
        if self.comparisons > COMPARISONS_MAX {
            return Err(refused(format!("filters may have {COMPARISONS_MAX} comparisons")).into());
        }
        Ok(())
    }
}

fn refused(text: String) -> Error {
    Error::invalid(text).with_param("filters")
}
