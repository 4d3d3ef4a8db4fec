//! An answer in Anthropic's shapes, as a whole and in events, and their errors.

use crate::chat::Riad;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use utoipa::ToSchema;

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Message {
    pub id: String,
    #[schema(example = "message")]
    pub r#type: Cow<'static, str>,
    #[schema(example = "assistant")]
    pub role: Cow<'static, str>,
    pub model: String,
    pub content: Vec<MessageBlock>,
    /// `end_turn`, `max_tokens`, `stop_sequence` or `tool_use`; null where a stream begins.
    pub stop_reason: Option<Cow<'static, str>>,
    /// The one that was met. With a plugin of the tenant's for `postprocessing` it is not told, and `stop_reason` is `end_turn`.
    pub stop_sequence: Option<String>,
    pub usage: MessageUsage,
    /// Not where a stream begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub riad: Option<Riad>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MessageBlock {
    /// What a reasoning model thought before it answered.
    Thinking {
        thinking: String,
        /// Empty: nothing is signed, and no thinking is given to the model again.
        signature: String,
    },
    Text {
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        /// An object. What the model wrote badly, or was cut off by `max_tokens`, is a text in its member `INVALID_JSON`.
        #[schema(value_type = Object)]
        input: Value,
    },
}

/// Prompt tokens are `input_tokens` and `cache_read_input_tokens` together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessageUsage {
    /// Of the prompt, those that the prefix cache did not have. Where a stream begins, all of the prompt's.
    pub input_tokens: u64,
    /// Always 0: writing into the prefix cache costs nothing.
    pub cache_creation_input_tokens: u64,
    /// Of the prompt, those that the prefix cache had from an earlier request of the tenant.
    pub cache_read_input_tokens: u64,
    pub output_tokens: u64,
    /// Not there if the model does not reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens_details: Option<MessagesThinkingTokens>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessagesThinkingTokens {
    /// Of `output_tokens`, those of the reasoning and its markers, whether it is shown or not.
    pub thinking_tokens: u64,
}

/// An event of a stream; the name before its data is its `type`.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MessageEvent {
    MessageStart {
        message: Message,
    },
    ContentBlockStart {
        index: u32,
        content_block: MessageBlock,
    },
    ContentBlockDelta {
        index: u32,
        delta: MessageBlockDelta,
    },
    ContentBlockStop {
        index: u32,
    },
    MessageDelta {
        delta: MessageEnd,
        usage: MessageUsage,
        riad: Riad,
    },
    MessageStop,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MessageBlockDelta {
    ThinkingDelta {
        thinking: String,
    },
    /// Before the end of a block of thinking.
    SignatureDelta {
        signature: String,
    },
    TextDelta {
        text: String,
    },
    /// Piece by piece where a call is required, and so follows its schema; else in one piece, which is an object in any case.
    InputJsonDelta {
        partial_json: String,
    },
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct MessageEnd {
    pub stop_reason: Option<Cow<'static, str>>,
    pub stop_sequence: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct MessagesTokenCount {
    /// Tokens of the prompt before the pipeline: with tools, without passages, and with messages that a pipeline may leave out. Where a room has
    /// no documents and the standard pipeline, they are those of the answer's usage.
    pub input_tokens: u32,
}

/// Anthropic's envelope around every error below `/v1/messages`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct MessagesError {
    #[schema(example = "error")]
    pub r#type: Cow<'static, str>,
    pub error: MessagesErrorDetail,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct MessagesErrorDetail {
    #[schema(example = "invalid_request_error")]
    pub r#type: Cow<'static, str>,
    /// What happened and what to change, for people. It names the member at fault.
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<MessagesErrorDetails>,
}

/// For programs, where Anthropic's clients act by it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct MessagesErrorDetails {
    #[schema(example = "thread_unsupported_request")]
    pub error_code: Cow<'static, str>,
}
