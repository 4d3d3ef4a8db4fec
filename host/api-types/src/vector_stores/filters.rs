//! Filters over attributes, in OpenAI's shape.

use riad_core::{
    Error, Result,
    search_scope::{self, AttributeFilter, AttributeValue, Comparison},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A comparison of an attribute with a value, or filters that are joined.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schema(no_recursion)]
pub enum Filter {
    Eq(AttributeComparison),
    /// Also of a file without the attribute.
    Ne(AttributeComparison),
    Gt(AttributeComparison),
    Gte(AttributeComparison),
    Lt(AttributeComparison),
    Lte(AttributeComparison),
    /// The value is a list.
    In(AttributeComparison),
    /// The value is a list.
    Nin(AttributeComparison),
    And(Filters),
    Or(Filters),
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttributeComparison {
    pub key: String,
    /// A text, a number or a boolean, or a list of them.
    pub value: Value,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Filters {
    #[schema(no_recursion)]
    pub filters: Vec<Filter>,
}

impl Filter {
    /// # Errors
    /// `InvalidRequest` for a value of another type.
    pub fn read(self) -> Result<AttributeFilter> {
        let compare = |comparison, of: AttributeComparison| {
            Ok(AttributeFilter::Compare {
                value: value(of.value)?,
                key: of.key,
                comparison,
            })
        };
        match self {
            Self::Eq(of) => compare(Comparison::Equal, of),
            Self::Ne(of) => compare(Comparison::NotEqual, of),
            Self::Gt(of) => compare(Comparison::Greater, of),
            Self::Gte(of) => compare(Comparison::GreaterOrEqual, of),
            Self::Lt(of) => compare(Comparison::Less, of),
            Self::Lte(of) => compare(Comparison::LessOrEqual, of),
            Self::In(of) => one_of(of, false),
            Self::Nin(of) => one_of(of, true),
            Self::And(joined) => Ok(AttributeFilter::All(joined.read()?)),
            Self::Or(joined) => Ok(AttributeFilter::Any(joined.read()?)),
        }
    }
}

impl Filters {
    fn read(self) -> Result<Vec<AttributeFilter>> {
        self.filters.into_iter().map(Filter::read).collect()
    }
}

fn one_of(of: AttributeComparison, is_negated: bool) -> Result<AttributeFilter> {
    let Value::Array(values) = of.value else {
        return Err(refused("the value of in and nin must be a list"));
    };
    Ok(AttributeFilter::OneOf {
        key: of.key,
        values: values.into_iter().map(value).collect::<Result<_>>()?,
        is_negated,
    })
}

fn value(value: Value) -> Result<AttributeValue> {
    let wrong = || refused("a value must be a text, a number or a boolean");
    match value {
        Value::String(text) => Ok(AttributeValue::Text(text)),
        Value::Bool(value) => Ok(AttributeValue::Bool(value)),
        Value::Number(number) => {
            let inexact = || {
                refused(&format!(
                    "a number must be {}; compare others as texts",
                    search_scope::NUMBERS
                ))
            };
            Ok(AttributeValue::Number(
                search_scope::exact(&number).ok_or_else(inexact)?,
            ))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => Err(wrong()),
    }
}

fn refused(text: &str) -> Error {
    Error::invalid(text).with_param("filters")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn filters_are_read_as_openai_writes_them() {
        let read = |filter: Value| serde_json::from_value::<Filter>(filter).unwrap().read();
        let filter = read(json!({"type": "and", "filters": [
            {"type": "gte", "key": "year", "value": 2020},
            {"type": "nin", "key": "lang", "value": ["de", true]},
        ]}));
        let expected = AttributeFilter::All(vec![
            AttributeFilter::Compare {
                key: "year".into(),
                comparison: Comparison::GreaterOrEqual,
                value: AttributeValue::Number(2020.0),
            },
            AttributeFilter::OneOf {
                key: "lang".into(),
                values: vec![AttributeValue::Text("de".into()), AttributeValue::Bool(true)],
                is_negated: true,
            },
        ]);
        assert_eq!(filter.unwrap(), expected);
        for wrong in [
            json!({"type": "eq", "key": "a", "value": null}),
            json!({"type": "in", "key": "a", "value": "b"}),
            json!({"type": "in", "key": "a", "value": [[1]]}),
        ] {
            assert_eq!(read(wrong).unwrap_err().param(), Some("filters"));
        }
        for wrong in [
            json!({"type": "like", "key": "a", "value": "b"}),
            json!({"type": "eq", "key": "a"}),
            json!({"type": "and", "key": "a", "value": "b"}),
        ] {
            assert!(serde_json::from_value::<Filter>(wrong).is_err());
        }
    }
}
