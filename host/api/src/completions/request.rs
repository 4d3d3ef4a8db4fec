//! Reads a request to continue texts. Not here: members that are refused (`unsupported`), ranges and limits (`services`).

use crate::unsupported;
use riad_api_types::{
    completions::CompletionRequest,
    embeddings::{Input, Text},
};
use riad_core::{Error, Result};
use riad_services::{
    chat::{self, ChatRequest},
    text,
};
use serde_json::Value;

/// OpenAI's, where a request does not say how many tokens it wants.
const MAX_TOKENS: u32 = 16;

/// How the answer is to be sent.
pub(super) struct Output {
    pub stream: bool,
    pub logprobs: bool,
    pub include_usage: bool,
    pub choices: u32,
}

/// # Errors
/// `InvalidRequest` names a member that would change the answer and is not supported.
pub(super) fn read(mut body: CompletionRequest) -> Result<(chat::CompletionRequest, Output)> {
    let n = body.n.unwrap_or(1);
    // The best of as many as are asked for are all of them.
    if body.other.get("best_of").and_then(Value::as_u64) == Some(u64::from(n)) {
        body.other.remove("best_of");
    }
    unsupported::refuse(&body.other, unsupported::COMPLETION)?;
    let echo = body.echo.unwrap_or(false);
    if echo && body.logprobs.is_some() {
        let message = "echo cannot be used with logprobs, because the prompt's are not known; leave one of them out";
        return Err(Error::invalid(message).with_param("echo"));
    }
    let prompts = read_texts(body.prompt);
    let output = Output {
        stream: body.stream.unwrap_or(false),
        logprobs: body.logprobs.is_some(),
        include_usage: body
            .stream_options
            .and_then(|options| options.include_usage)
            .unwrap_or(false),
        choices: n.saturating_mul(u32::try_from(prompts.len()).unwrap_or(u32::MAX)),
    };
    let sampling = ChatRequest {
        model: body.model,
        max_tokens: Some(body.max_tokens.unwrap_or(MAX_TOKENS)),
        temperature: body.temperature,
        top_p: body.top_p,
        top_k: body.top_k,
        min_p: body.min_p,
        frequency_penalty: body.frequency_penalty,
        presence_penalty: body.presence_penalty,
        repetition_penalty: body.repetition_penalty,
        stop: body.stop.map(|stop| stop.0).unwrap_or_default(),
        n: Some(n),
        // Any 64 bits are a seed.
        seed: body.seed.map(i64::cast_unsigned),
        logprobs: Some(body.logprobs.is_some()),
        top_logprobs: body.logprobs,
        logit_bias: body.logit_bias.unwrap_or_default(),
        service_tier: crate::chat::read_tier(body.service_tier.as_deref())?,
        ..ChatRequest::default()
    };
    let request = chat::CompletionRequest {
        prompts,
        echo,
        sampling,
    };
    Ok((request, output))
}

pub(crate) fn read_texts(input: Input) -> Vec<text::Text> {
    let read = |text| match text {
        Text::Words(words) => text::Text::Words(words),
        Text::Tokens(tokens) => text::Text::Tokens(tokens),
    };
    input.0.into_iter().map(read).collect()
}
