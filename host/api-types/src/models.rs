//! `/v1/models`, in OpenAI's shapes.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

#[derive(Serialize, Deserialize, ToSchema)]
pub struct ModelList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    pub data: Vec<Model>,
    /// `false`: all models are in one page. This and the next two are Anthropic's.
    pub has_more: bool,
    pub first_id: Option<String>,
    pub last_id: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Model {
    /// `<base>`, `<base>:<adapter alias>`, or the embedding model
    pub id: String,
    #[schema(example = "model")]
    pub object: Cow<'static, str>,
    pub created: u64,
    /// `model`. This and the next two are Anthropic's names of the same things.
    pub r#type: Cow<'static, str>,
    pub display_name: String,
    /// As `created`, in RFC 3339
    #[schema(example = "2026-01-31T12:00:00Z")]
    pub created_at: String,
    /// `riad` for the base model and the embedding model, `tenant` for one with the tenant's adapter.
    pub owned_by: Cow<'static, str>,
    /// Tokens that prompt and answer may have together, under vLLM's name. Not there for the embedding model, which reads a text of any
    /// length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_model_len: Option<u32>,
}
