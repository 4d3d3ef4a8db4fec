//! The tenant's own SQL store (SQLite). One statement a call, parameters are `?1`, `?2`, …; values convert from and to
//! Rust types. Not here: what the host refuses and its limits (`wit/riad-store`).

use crate::{Error, bindings::capabilities::riad::store::store};

pub use store::Value;

/// Runs a statement that returns rows: `store::query("SELECT name FROM people WHERE age > ?1", &[18.into()])?`.
///
/// # Errors
/// `InvalidArgument` for SQL that SQLite refuses, `LimitExceeded` for a statement that takes or returns too much.
pub fn query(sql: &str, params: &[Value]) -> Result<Rows, Error> {
    let rows = store::query(sql, params)?;
    Ok(Rows {
        columns: rows.columns,
        values: rows.rows,
    })
}

/// Runs a statement that changes something; returns how many rows were changed.
///
/// # Errors
/// As `query`, and `LimitExceeded` when the store is full.
pub fn execute(sql: &str, params: &[Value]) -> Result<u64, Error> {
    store::execute(sql, params)
}

/// The rows of one query.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    pub columns: Vec<String>,
    /// As many values in each as there are columns.
    pub values: Vec<Vec<Value>>,
}

impl Rows {
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.values.iter().map(|values| Row {
            columns: &self.columns,
            values,
        })
    }
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    columns: &'a [String],
    values: &'a [Value],
}

impl Row<'_> {
    /// The value in a column: `row.get::<String>("name")?`, `row.get::<Option<i64>>("age")?`.
    ///
    /// # Errors
    /// `InvalidArgument` when there is no such column or its value has another type.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T, Error> {
        let value = self
            .columns
            .iter()
            .position(|name| name == column)
            .and_then(|index| self.values.get(index))
            .ok_or_else(|| Error::InvalidArgument(format!("the result has no column `{column}`")))?;
        T::from_value(value).ok_or_else(|| {
            Error::InvalidArgument(format!("the value in column `{column}` has another type: {value:?}"))
        })
    }
}

/// A Rust type that a value of SQLite can be read as. There is no silent conversion: a number is not a text.
pub trait FromValue: Sized {
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! conversions {
    ($($type:ty, $variant:ident;)+) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }

        impl FromValue for $type {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant(value) => value.clone().try_into().ok(),
                    _ => None,
                }
            }
        })+
    };
}

conversions! {
    i64, Integer;
    i32, Integer;
    u32, Integer;
    f64, Real;
    String, Text;
    Vec<u8>, Blob;
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Integer(value.into())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(|number| number != 0)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            other => T::from_value(other).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        Rows {
            columns: vec!["item".to_string(), "cents".to_string(), "note".to_string()],
            values: vec![vec!["drill".into(), 8900.into(), None::<String>.into()]],
        }
    }

    #[test]
    fn values_are_read_by_column() {
        let rows = rows();
        let row = rows.iter().next().unwrap();
        assert_eq!(row.get("item"), Ok("drill".to_string()));
        assert_eq!(row.get("cents"), Ok(8900_i64));
        assert_eq!(row.get("note"), Ok(None::<String>));
    }

    #[test]
    fn another_type_and_another_column_are_errors_that_name_the_column() {
        let rows = rows();
        let row = rows.iter().next().unwrap();
        assert!(row.get::<i64>("item").unwrap_err().message().contains("`item`"));
        assert!(row.get::<i64>("price").unwrap_err().message().contains("`price`"));
        assert!(row.get::<String>("note").is_err());
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        assert_eq!(u32::from_value(&Value::Integer(-1)), None);
        assert_eq!(bool::from_value(&Value::from(true)), Some(true));
    }
}
