//! What a model's tokens stand for, whoever computes them: prompts, answers with their reasoning and calls of tools, grammars.
//! Not here: computing tokens (`mistral`), asking another server for them (`remote`).

pub(crate) mod answer;
pub(crate) mod grammar;
pub(crate) mod logprobs;
pub(crate) mod prompt;
mod prompt_tokenizer;
mod reasoning;
mod stop;
mod text;
mod tool_calls;
pub(crate) mod vocabulary;

use parking_lot::Mutex;
use riad_core::{Error, ErrorKind, Result, chat::TokenUsage, ledger::EngineTokens};

/// Tokens of the generations that have ended.
#[derive(Default)]
pub(crate) struct Counted(Mutex<EngineTokens>);

impl Counted {
    pub fn add(&self, usage: TokenUsage) {
        let mut all = self.0.lock();
        all.prompt += u64::from(usage.prompt_tokens);
        all.cached += u64::from(usage.cached_tokens);
        all.completion += u64::from(usage.completion_tokens);
    }

    pub fn all(&self) -> EngineTokens {
        *self.0.lock()
    }
}

/// How many tokens a completion may have, beside a prompt in so many positions.
///
/// # Errors
/// `InvalidRequest` for a prompt that has none left, or a token that the model does not have.
pub(crate) fn most_tokens(prompt: &[u32], max_tokens: u32, context_tokens: usize, vocabulary: usize) -> Result<usize> {
    if let Some(unknown) = prompt.iter().find(|token| **token as usize >= vocabulary) {
        return Err(Error::invalid(format!(
            "the prompt has the token {unknown}, which the model does not know; leave its text out"
        ))
        .with_param("messages"));
    }
    let free = context_tokens.saturating_sub(prompt.len());
    if free == 0 {
        return Err(Error::invalid(format!(
            "the prompt has {} tokens, and the model reads at most {context_tokens}; shorten it",
            prompt.len()
        ))
        .with_param("messages"));
    }
    Ok((max_tokens as usize).clamp(1, free))
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| engine_error("panicked", e))?
}

pub(crate) fn engine_error(what: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Internal, format!("the model engine {what}")).with_source(source)
}
