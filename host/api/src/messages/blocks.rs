//! The blocks of an answer, one after another, out of the events of a chat. Not here: how they are written (`collect`, `stream`).

use riad_api_types::messages::{MessageBlock, MessageBlockDelta, MessageUsage, MessagesThinkingTokens};
use riad_core::chat::{FinishReason, ToolCallPiece};
use riad_services::chat::AnswerUsage;
use serde_json::{Map, Value, json};

/// What the client wants of the blocks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BlockOptions {
    /// Whether there are blocks for what the model thinks.
    pub thinking: bool,
    /// Whether a call's input is passed on piece by piece. Clients fail at pieces that cannot become an object, so that it has to be certain
    /// that the model writes one.
    pub pieces_of_input: bool,
}

/// A step in the making of a block.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum BlockStep {
    Start(MessageBlock),
    Delta(MessageBlockDelta),
    Stop,
}

/// A step, and the number of its block.
pub(super) type Numbered = (u32, BlockStep);

pub(super) struct Blocks {
    options: BlockOptions,
    /// What the ids of calls have in common.
    answer: String,
    open: Option<Open>,
    /// The number of the open block, or of the next.
    index: u32,
    calls: u32,
}

/// The block that is being made.
enum Open {
    Thinking,
    Text,
    /// With the input that was not passed on yet.
    Call(String),
}

impl Blocks {
    pub fn new(answer: &str, options: BlockOptions) -> Self {
        Self {
            options,
            answer: answer.to_owned(),
            open: None,
            index: 0,
            calls: 0,
        }
    }

    pub fn push_reasoning(&mut self, thinking: String) -> Vec<Numbered> {
        if !self.options.thinking {
            return Vec::new();
        }
        let mut steps = Vec::new();
        if !matches!(self.open, Some(Open::Thinking)) {
            let empty = MessageBlock::Thinking {
                thinking: String::new(),
                signature: String::new(),
            };
            steps = self.begin(Open::Thinking, empty);
        }
        steps.push(self.delta(MessageBlockDelta::ThinkingDelta { thinking }));
        steps
    }

    pub fn push_text(&mut self, text: String) -> Vec<Numbered> {
        // Of a chat with logprobs only; a client reads an empty piece as none.
        if text.is_empty() {
            return Vec::new();
        }
        let mut steps = Vec::new();
        if !matches!(self.open, Some(Open::Text)) {
            steps = self.begin(Open::Text, MessageBlock::Text { text: String::new() });
        }
        steps.push(self.delta(MessageBlockDelta::TextDelta { text }));
        steps
    }

    pub fn push_call(&mut self, piece: ToolCallPiece) -> Vec<Numbered> {
        let mut steps = Vec::new();
        if let Some(name) = piece.name {
            let block = MessageBlock::ToolUse {
                id: format!("toolu_{}_{}", self.answer, self.calls),
                name,
                input: Value::Object(Map::new()),
            };
            self.calls += 1;
            steps = self.begin(Open::Call(String::new()), block);
        }
        let partial_json = piece.arguments;
        if let Some(Open::Call(input)) = &mut self.open {
            if !self.options.pieces_of_input {
                input.push_str(&partial_json);
            } else if !partial_json.is_empty() {
                steps.push(self.delta(MessageBlockDelta::InputJsonDelta { partial_json }));
            }
        }
        steps
    }

    /// Ends the open block, if there is one.
    pub fn end(&mut self) -> Vec<Numbered> {
        let mut steps = Vec::new();
        match self.open.take() {
            None => return steps,
            Some(Open::Text) => {}
            Some(Open::Thinking) => {
                let signature = String::new();
                steps.push(self.delta(MessageBlockDelta::SignatureDelta { signature }));
            }
            Some(Open::Call(input)) => {
                if let Some(partial_json) = object(&input) {
                    steps.push(self.delta(MessageBlockDelta::InputJsonDelta { partial_json }));
                }
            }
        }
        steps.push((self.index, BlockStep::Stop));
        self.index += 1;
        steps
    }

    fn begin(&mut self, open: Open, block: MessageBlock) -> Vec<Numbered> {
        let mut steps = self.end();
        self.open = Some(open);
        steps.push((self.index, BlockStep::Start(block)));
        steps
    }

    fn delta(&self, delta: MessageBlockDelta) -> Numbered {
        (self.index, BlockStep::Delta(delta))
    }
}

/// The JSON of an object that the model wrote. What is none is a text in one. `None` is no input.
pub(super) fn object(written: &str) -> Option<String> {
    let written = written.trim();
    if written.is_empty() {
        return None;
    }
    match serde_json::from_str(written) {
        Ok(Value::Object(_)) => Some(written.to_owned()),
        Ok(_) | Err(_) => Some(json!({ "INVALID_JSON": written }).to_string()),
    }
}

/// Anthropic's reason, and the stop sequence that was met.
pub(super) fn stop_reason(finish: FinishReason, stop: Option<String>) -> (&'static str, Option<String>) {
    match (finish, stop) {
        (FinishReason::Stop, Some(stop)) => ("stop_sequence", Some(stop)),
        (FinishReason::Stop, None) => ("end_turn", None),
        (FinishReason::Length, _) => ("max_tokens", None),
        (FinishReason::ToolCalls, _) => ("tool_use", None),
    }
}

pub(super) fn usage(usage: AnswerUsage) -> MessageUsage {
    let thinking = |thinking_tokens| MessagesThinkingTokens { thinking_tokens };
    MessageUsage {
        input_tokens: usage.prompt_tokens.saturating_sub(usage.cached_tokens),
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: usage.cached_tokens,
        output_tokens: usage.completion_tokens,
        output_tokens_details: usage.reasoning_tokens.map(thinking),
    }
}
