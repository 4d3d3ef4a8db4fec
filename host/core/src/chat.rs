//! Messages, sampling parameters and how a generation ends. Not here: OpenAI's JSON (`api`).

use serde::{Deserialize, Serialize};
use std::{any::Any, collections::BTreeMap, fmt, sync::Arc};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
}

impl Role {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub content: String,
}

impl Message {
    pub fn user(content: impl Into<String>) -> Self {
        Self {
            role: Role::User,
            content: content.into(),
        }
    }
}

/// What the text of a completion must be.
#[derive(Debug, Clone, PartialEq)]
pub enum OutputFormat {
    /// Any JSON object.
    JsonObject,
    /// JSON that this JSON Schema describes.
    JsonSchema(serde_json::Value),
    /// Nothing but calls of these tools: one, or at least one if `parallel`.
    ToolCalls { tools: Vec<Tool>, parallel: bool },
}

/// Whether functions and schemas may have this name: OpenAI's 1 to 64 letters, digits, `_` and `-`.
#[must_use]
pub fn is_function_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(is_allowed)
}

/// A function that the model may ask its caller to call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// As [`is_function_name`] allows it.
    pub name: String,
    pub description: Option<String>,
    /// A JSON Schema of an object.
    pub parameters: serde_json::Value,
}

/// What is to be found in a completion's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolUse {
    pub names: Vec<String>,
    /// Whether there may be several calls. Else the completion ends with the first.
    pub parallel: bool,
}

/// A piece of a call, in the order in which it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCallPiece {
    /// Counts the calls of a completion from 0.
    pub call: u32,
    /// In the first piece.
    pub name: Option<String>,
    /// The next part of the arguments, which are JSON if the model wrote it well and to its end.
    pub arguments: String,
}

/// An [`OutputFormat`] as an engine has compiled it. Clones share it.
#[derive(Clone)]
pub struct Grammar(Arc<dyn Any + Send + Sync>);

impl Grammar {
    pub fn new(compiled: impl Any + Send + Sync) -> Self {
        Self(Arc::new(compiled))
    }

    /// `None`: another engine has compiled it.
    #[must_use]
    pub fn compiled<T: 'static>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

/// The same compilation.
impl PartialEq for Grammar {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Grammar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Grammar")
    }
}

/// How the next token is chosen. `temperature` 0 is greedy.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    pub temperature: f32,
    pub top_p: Option<f32>,
    pub top_k: Option<u32>,
    pub min_p: Option<f32>,
    pub frequency_penalty: f32,
    pub presence_penalty: f32,
    pub repetition_penalty: Option<f32>,
    pub stop: Vec<String>,
    /// Maximum number of tokens in the completion.
    pub max_tokens: u32,
    /// The same seed, prompt and sampling give the same tokens. `None` picks a random seed.
    pub seed: Option<u64>,
    /// Added to the logits of these tokens before anything else is done with them.
    pub logit_bias: BTreeMap<u32, f32>,
    /// Whether the answer tells the tokens' probabilities, and how many of the likeliest at each place.
    pub logprobs: Option<u32>,
    /// Only tokens that it allows. A model's reasoning is free.
    pub grammar: Option<Grammar>,
    /// `None`: what looks like a call is text.
    pub tools: Option<ToolUse>,
}

/// A token and the logarithm of its probability.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredToken {
    pub text: String,
    /// `None` for a control token, which adds nothing to a text.
    pub bytes: Option<Vec<u8>>,
    /// Natural logarithm of the softmax of the model's logits as they are: without bias, penalties, temperature, `top_k`, `top_p`
    /// and `min_p`. At least [`ScoredToken::LEAST`].
    pub logprob: f32,
}

impl ScoredToken {
    /// JSON has no infinity; the same number as OpenAI's and vLLM's.
    pub const LEAST: f32 = -9999.0;
}

/// A token of an answer beside the likeliest tokens at its place.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprobs {
    pub token: ScoredToken,
    /// The likeliest first. Without the token itself if it is not among them.
    pub top: Vec<ScoredToken>,
}

impl Sampling {
    #[must_use]
    pub fn greedy(max_tokens: u32) -> Self {
        Self {
            temperature: 0.0,
            top_p: None,
            top_k: None,
            min_p: None,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            repetition_penalty: None,
            stop: Vec::new(),
            max_tokens,
            seed: None,
            logit_bias: BTreeMap::new(),
            logprobs: None,
            grammar: None,
            tools: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended, or a stop sequence was met.
    Stop,
    /// `max_tokens` was reached.
    Length,
    /// The model ended, and wants tools to be called.
    ToolCalls,
}

/// Tokens of one generation, as the engine counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    pub prompt_tokens: u32,
    /// Of `prompt_tokens`, those that were taken from the prefix cache rather than computed.
    pub cached_tokens: u32,
    pub completion_tokens: u32,
}
