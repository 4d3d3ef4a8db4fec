//! `POST /v1/completions`, in OpenAI's older shapes.

use crate::{
    chat::{Riad, Stop, StreamOptions, Usage},
    embeddings::Input,
    strings,
};
use riad_core::chat::TokenLogprobs;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{borrow::Cow, collections::BTreeMap};
use utoipa::ToSchema;

/// A text that the model continues as it is: without retrieval, prompt building and a chat template. Members that are not listed are
/// ignored or refused as in a chat; `suffix` is refused, and `best_of` if it is not `n`.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct CompletionRequest {
    /// `<base>` or `<base>:<adapter alias>`
    pub model: String,
    /// A text, or its tokens as `/v1/tokenize` gives them, or a list of either. What looks like a control token in a text is text; among
    /// tokens there may be control tokens.
    #[schema(schema_with = crate::embeddings::input_schema)]
    pub prompt: Input,
    /// 16 if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// Choices of each text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// Whether the answer begins with the prompt. Refused with `logprobs`, because the prompt's are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo: Option<bool>,
    /// How many of the likeliest tokens are told at each place, 0 to 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<u32>,
    /// 0 to 2; the model's own if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// How many of the likeliest tokens are chosen from; 0 and -1 are all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f32>,
    /// Texts that end the answer.
    #[schema(schema_with = strings::schema)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// What is added to the logits of tokens, as in a chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logit_bias: Option<BTreeMap<String, f32>>,
    /// As in a chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Members that are not listed, so that the server can refuse some of them by name.
    #[schema(ignore)]
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// An answer, or a piece of one.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Completion {
    pub id: String,
    #[schema(example = "text_completion")]
    pub object: Cow<'static, str>,
    pub created: u64,
    pub model: String,
    /// The same for answers of the same model from the same version of the server.
    pub system_fingerprint: String,
    pub choices: Vec<CompletionChoice>,
    /// In a stream, only with `stream_options.include_usage`, in the last chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// In a stream, in the last chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub riad: Option<Riad>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct CompletionChoice {
    pub text: String,
    /// Counts the choices of all prompts, in the order of the prompts.
    pub index: u32,
    pub logprobs: Option<CompletionLogprobs>,
    /// `stop` or `length`; in a stream null until the choice ends.
    pub finish_reason: Option<Cow<'static, str>>,
}

/// Lists with an element for each token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CompletionLogprobs {
    pub tokens: Vec<String>,
    /// Natural logarithms.
    pub token_logprobs: Vec<f32>,
    /// The likeliest tokens and the one that was chosen.
    pub top_logprobs: Vec<BTreeMap<String, f32>>,
    /// Where the token begins, in characters from the beginning of the choice's text.
    pub text_offset: Vec<u64>,
}

impl CompletionLogprobs {
    /// Adds tokens, the first of which begins at `offset`, and returns where the next one begins.
    pub fn extend(&mut self, tokens: Vec<TokenLogprobs>, mut offset: u64) -> u64 {
        for TokenLogprobs { token, top } in tokens {
            let mut likeliest: BTreeMap<_, _> = top.into_iter().map(|token| (token.text, token.logprob)).collect();
            likeliest.insert(token.text.clone(), token.logprob);
            self.text_offset.push(offset);
            offset = offset.saturating_add(token.text.chars().count() as u64);
            self.tokens.push(token.text);
            self.token_logprobs.push(token.logprob);
            self.top_logprobs.push(likeliest);
        }
        offset
    }
}
