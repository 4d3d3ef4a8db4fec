//! `POST /v1/embeddings`, in OpenAI's shapes.

use crate::{nulls, strings};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use utoipa::ToSchema;

/// Fields of OpenAI's that are not listed are ignored.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct EmbeddingRequest {
    pub model: String,
    #[schema(schema_with = strings::schema)]
    pub input: Input,
    #[serde(default, deserialize_with = "nulls::or_default")]
    #[schema(value_type = Option<Encoding>)]
    pub encoding_format: Encoding,
    /// Must be what the model has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<usize>,
}

/// Texts to embed. Read from a string or a list of strings.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Input(pub Vec<String>);

impl TryFrom<Value> for Input {
    type Error = &'static str;
    fn try_from(value: Value) -> Result<Self, Self::Error> {
        strings::read(value).map(Self)
    }
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
