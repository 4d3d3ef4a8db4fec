//! What whole answers (`collect`) and streamed ones (`stream`) have in common.

use riad_api_types::chat::{Citation, Riad, Usage};
use riad_core::{Timestamp, chat::FinishReason, document::Passage, plugin, receipt::SignedReceipt};
use riad_services::chat::AnswerUsage;
use uuid::Uuid;

/// The members that all chunks of an answer repeat.
#[derive(Clone)]
pub(super) struct AnswerHeader {
    pub id: String,
    pub created: u64,
    pub model: String,
    /// Of the server and its model.
    pub fingerprint: String,
}

impl AnswerHeader {
    pub fn new(model: &str, fingerprint: &str) -> Self {
        Self {
            id: format!("chatcmpl-{}", Uuid::now_v7().simple()),
            created: Timestamp::now().as_seconds(),
            model: model.to_owned(),
            fingerprint: fingerprint.to_owned(),
        }
    }
}

/// The same in a stream and in an answer as a whole; no other answer has it.
pub(super) fn call_id(header: &AnswerHeader, choice: u32, call: u32) -> String {
    let answer = header.id.trim_start_matches("chatcmpl-");
    format!("call_{answer}_{choice}_{call}")
}

pub(crate) fn finish_reason(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
    }
}

pub(crate) fn usage(usage: AnswerUsage) -> Usage {
    Usage::new(
        usage.prompt_tokens,
        usage.cached_tokens,
        usage.completion_tokens,
        usage.reasoning_tokens,
    )
}

/// `citations` only if the answer has one choice: else each choice has its own.
pub(crate) fn riad(receipt: SignedReceipt, passages: Vec<Passage>, citations: Option<Vec<plugin::Citation>>) -> Riad {
    Riad {
        receipt: receipt.into(),
        passages: passages.into_iter().map(Into::into).collect(),
        citations: citations.map(citation_list),
    }
}

pub(super) fn citation_list(citations: Vec<plugin::Citation>) -> Vec<Citation> {
    citations.into_iter().map(Citation::from).collect()
}
