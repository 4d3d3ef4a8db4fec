//! The shapes of a chat's answer, whole and in chunks. Not here: filling them (`collect`, `stream`).

use crate::{receipt::ReceiptBody, search::PassageBody};
use riad_core::{chat::FinishReason, document::Passage, plugin::Citation, receipt::SignedReceipt};
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};
use utoipa::ToSchema;
use uuid::Uuid;

/// What all chunks of an answer have in common.
#[derive(Clone)]
pub(super) struct Head {
    pub id: String,
    pub created: u64,
    pub model: String,
}

impl Head {
    pub fn new(model: &str) -> Self {
        Self {
            id: format!("chatcmpl-{}", Uuid::now_v7().simple()),
            created: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |elapsed| elapsed.as_secs()),
            model: model.to_owned(),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ChatCompletion {
    pub id: String,
    #[schema(example = "chat.completion")]
    pub object: &'static str,
    pub created: u64,
    pub model: String,
    pub choices: Vec<Choice>,
    pub usage: Usage,
    pub riad: Riad,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Choice {
    pub index: u32,
    pub message: AssistantMessage,
    pub logprobs: Option<()>,
    #[schema(example = "stop")]
    pub finish_reason: &'static str,
    /// Only with `n` above 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub riad: Option<ChoiceRiad>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AssistantMessage {
    #[schema(example = "assistant")]
    pub role: &'static str,
    pub content: String,
    pub refusal: Option<()>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ChatCompletionChunk {
    pub id: String,
    #[schema(example = "chat.completion.chunk")]
    pub object: &'static str,
    pub created: u64,
    pub model: String,
    pub choices: Vec<ChunkChoice>,
    /// Only with `stream_options.include_usage`: null in all chunks but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Usage>>,
    /// In the usage chunk if that was asked for, else in the last chunk with a `finish_reason`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub riad: Option<Riad>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ChunkChoice {
    pub index: u32,
    pub delta: Delta,
    pub logprobs: Option<()>,
    pub finish_reason: Option<&'static str>,
    /// Only with `n` above 1, where the choice ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub riad: Option<ChoiceRiad>,
}

#[derive(Default, Serialize, ToSchema)]
pub(crate) struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// Sums over all choices.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub(crate) struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

impl Usage {
    pub fn of(receipt: &SignedReceipt) -> Self {
        let used = &receipt.receipt.used;
        Self {
            prompt_tokens: used.prompt_tokens,
            completion_tokens: used.completion_tokens,
            total_tokens: used.prompt_tokens.saturating_add(used.completion_tokens),
        }
    }
}

/// What OpenAI's format has no place for.
#[derive(Serialize, ToSchema)]
pub(crate) struct Riad {
    receipt: ReceiptBody,
    /// As the prompt numbers them, from 1.
    passages: Vec<PassageBody>,
    /// With one choice only; else in each choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    citations: Option<Vec<CitationBody>>,
}

impl Riad {
    pub fn new(receipt: SignedReceipt, passages: Vec<Passage>, citations: Option<Vec<Citation>>) -> Self {
        Self {
            receipt: receipt.into(),
            passages: passages.into_iter().map(PassageBody::from).collect(),
            citations: citations.map(citation_bodies),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ChoiceRiad {
    citations: Vec<CitationBody>,
}

impl ChoiceRiad {
    pub fn new(citations: Vec<Citation>) -> Self {
        Self {
            citations: citation_bodies(citations),
        }
    }
}

/// Whether what the answer quotes from a passage stands in it.
#[derive(Serialize, ToSchema)]
#[schema(as = Citation)]
pub(crate) struct CitationBody {
    /// Number of the passage, from 1.
    passage: u32,
    grounded: bool,
}

pub(super) fn finish_reason(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
    }
}

fn citation_bodies(citations: Vec<Citation>) -> Vec<CitationBody> {
    citations
        .into_iter()
        .map(|citation| CitationBody {
            passage: citation.passage,
            grounded: citation.grounded,
        })
        .collect()
}
