//! What a request of Anthropic's says. Members that the server refuses are named here too, so that it can say which one it was.

use crate::parts;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::Value;
use std::fmt;
use utoipa::ToSchema;

/// Members that are not listed are ignored, or refused if ignoring them would change the answer (such as `mcp_servers`).
#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct MessagesRequest {
    /// `<base>` or `<base>:<adapter alias>`
    pub model: String,
    pub messages: Vec<MessagesInput>,
    /// Tokens that the answer may have, with those of its thinking. Required but to count tokens, where it changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// What the model is told before the conversation: a string, or blocks of text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<MessagesContent>,
    /// 0 to 1; the model's own if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// How many of the likeliest tokens are chosen from; 0 is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<i64>,
    /// Texts that end the answer, up to four. They do not end the thinking before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_sequences: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Tools that the model may ask for: the answer then has blocks of the type `tool_use`. Up to 128, with 128 KiB together. Refused where a
    /// plugin of the tenant's serves the stage `postprocessing`, which reads the text only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<MessagesTool>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<MessagesToolChoice>,
    /// Whether the answer shows what a reasoning model thinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<MessagesThinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_config: Option<MessagesOutputConfig>,
    /// Older name of `output_config.format`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_format: Option<MessagesOutputFormat>,
    /// `auto` or `standard_only`; changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MessagesMetadata>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp_servers: Option<Value>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Value>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_management: Option<Value>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compaction: Option<Value>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<Value>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inference_geo: Option<Value>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<Value>,
}

#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct MessagesInput {
    /// `user`, `assistant` or `system`. A last message of the assistant's is history: the answer does not continue it.
    pub role: String,
    pub content: MessagesContent,
}

/// A text, or blocks.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum MessagesContent {
    Text(String),
    Blocks(Vec<MessagesInputBlock>),
}

impl Default for MessagesContent {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

/// Not by `untagged`, whose errors do not say which block is wrong.
impl<'de> Deserialize<'de> for MessagesContent {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        value.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = MessagesContent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of blocks")
    }

    fn visit_str<E>(self, text: &str) -> Result<MessagesContent, E> {
        Ok(MessagesContent::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<MessagesContent, E> {
        Ok(MessagesContent::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, blocks: A) -> Result<MessagesContent, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(blocks)).map(MessagesContent::Blocks)
    }
}

/// A block, by its `type`: `text` has `text`; `tool_use` of an assistant's has `id`, `name` and `input`; `tool_result` of a user's has
/// `tool_use_id`, `content` and `is_error`; `thinking` and `redacted_thinking` are accepted, and not given to the model. Every other type is
/// refused. `cache_control` and `citations` change nothing.
#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct MessagesInputBlock {
    #[schema(example = "text")]
    pub r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The call that a result answers. Results are given to the model in the order of their calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_use_id: Option<String>,
    /// A result's: a string, or blocks of text.
    #[schema(schema_with = parts::schema)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<MessagesContent>,
    /// Whether the tool failed, which the model is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
}

/// A tool of the client's; Anthropic's own are refused. `strict`, `cache_control`, `input_examples`, `defer_loading`, `allowed_callers` and
/// `eager_input_streaming` change nothing.
#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct MessagesTool {
    /// `custom`, if it is given.
    #[schema(example = "custom")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// 1 to 64 letters, digits, `_` and `-`.
    #[schema(required)]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A JSON Schema of an object; no input if it is not given.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
}

#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct MessagesToolChoice {
    /// `auto` (the model decides), `any`, `tool` (the one with this `name`) or `none`. Where a call is required, its input is written so that it
    /// follows its schema.
    #[schema(example = "auto")]
    pub r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether there may be only one call in an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_parallel_tool_use: Option<bool>,
}

/// A reasoning model thinks as it was made to, within `max_tokens`. With `enabled`, `adaptive` and `between_tools` the answer shows it, in
/// blocks of the type `thinking`; with `disabled`, and without this member, it does not. `budget_tokens` changes nothing.
#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct MessagesThinking {
    #[schema(example = "enabled")]
    pub r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_tokens: Option<u64>,
    /// `summarized`, or `omitted`, which leaves the blocks out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
}

#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct MessagesOutputConfig {
    /// What the answer must be. It is written so that it cannot be anything else, but may be cut off by `max_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<MessagesOutputFormat>,
    /// Changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
}

#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct MessagesOutputFormat {
    #[schema(example = "json_schema")]
    pub r#type: String,
    /// A JSON Schema of up to 64 KiB. Keywords that cannot be followed are refused by name.
    #[schema(value_type = Object, required)]
    pub schema: Option<Value>,
}

#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct MessagesMetadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn content_is_a_text_or_blocks() {
        let read = |value: Value| serde_json::from_value::<MessagesContent>(value);
        assert!(matches!(read(json!("a")).unwrap(), MessagesContent::Text(text) if text == "a"));
        let block = json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}, "citations": null});
        let blocks = read(json!([block])).unwrap();
        assert!(matches!(blocks, MessagesContent::Blocks(blocks) if blocks[0].text.as_deref() == Some("a")));
        for bad in [json!(null), json!(1), json!({"type": "text"}), json!([1]), json!(["a"])] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
