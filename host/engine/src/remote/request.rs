//! A generation as a body of `POST /completions`. Fields that OpenAI does not have are vLLM's and llama.cpp's.
//!
//! All sampling is sent, also what changes nothing: for what is left out, vLLM takes the `generation_config.json` of the model, llama.cpp
//! its own taste (`top_k` 40, `min_p` 0.05), and a tenant would get other answers than from the local engine.

use super::model::RemoteGrammar;
use crate::tokens::engine_error;
use riad_core::{Result, chat::Grammar, ports::Generation};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
};

/// What is asked, whoever is asked.
pub(super) struct Asked {
    body: Body,
    /// What the answer is checked against.
    pub grammar: Option<Grammar>,
    /// How many of the likeliest tokens are told at each place.
    pub logprobs: Option<u32>,
    pub prompt_tokens: u32,
}

#[derive(Clone, Serialize)]
struct Body {
    prompt: Vec<u32>,
    max_tokens: usize,
    temperature: f32,
    top_p: f32,
    /// -1 is all: vLLM, SGLang and llama.cpp agree on no other number.
    top_k: i64,
    min_p: f32,
    frequency_penalty: f32,
    presence_penalty: f32,
    repetition_penalty: f32,
    /// llama.cpp's name of the same.
    repeat_penalty: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    logit_bias: BTreeMap<u32, f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Value>,
    /// Only where what the server searches is what this engine does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop: Vec<String>,
    include_stop_str_in_output: bool,
    /// Of the prefix cache: two accounts never share an entry, so that none learns from its times what another one asks.
    cache_salt: String,
    /// llama.cpp has no salt, so that accounts would share what it keeps of prompts.
    cache_prompt: bool,
    stream: bool,
    stream_options: StreamOptions,
    /// Answers are read by their tokens.
    return_token_ids: bool,
    return_tokens_as_token_ids: bool,
}

#[derive(Clone, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// The body for one server.
#[derive(Serialize)]
pub(super) struct Request<'a> {
    model: &'a str,
    #[serde(flatten)]
    body: &'a Body,
}

impl Asked {
    /// `instance` is before each account's number, of which other processes have the same. `reasons`: whether the model does.
    pub fn new(
        generation: &Generation,
        prompt: &[u32],
        max_tokens: usize,
        (instance, reasons): (&str, bool),
    ) -> Result<Self> {
        let sampling = &generation.sampling;
        let grammar = sampling.grammar.as_ref().map(remote_grammar).transpose()?;
        let salt = match generation.prefix_cache {
            true => format!("{instance} {}", generation.account),
            // Nobody has this one.
            false => format!("{instance} generation {:016x}", RandomState::new().hash_one(())),
        };
        Ok(Self {
            body: Body {
                prompt: prompt.to_owned(),
                max_tokens,
                temperature: sampling.temperature,
                top_p: sampling.top_p.unwrap_or(1.0),
                top_k: sampling.top_k.map_or(-1, i64::from),
                min_p: sampling.min_p.unwrap_or(0.0),
                frequency_penalty: sampling.frequency_penalty,
                presence_penalty: sampling.presence_penalty,
                repetition_penalty: sampling.repetition_penalty.unwrap_or(1.0),
                repeat_penalty: sampling.repetition_penalty.unwrap_or(1.0),
                seed: sampling.seed.map(signed),
                logit_bias: sampling.logit_bias.clone(),
                logprobs: sampling.logprobs,
                // A stop sequence of the answer does not end a reasoning or a call of a tool.
                stop: match reasons || sampling.tools.is_some() {
                    true => Vec::new(),
                    false => sampling.stop.clone(),
                },
                include_stop_str_in_output: true,
                response_format: grammar.map(|grammar| grammar.response_format.clone()),
                // As a digest nobody who does not know the instance can guess it.
                cache_salt: hex_of(&salt),
                cache_prompt: false,
                stream: true,
                stream_options: StreamOptions { include_usage: true },
                return_token_ids: true,
                return_tokens_as_token_ids: true,
            },
            grammar: sampling.grammar.clone(),
            logprobs: sampling.logprobs,
            prompt_tokens: u32::try_from(prompt.len()).unwrap_or(u32::MAX),
        })
    }

    pub fn max_tokens(&self) -> usize {
        self.body.max_tokens
    }

    pub fn of<'a>(&'a self, model: &'a str) -> Request<'a> {
        Request {
            model,
            body: &self.body,
        }
    }
}

pub(super) fn remote_grammar(grammar: &Grammar) -> Result<&RemoteGrammar> {
    grammar
        .compiled::<RemoteGrammar>()
        .ok_or_else(|| engine_error("got a grammar", "that another engine has compiled"))
}

/// Servers read a seed as a signed number.
fn signed(seed: u64) -> u64 {
    seed & (u64::MAX >> 1)
}

fn hex_of(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_one_that_servers_read() {
        assert_eq!(signed(7), 7);
        assert!(i64::try_from(signed(u64::MAX)).is_ok());
    }

    #[test]
    fn salts_of_accounts_differ() {
        assert_ne!(hex_of("one 1"), hex_of("one 11"));
        assert_eq!(hex_of("one 1"), hex_of("one 1"));
    }
}
