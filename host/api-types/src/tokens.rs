//! `POST /v1/tokenize` and `/v1/detokenize`, in vLLM's shapes.

use crate::chat::ChatMessage;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Either `prompt` or `messages`.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct TokenizeRequest {
    /// `<base>` or `<base>:<adapter alias>`
    pub model: String,
    /// A text as `/v1/completions` reads it: what looks like a control token in it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// A conversation in the model's chat template, to the place where the answer begins. A chat has more tokens: the room's pipeline adds
    /// instructions and passages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<ChatMessage>>,
    /// Whether a text has the tokens before it that the tokenizer adds to every text, such as one for the beginning; true if it is not
    /// given. A template writes its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add_special_tokens: Option<bool>,
    /// Whether the answer has the tokens' texts too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_token_strs: Option<bool>,
    /// Must be true if it is given: the place where the answer begins is a part of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add_generation_prompt: Option<bool>,
    /// Members that are not listed, so that the server can refuse some of them by name.
    #[schema(ignore)]
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Tokenized {
    pub count: usize,
    /// Tokens that prompt and answer may have together.
    pub max_model_len: u32,
    /// By their numbers in the model's vocabulary.
    pub tokens: Vec<u32>,
    /// The text of each token alone; bytes that are no text of their own are `�`. Only if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_strs: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct DetokenizeRequest {
    /// `<base>` or `<base>:<adapter alias>`
    pub model: String,
    pub tokens: Vec<u32>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Detokenized {
    /// Control tokens too, as the vocabulary writes them.
    pub prompt: String,
}
