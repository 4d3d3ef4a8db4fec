//! `POST /v1/embeddings`, in OpenAI's shapes.

use crate::nulls;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use utoipa::{
    ToSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, RefOr, Schema,
        schema::{OneOfBuilder, Type},
    },
};

/// Members that are not listed are ignored (OpenAI's `user` is the only one of its own), but for those of other servers that would
/// change the vectors, such as `instruction`, `normalize: false` or `output_dimension`: they are refused with 400. The model makes no
/// difference between questions and passages, so that `input_type` changes nothing.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct EmbeddingRequest {
    pub model: String,
    #[schema(schema_with = input_schema)]
    pub input: Input,
    #[serde(default, deserialize_with = "nulls::or_default")]
    #[schema(value_type = Option<Encoding>)]
    pub encoding_format: Encoding,
    /// At most what the model has: the first so many, made a unit vector again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<usize>,
    /// Members that are not listed, so that the server can refuse some of them by name.
    #[schema(ignore)]
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Texts to embed. Read from a string, a list of strings, or tokens: a list of numbers, or a list of such lists.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Input(pub Vec<Text>);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    Words(String),
    /// By their numbers in the model's vocabulary.
    Tokens(Vec<u32>),
}

impl TryFrom<Value> for Input {
    type Error = &'static str;
    fn try_from(value: Value) -> Result<Self, Self::Error> {
        const WRONG: &str =
            "must be a string, a list of strings, or tokens as a list of numbers or a list of such lists";
        let first = value.as_array().and_then(|list| list.first());
        let is_one = value.is_string() || first.is_some_and(Value::is_number);
        let texts = match is_one {
            true => serde_json::from_value(value).map(|text| vec![text]),
            false => serde_json::from_value(value),
        };
        texts.map(Self).map_err(|_| WRONG)
    }
}

pub(crate) fn input_schema() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    let tokens = || {
        let token = ObjectBuilder::new().schema_type(Type::Integer).build();
        ArrayBuilder::new().items(token).build()
    };
    OneOfBuilder::new()
        .item(text())
        .item(ArrayBuilder::new().items(text()).build())
        .item(tokens())
        .item(ArrayBuilder::new().items(RefOr::T(Schema::Array(tokens()))).build())
        .into()
}

#[derive(Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    #[default]
    Float,
    /// Little-endian 32-bit floats.
    Base64,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct EmbeddingList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    pub data: Vec<Embedding>,
    pub model: String,
    pub usage: EmbeddingUsage,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Embedding {
    #[schema(example = "embedding")]
    pub object: Cow<'static, str>,
    pub index: usize,
    pub embedding: Vector,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Vector {
    Float(Vec<f32>),
    Base64(String),
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct EmbeddingUsage {
    pub prompt_tokens: u32,
    pub total_tokens: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_and_tokens_are_one_or_many() {
        let words = |text: &str| Text::Words(text.to_owned());
        for (value, expected) in [
            (json!("a"), vec![words("a")]),
            (json!(["a", "b"]), vec![words("a"), words("b")]),
            (json!([1, 2]), vec![Text::Tokens(vec![1, 2])]),
            (
                json!([[1, 2], [3]]),
                vec![Text::Tokens(vec![1, 2]), Text::Tokens(vec![3])],
            ),
            (json!([]), vec![]),
        ] {
            assert_eq!(Input::try_from(value).unwrap().0, expected);
        }
        for bad in [
            json!(1),
            json!([-1]),
            json!([1.5]),
            json!([1, "a"]),
            json!([["a"]]),
            json!({}),
            json!(null),
        ] {
            assert!(Input::try_from(bad.clone()).is_err(), "{bad}");
        }
    }
}
