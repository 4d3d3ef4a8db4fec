//! OpenAI's "a string or a list of strings".

use serde_json::Value;
use utoipa::openapi::{
    ArrayBuilder, ObjectBuilder, RefOr, Schema,
    schema::{OneOfBuilder, Type},
};

pub fn read(value: Value) -> Result<Vec<String>, &'static str> {
    const WRONG: &str = "must be a string or a list of strings; token ids are not read";
    match value {
        Value::String(text) => Ok(vec![text]),
        Value::Array(list) => list
            .into_iter()
            .map(|text| match text {
                Value::String(text) => Ok(text),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Err(WRONG),
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(WRONG),
    }
}

/// The schema of [`read`].
pub fn schema() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    OneOfBuilder::new()
        .item(text())
        .item(ArrayBuilder::new().items(text()).build())
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_one_or_many_and_never_tokens() {
        assert_eq!(read("a".into()).unwrap(), ["a"]);
        assert_eq!(read(serde_json::json!(["a", "b"])).unwrap(), ["a", "b"]);
        for bad in [
            serde_json::json!([1, 2]),
            serde_json::json!([["a"]]),
            serde_json::json!(1),
        ] {
            assert!(read(bad).is_err());
        }
    }
}
