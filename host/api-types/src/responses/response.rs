//! A response as a whole.

use super::{
    items::ResponseItem,
    request::{AnyResponseTool, ResponseReasoningOptions, ResponseTextOptions, ResponseToolChoice},
};
use crate::chat::Riad;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap};
use utoipa::ToSchema;

/// Members of the request are given back as they were sent, or as what holds without them. A null `temperature` is the model's own.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ResponseObject {
    pub id: String,
    #[schema(example = "response")]
    pub object: Cow<'static, str>,
    /// Seconds since 1970-01-01 UTC.
    pub created_at: u64,
    pub completed_at: Option<u64>,
    /// `completed`, `incomplete` or `failed`; `in_progress` in the first events of a stream.
    pub status: Cow<'static, str>,
    pub error: Option<ResponseError>,
    pub incomplete_details: Option<ResponseIncompleteDetails>,
    pub model: String,
    pub output: Vec<ResponseItem>,
    /// Not there before the end.
    pub usage: Option<ResponseUsage>,
    pub instructions: Option<String>,
    pub previous_response_id: Option<String>,
    /// Whether it is kept.
    pub store: bool,
    pub max_output_tokens: Option<u32>,
    pub temperature: Option<f32>,
    pub top_p: Option<f32>,
    pub tools: Vec<AnyResponseTool>,
    pub tool_choice: ResponseToolChoice,
    pub parallel_tool_calls: bool,
    pub text: ResponseTextOptions,
    pub reasoning: ResponseReasoningOptions,
    pub top_logprobs: u32,
    pub service_tier: Option<String>,
    pub metadata: BTreeMap<String, String>,
    #[schema(example = "disabled")]
    pub truncation: Cow<'static, str>,
    pub background: bool,
    pub max_tool_calls: Option<u32>,
    pub user: Option<String>,
    pub safety_identifier: Option<String>,
    pub prompt_cache_key: Option<String>,
    pub prompt_cache_retention: Option<String>,
    /// As in chat completions. Not there before the end, and in a response that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub riad: Option<Riad>,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ResponseError {
    pub code: Cow<'static, str>,
    pub message: String,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ResponseIncompleteDetails {
    #[schema(example = "max_output_tokens")]
    pub reason: Cow<'static, str>,
}

#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct ResponseUsage {
    pub input_tokens: u64,
    pub input_tokens_details: ResponseInputDetails,
    pub output_tokens: u64,
    pub output_tokens_details: ResponseOutputDetails,
    pub total_tokens: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct ResponseInputDetails {
    /// Of `input_tokens`, those that the prefix cache had.
    pub cached_tokens: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct ResponseOutputDetails {
    /// Of `output_tokens`, those of the reasoning and its markers. 0 if the model does not reason.
    pub reasoning_tokens: u64,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct DeletedResponse {
    pub id: String,
    #[schema(example = "response")]
    pub object: Cow<'static, str>,
    pub deleted: bool,
}
