//! One event of a completion. Source: OpenAI's completion object; `token_ids` and tokens as `token_id:…` are vLLM's.

use super::super::wrong_answer;
use crate::tokens::vocabulary::Vocabulary;
use riad_core::{
    Result,
    chat::{FinishReason, ScoredToken, TokenLogprobs},
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub(super) struct Chunk {
    pub model: Option<String>,
    #[serde(default)]
    pub choices: Vec<Choice>,
    pub usage: Option<Usage>,
    pub error: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    pub index: u64,
    #[serde(default)]
    pub text: String,
    pub token_ids: Option<Vec<u32>>,
    logprobs: Option<Logprobs>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Logprobs {
    tokens: Vec<String>,
    token_logprobs: Vec<Option<f32>>,
    #[serde(default)]
    top_logprobs: Vec<Option<BTreeMap<String, f32>>>,
}

#[derive(Deserialize)]
pub(super) struct Usage {
    pub prompt_tokens: u32,
    #[serde(default)]
    pub completion_tokens: u32,
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u32>,
}

impl Usage {
    pub fn cached_tokens(&self) -> usize {
        let details = self.prompt_tokens_details.as_ref();
        details.and_then(|details| details.cached_tokens).unwrap_or(0) as usize
    }
}

impl Choice {
    /// Whether it has nothing of an answer.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.token_ids.as_ref().is_none_or(Vec::is_empty)
    }

    /// The error is what stands there instead.
    pub fn finish(&self) -> Result<Option<FinishReason>, String> {
        match self.finish_reason.as_deref() {
            None => Ok(None),
            Some("stop") => Ok(Some(FinishReason::Stop)),
            Some("length") => Ok(Some(FinishReason::Length)),
            Some(other) => Err(other.to_owned()),
        }
    }

    /// What the server says about each of the tokens, if that was asked.
    pub fn scores(
        &self,
        tokens: &[u32],
        asked: Option<u32>,
        vocabulary: &Vocabulary,
    ) -> Result<Vec<Option<TokenLogprobs>>> {
        let Some(top) = asked.filter(|_| !tokens.is_empty()) else {
            return Ok(Vec::new());
        };
        let lacks = || wrong_answer("without the logprobs that were asked");
        let logprobs = self.logprobs.as_ref().ok_or_else(lacks)?;
        if logprobs.tokens.len() != tokens.len() {
            return Err(lacks());
        }
        let score = |token: u32, logprob: f32| vocabulary.scored(token, logprob.max(ScoredToken::LEAST));
        let scored = tokens.iter().enumerate().map(|(place, token)| {
            let chosen = logprobs
                .token_logprobs
                .get(place)
                .copied()
                .flatten()
                .ok_or_else(lacks)?;
            let likeliest = logprobs.top_logprobs.get(place).and_then(Option::as_ref);
            let likeliest = likeliest.into_iter().flatten();
            let mut likeliest: Vec<(u32, f32)> = likeliest
                .map(|(name, logprob)| Ok((token_of(name)?, *logprob)))
                .collect::<Result<_>>()?;
            likeliest.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
            likeliest.truncate(top as usize);
            Ok(Some(TokenLogprobs {
                token: score(*token, chosen),
                top: likeliest
                    .into_iter()
                    .map(|(token, logprob)| score(token, logprob))
                    .collect(),
            }))
        });
        scored.collect()
    }
}

/// As in `token_id:42`.
fn token_of(name: &str) -> Result<u32> {
    let number = name.strip_prefix("token_id:").and_then(|number| number.parse().ok());
    number.ok_or_else(|| wrong_answer("with logprobs of tokens without their numbers"))
}
