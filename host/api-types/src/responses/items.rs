//! The items of a conversation: what a request gives, and what a response adds.

use crate::chat::TokenLogprobs;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use utoipa::ToSchema;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseItem {
    Message(ResponseMessage),
    FunctionCall(ResponseFunctionCall),
    FunctionCallOutput(ResponseFunctionCallOutput),
    Reasoning(ResponseReasoning),
    FileSearchCall(ResponseFileSearchCall),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResponseMessage {
    pub id: String,
    /// `system`, `developer`, `user` or `assistant`
    pub role: Cow<'static, str>,
    /// `in_progress`, `completed` or `incomplete`
    pub status: Cow<'static, str>,
    pub content: Vec<ResponseContentPart>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseContentPart {
    InputText {
        text: String,
    },
    /// A file whose text the model reads: one that is kept, or its bytes.
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<String>,
        /// Base64, perhaps as a `data:` URL.
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<String>,
    },
    OutputText {
        text: String,
        /// The files of vector stores that it cites. All citations are in `riad`.
        annotations: Vec<ResponseAnnotation>,
        /// Empty unless `include` asks for them.
        logprobs: Vec<TokenLogprobs>,
    },
    Refusal {
        refusal: String,
    },
    ReasoningText {
        text: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseAnnotation {
    FileCitation {
        /// Of the citation in the text, in characters from 0.
        index: usize,
        file_id: String,
        filename: String,
    },
}

/// A search of vector stores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResponseFileSearchCall {
    pub id: String,
    pub queries: Vec<String>,
    /// The passages that the model reads, if `include` asks for them: of the request, or of the one that reads a kept response.
    pub results: Option<Vec<ResponseFileSearchResult>>,
    pub status: Cow<'static, str>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResponseFileSearchResult {
    pub file_id: String,
    pub filename: String,
    /// 0 to 1, by the ranks in two lists: what is the first by words and by meaning has 1. No similarity.
    pub score: f64,
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResponseFunctionCall {
    pub id: String,
    pub call_id: String,
    pub name: String,
    /// JSON, if the model wrote it well.
    pub arguments: String,
    pub status: Cow<'static, str>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResponseFunctionCallOutput {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    pub output: ResponseFunctionResult,
    pub status: Cow<'static, str>,
}

/// What a function returned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ResponseFunctionResult {
    Text(String),
    Parts(Vec<ResponseContentPart>),
}

/// What a reasoning model thought before it answered. As in chat completions, it is not there where a plugin of the tenant's serves the
/// stage `postprocessing`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResponseReasoning {
    pub id: String,
    /// Empty: the whole reasoning is in `content`.
    #[schema(value_type = Vec<Object>)]
    pub summary: Vec<Value>,
    pub content: Vec<ResponseContentPart>,
    pub status: Cow<'static, str>,
}

/// What the request of a response had in its `input`, with ids.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct ResponseItemList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    pub data: Vec<ResponseItem>,
    pub first_id: Option<String>,
    pub last_id: Option<String>,
    pub has_more: bool,
}

impl ResponseItem {
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Message(message) => &message.id,
            Self::FunctionCall(call) => &call.id,
            Self::FunctionCallOutput(output) => &output.id,
            Self::Reasoning(reasoning) => &reasoning.id,
            Self::FileSearchCall(call) => &call.id,
        }
    }
}

impl ResponseContentPart {
    /// What a model wrote.
    #[must_use]
    pub fn output(text: String, logprobs: Vec<TokenLogprobs>) -> Self {
        Self::OutputText {
            text,
            annotations: Vec::new(),
            logprobs,
        }
    }

    /// Of a part that is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::InputText { text }
            | Self::OutputText { text, .. }
            | Self::Refusal { refusal: text }
            | Self::ReasoningText { text } => Some(text),
            Self::InputFile { .. } => None,
        }
    }
}
