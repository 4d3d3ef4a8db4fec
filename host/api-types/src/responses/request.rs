//! What a request for a response says. Members that the server refuses are named here too, so that `null` can be read as their absence.

use crate::{ranking::RankingOptions, vector_stores::Filter};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::{
    IntoParams, ToSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, RefOr, Schema,
        schema::{OneOfBuilder, Type},
    },
};

/// Members that are not listed are refused. These change nothing: `user`, `safety_identifier`, `prompt_cache_key`,
/// `prompt_cache_retention` and `text.verbosity`.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseRequest {
    /// `<base>` or `<base>:<adapter alias>`
    pub model: String,
    /// A text, or the items of a conversation: messages, calls of functions and what they returned. Reasoning is accepted, and not given to
    /// the model.
    #[schema(schema_with = input_schema)]
    pub input: ResponseInput,
    /// A system message before all others. The next response does not have it, unless it is sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// The conversation goes on from this response, which was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_response_id: Option<String>,
    /// Whether the response is kept, so that it can be read again and gone on from; true if it is not given. One whose client goes away before
    /// its end, or that fails, is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<ResponseStreamOptions>,
    /// Of the answer with its reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// 0 to 2; the model's own if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// Functions that the model may ask for. As in chat completions.
    #[schema(value_type = Option<Vec<ResponseTool>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Value>>,
    /// `auto` (the model decides), `none`, `required`, or a function's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ResponseToolChoice>,
    /// Whether there may be several calls in one answer; true if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<ResponseTextOptions>,
    /// More than what an answer always has: `message.output_text.logprobs`, no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<String>>,
    /// How many of the likeliest tokens are told at each place, 0 to 20. Needs the logprobs in `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u32>,
    /// `auto` or `default`, `flex` (uses capacity that others leave), `priority` (if the tenant has it).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Up to 16 texts of up to 512 characters, under names of up to 64. Given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// `disabled`. Where a prompt would be too long, the room's pipeline may leave out old messages of the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncation: Option<String>,
    /// Given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_identifier: Option<String>,
    /// Given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_retention: Option<String>,
    /// Without effort and summary, which are refused: a model that reasons does so as it was trained, and shows all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<ResponseReasoningOptions>,
    /// False.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<bool>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_programs: Option<Value>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background_options: Option<Value>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_management: Option<Value>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Value>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Value>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tool_calls: Option<Value>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moderation: Option<Value>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Value>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_options: Option<Value>,
}

/// Read from a text or a list of items, each of which is read for itself, so that an error names it.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "Value", untagged)]
pub enum ResponseInput {
    Text(String),
    Items(Vec<Value>),
}

impl Default for ResponseInput {
    fn default() -> Self {
        Self::Items(Vec::new())
    }
}

impl TryFrom<Value> for ResponseInput {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::String(text) => Ok(Self::Text(text)),
            Value::Array(items) => Ok(Self::Items(items)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                Err("must be a string or a list of items")
            }
        }
    }
}

fn input_schema() -> RefOr<Schema> {
    OneOfBuilder::new()
        .item(ObjectBuilder::new().schema_type(Type::String))
        .item(ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::Object)))
        .into()
}

#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseStreamOptions {
    /// False: events are not padded to hide their lengths.
    pub include_obfuscation: Option<bool>,
}

#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseReasoningOptions {
    pub effort: Option<String>,
    pub summary: Option<String>,
    #[schema(ignore)]
    #[serde(default, skip_serializing)]
    pub generate_summary: Option<Value>,
    #[schema(ignore)]
    #[serde(default, skip_serializing)]
    pub context: Option<Value>,
    #[schema(ignore)]
    #[serde(default, skip_serializing)]
    pub mode: Option<Value>,
}

/// Of one of its types.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum AnyResponseTool {
    Function(Box<ResponseTool>),
    FileSearch(Box<FileSearchTool>),
}

/// Has the room's pipeline search vector stores in place of the room's own documents, before the model answers.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSearchTool {
    #[schema(example = "file_search")]
    pub r#type: String,
    /// 1 to 8.
    pub vector_store_ids: Vec<String>,
    pub filters: Option<Filter>,
    /// 1 to 50, 10 if it is not given; a prompt has as many as fit.
    pub max_num_results: Option<u32>,
    pub ranking_options: Option<RankingOptions>,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseTool {
    #[schema(example = "function")]
    pub r#type: String,
    /// 1 to 64 letters, digits, `_` and `-`.
    pub name: String,
    pub description: Option<String>,
    /// A JSON Schema of an object; no arguments if it is not given.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// Changes nothing: a required call follows its schema in any case, and the model's own does not.
    pub strict: Option<bool>,
    #[schema(ignore)]
    #[serde(default, skip_serializing)]
    pub allowed_callers: Option<Value>,
    #[schema(ignore)]
    #[serde(default, skip_serializing)]
    pub r#async: Option<Value>,
    #[schema(ignore)]
    #[serde(default, skip_serializing)]
    pub defer_loading: Option<Value>,
    #[schema(ignore)]
    #[serde(default, skip_serializing)]
    pub output_schema: Option<Value>,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ResponseToolChoice {
    /// `none`, `auto` or `required`.
    Mode(String),
    Function {
        #[schema(example = "function")]
        r#type: String,
        name: String,
    },
    /// `{"type": "file_search"}`. What else it may be is refused.
    #[schema(value_type = Object)]
    Other(Value),
}

#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseTextOptions {
    /// What the answer must be. It is written so that it cannot be anything else, but may be cut off by `max_output_tokens` (`status` is
    /// `incomplete` then). A model's reasoning is free.
    pub format: Option<ResponseTextFormat>,
    /// `low`, `medium` or `high`. Changes nothing: tell the model in the instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<String>,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseTextFormat {
    Text,
    /// Any JSON object.
    JsonObject,
    JsonSchema {
        /// 1 to 64 letters, digits, `_` and `-`; changes nothing.
        name: String,
        /// Changes nothing: tell the model in a message.
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// A JSON Schema of up to 64 KiB; any object if it is not given. Keywords that cannot be followed are refused by name.
        #[schema(value_type = Option<Object>)]
        schema: Option<Value>,
        /// Changes nothing: every schema is followed strictly.
        strict: Option<bool>,
    },
}

/// A kept response has the logprobs if it was asked for them when it was made. What was found in vector stores is kept of each.
#[derive(Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ResponseParams {
    /// `file_search_call.results`, `message.output_text.logprobs`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// False: a kept response is complete.
    pub stream: Option<bool>,
    #[param(ignore)]
    pub starting_after: Option<String>,
    #[param(ignore)]
    pub include_obfuscation: Option<bool>,
}

#[derive(Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ResponseItemParams {
    /// Items in the answer, 1 to 100, 20 if it is not given.
    pub limit: Option<u32>,
    /// `desc` (the last first) if it is not given, or `asc`.
    pub order: Option<String>,
    /// The last id of the page before.
    pub after: Option<String>,
    /// `file_search_call.results`, `message.output_text.logprobs`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
}
