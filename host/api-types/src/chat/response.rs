//! A chat's answer, as a whole and in chunks.

use crate::{receipts::Receipt, search::Passage};
use riad_core::{chat, plugin};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

#[derive(Serialize, Deserialize, ToSchema)]
pub struct ChatCompletion {
    pub id: String,
    #[schema(example = "chat.completion")]
    pub object: Cow<'static, str>,
    pub created: u64,
    pub model: String,
    /// The same for answers of the same model from the same version of the server: then a `seed` gives the same answer.
    pub system_fingerprint: String,
    pub choices: Vec<Choice>,
    pub usage: Usage,
    pub riad: Riad,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Choice {
    pub index: u32,
    pub message: AssistantMessage,
    /// Null unless `logprobs` was asked for.
    pub logprobs: Option<Logprobs>,
    #[schema(example = "stop")]
    pub finish_reason: Cow<'static, str>,
    /// Only with `n` above 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub riad: Option<ChoiceRiad>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct AssistantMessage {
    #[schema(example = "assistant")]
    pub role: Cow<'static, str>,
    /// Null if the answer has calls of tools and nothing else.
    pub content: Option<String>,
    /// What a reasoning model thought before it answered, without the markers around it. Not there if it thought nothing, and where a
    /// plugin of the tenant's serves the stage `postprocessing`, which reads the content only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Functions that the model wants to be called. `finish_reason` is `tool_calls`, or `length` if the last one is cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    pub refusal: Option<()>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct ToolCall {
    pub id: String,
    #[schema(example = "function")]
    pub r#type: Cow<'static, str>,
    pub function: CalledFunction,
}

#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct CalledFunction {
    /// In a stream, only where the call begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// JSON, if the model wrote it well; in a stream, the next piece of it.
    pub arguments: String,
}

/// A piece of a call. Its id, type and name are in its first piece.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct ToolCallDelta {
    pub index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[schema(example = "function")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<Cow<'static, str>>,
    pub function: CalledFunction,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct ChatCompletionChunk {
    pub id: String,
    #[schema(example = "chat.completion.chunk")]
    pub object: Cow<'static, str>,
    pub created: u64,
    pub model: String,
    pub system_fingerprint: String,
    pub choices: Vec<ChunkChoice>,
    /// Only with `stream_options.include_usage`: null in all chunks but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Usage>>,
    /// In the usage chunk if that was asked for, else in the last chunk with a `finish_reason`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub riad: Option<Riad>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct ChunkChoice {
    pub index: u32,
    pub delta: Delta,
    /// Of the tokens that end in this chunk; null in other chunks.
    pub logprobs: Option<Logprobs>,
    pub finish_reason: Option<Cow<'static, str>>,
    /// Only with `n` above 1, where the choice ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub riad: Option<ChoiceRiad>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Logprobs {
    /// The tokens of the content. Those of the reasoning, tokens that a stop sequence took away, and the token that ended the answer, are not among them.
    pub content: Vec<TokenLogprobs>,
    pub refusal: Option<()>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenLogprobs {
    #[serde(flatten)]
    pub token: ScoredToken,
    /// The likeliest first.
    pub top_logprobs: Vec<ScoredToken>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScoredToken {
    pub token: String,
    /// Natural logarithm of the probability, at least -9999.
    pub logprob: f32,
    /// The token's UTF-8, which may be a part of a character; null for a control token.
    pub bytes: Option<Vec<u8>>,
}

#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// As in a whole answer; all of it comes before the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallDelta>>,
}

/// Sums over all choices.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_tokens: u64,
    pub prompt_tokens_details: PromptTokensDetails,
    /// Not there if the model does not reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_tokens_details: Option<CompletionTokensDetails>,
}

#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct CompletionTokensDetails {
    /// Of `completion_tokens`, those of the reasoning and its markers, whether `reasoning_content` is shown or not.
    pub reasoning_tokens: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct PromptTokensDetails {
    /// Of `prompt_tokens`, those that the prefix cache had from an earlier request of the tenant, or an earlier choice of this one.
    pub cached_tokens: u64,
}

/// Riad's additions to OpenAI's format.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Riad {
    pub receipt: Receipt,
    /// As the prompt numbers them, from 1.
    pub passages: Vec<Passage>,
    /// With one choice only; else in each choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citations: Option<Vec<Citation>>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct ChoiceRiad {
    pub citations: Vec<Citation>,
}

/// Whether the passage contains what the answer quotes from it.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Citation {
    /// Number of the passage, from 1.
    pub passage: u32,
    pub grounded: bool,
}

impl Usage {
    #[must_use]
    pub fn new(prompt_tokens: u64, cached_tokens: u64, completion_tokens: u64, reasoning_tokens: Option<u64>) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            prompt_tokens_details: PromptTokensDetails { cached_tokens },
            completion_tokens_details: reasoning_tokens
                .map(|reasoning_tokens| CompletionTokensDetails { reasoning_tokens }),
        }
    }
}

impl From<plugin::Citation> for Citation {
    fn from(citation: plugin::Citation) -> Self {
        Self {
            passage: citation.passage,
            grounded: citation.grounded,
        }
    }
}

impl From<Vec<chat::TokenLogprobs>> for Logprobs {
    fn from(tokens: Vec<chat::TokenLogprobs>) -> Self {
        Self {
            content: tokens.into_iter().map(Into::into).collect(),
            refusal: None,
        }
    }
}

impl From<chat::TokenLogprobs> for TokenLogprobs {
    fn from(token: chat::TokenLogprobs) -> Self {
        Self {
            token: token.token.into(),
            top_logprobs: token.top.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<chat::ScoredToken> for ScoredToken {
    fn from(token: chat::ScoredToken) -> Self {
        Self {
            token: token.text,
            logprob: token.logprob,
            bytes: token.bytes,
        }
    }
}
