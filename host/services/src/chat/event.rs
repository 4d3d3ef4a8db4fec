//! What a chat request answers.

use crate::vector_stores::FoundPassage;
use riad_core::{
    chat::{FinishReason, TokenLogprobs, ToolCallPiece},
    document::Passage,
    plugin::Citation,
    receipt::SignedReceipt,
};

/// Tokens as OpenAI counts them: of each prompt once, however many choices it has. The receipt has what the engine read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnswerUsage {
    pub prompt_tokens: u64,
    /// Of the prompts, those that their first choices found in the prefix cache.
    pub cached_tokens: u64,
    /// Of all choices. What the room's plugins had the model write is in the receipt only.
    pub completion_tokens: u64,
    /// Of the completion's tokens in all choices. `None` if the model does not reason.
    pub reasoning_tokens: Option<u64>,
}

/// What was searched in vector stores before the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchedFiles {
    pub queries: Vec<String>,
    /// The passages that the model reads, in the order of their numbers. `None` for one whose file has just been removed.
    pub found: Vec<Option<FoundPassage>>,
}

/// The events of a chat request, in this order for each choice. Events of several choices are interleaved.
#[expect(clippy::large_enum_variant, reason = "the large one comes once in a request")]
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// What the model thinks before it answers. No stream filter reads it: it is left out where a plugin of the tenant's serves
    /// `postprocessing`.
    Reasoning { choice: u32, text: String },
    /// Text that the stream filter let through, and the logprobs of its tokens if the request asks for them; never both empty.
    Text {
        choice: u32,
        text: String,
        logprobs: Vec<TokenLogprobs>,
    },
    /// A piece of a call of a tool. No stream filter reads it.
    ToolCall { choice: u32, piece: ToolCallPiece },
    /// The choice is complete.
    ChoiceEnd {
        choice: u32,
        finish: FinishReason,
        /// The stop sequence that was met. `None` also where a plugin of the tenant's serves `postprocessing`, because it would show words
        /// that the plugin may take out.
        stop: Option<String>,
        citations: Vec<Citation>,
    },
    /// The last event: every choice has ended and the request is settled.
    End {
        receipt: SignedReceipt,
        passages: Vec<Passage>,
        usage: AnswerUsage,
    },
}
