//! The model engine: prompts to tokens.

use super::{BatchState, EnginePermit, Progress};
use crate::{
    Account, Digest, Result,
    adapter::{AdapterFiles, AdapterInfo, AdapterSource},
    chat::{FinishReason, Grammar, Message, OutputFormat, Sampling, TokenLogprobs, TokenUsage, ToolCallPiece},
    ledger::EngineTokens,
    profile::ModelProfile,
};
use async_trait::async_trait;
use futures::stream::BoxStream;
use std::sync::Arc;

/// The tokens of a prompt, from its first to the place where the answer begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncodedPrompt {
    pub tokens: Vec<u32>,
    /// Whether the answer begins inside of the model's reasoning.
    pub opens_reasoning: bool,
    /// Whether it is a text that the answer continues: then all of the answer is its text, with the space that it begins with.
    pub is_continued: bool,
}

impl EncodedPrompt {
    /// What a generation of it will report.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.tokens.len()).unwrap_or(u32::MAX)
    }
}

pub struct Generation {
    pub prompt: EncodedPrompt,
    pub sampling: Sampling,
    /// `None` is the base model.
    pub adapter: Option<AdapterSource>,
    /// The account that pays and owns the adapter.
    pub account: Account,
    /// Share of the engine's steps while others run too: 2 gets twice what 1 gets.
    pub weight: u32,
    /// Whether it may use and fill the account's prefix cache.
    pub prefix_cache: bool,
    pub usage_reporter: UsageReporter,
}

/// Receives what a generation used, exact to the token, however it ends: completed, cancelled or failed.
pub struct UsageReporter {
    pub progress: Arc<Progress>,
    report: Option<Box<dyn FnOnce(TokenUsage) + Send + Sync>>,
}

impl UsageReporter {
    /// `report` runs once, on any thread, when the engine has stopped working for the generation: before the stream's last event, or
    /// after the stream was dropped and the engine has noticed. It must not block. A generation that never started reports zeros.
    pub fn new(progress: Arc<Progress>, report: impl FnOnce(TokenUsage) + Send + Sync + 'static) -> Self {
        Self {
            progress,
            report: Some(Box::new(report)),
        }
    }

    /// Called by the engine when the generation has ended. Without a call, dropping the reporter reports what `progress` says.
    pub fn report(&mut self, usage: TokenUsage) {
        self.progress.set(usage.prompt_tokens, usage.completion_tokens);
        self.progress.set_cached(usage.cached_tokens);
        if let Some(report) = self.report.take() {
            report(usage);
        }
    }
}

impl Drop for UsageReporter {
    fn drop(&mut self) {
        self.report(self.progress.usage());
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum GenerationEvent {
    /// What a reasoning model thinks before it answers, without the markers around it. It comes before all pieces. Stop sequences do
    /// not apply to it, and its tokens have no logprobs.
    Reasoning(String),
    /// Of the answer itself.
    Piece(Piece),
    /// Of a call of a tool. No stop sequence applies to it.
    ToolCall(ToolCallPiece),
    /// The last event.
    End(GenerationEnd),
}

/// Text of one or more tokens; empty only where tokens without text have logprobs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Piece {
    pub text: String,
    /// Of the tokens that end in this text, if the sampling asks for them. Tokens that a stop sequence takes away, and the token that
    /// ends the answer, have none.
    pub logprobs: Vec<TokenLogprobs>,
}

impl From<&str> for Piece {
    fn from(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            logprobs: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationEnd {
    pub finish: FinishReason,
    /// The stop sequence that was met, if `finish` is `Stop` because of one.
    pub stop: Option<String>,
    pub usage: TokenUsage,
    /// Of the completion's tokens, those of the reasoning and its markers. `None` if the model does not reason.
    pub reasoning_tokens: Option<u32>,
    /// Tensors of the adapter that were applied.
    pub adapter_tensors: u32,
}

/// The engine fills it at full speed; it holds at most `max_tokens` of text and their logprobs. Dropping it stops the generation.
pub type GenerationStream = BoxStream<'static, Result<GenerationEvent>>;

/// Keeps an adapter in the engine's memory while it lives.
pub struct ResidentAdapter {
    _kept: Box<dyn Send + Sync>,
}

impl ResidentAdapter {
    /// `kept` is what the engine counts as a use of the adapter.
    pub fn new(kept: impl Send + Sync + 'static) -> Self {
        Self { _kept: Box::new(kept) }
    }
}

/// The adapters in the engine's memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdapterCounts {
    pub resident: usize,
    pub resident_bytes: usize,
    pub loads: u64,
    pub evictions: u64,
}

#[async_trait]
pub trait ChatEngine: Send + Sync {
    fn profile(&self) -> &ModelProfile;

    /// Generations that may run at the same time, which is the number of permits that the scheduler may issue.
    fn max_sequences(&self) -> usize;

    /// The whole prompt, template included. Keeps a processor busy until it returns.
    fn encode(&self, messages: &[Message]) -> Result<EncodedPrompt>;

    /// A text as it is, without a template: behind the control tokens that the tokenizer puts before every text. What looks like a control
    /// token in it is text. Keeps a processor busy until it returns.
    fn encode_text(&self, text: &str) -> Result<EncodedPrompt>;

    /// The text that these tokens stand for, control tokens too. `None` if the model does not have one of them. Keeps a processor busy until
    /// it returns.
    fn text_of(&self, tokens: &[u32]) -> Option<String>;

    /// Tokens of a text alone. Keeps a processor busy until it returns.
    fn count_text(&self, text: &str) -> u32;

    /// Prepares what completions must be. Keeps a processor busy until it returns, for a bounded time. `InvalidRequest` names what a schema
    /// has that is not supported.
    fn compile_grammar(&self, format: &OutputFormat) -> Result<Grammar>;

    /// Bytes of the longest text that one token may stand for: a prompt of more bytes than that for each token of the context does not fit.
    fn longest_token(&self) -> usize;

    /// Starts a generation. The permit is given back when the engine has stopped working for it, which is after the stream's end or
    /// drop, and after the usage was reported.
    /// An adapter that is not resident is loaded while the permit is held: see [`Self::load_adapter`]. `ModelNotFound` if its files are gone,
    /// never the base model instead.
    async fn generate(&self, generation: Generation, permit: EnginePermit) -> Result<GenerationStream>;

    /// Checks an adapter's files against the base model: `InvalidRequest` names the tensor or the field at fault. Keeps a processor busy
    /// until it returns.
    fn inspect_adapter(&self, files: &AdapterFiles) -> Result<AdapterInfo>;

    /// Drops what the engine keeps of the account's prompts and answers for later requests, before the next step. What runs keeps what
    /// it has, and leaves nothing behind; a generation that comes later may.
    fn forget_account(&self, account: Account);

    /// At most a step old.
    fn batch(&self) -> BatchState;

    /// The adapter, if it is in memory. Quick, never blocks.
    fn resident_adapter(&self, source: &AdapterSource, account: Account) -> Option<ResidentAdapter>;

    /// The adapter, from memory or from its files, without a place in the batch; fails as `generate`. Memory is bounded only by who calls it.
    async fn load_adapter(&self, source: &AdapterSource, account: Account) -> Result<ResidentAdapter>;

    /// Loads an adapter if there is room for it without evicting others.
    async fn preload_adapter(&self, source: &AdapterSource, account: Account) -> Result<()>;

    /// The generations that an account has pinned, in place of those that it had: the others are evicted first, as long as all pinned ones
    /// together have at most half of the engine's budget. Returns at once.
    fn pin_adapters(&self, account: Account, generations: Vec<Digest>);

    fn adapter_counts(&self) -> AdapterCounts;

    /// Bytes in memory now of each account's adapters. An adapter that several accounts use counts for each of them.
    fn resident_bytes(&self) -> Vec<(Account, u64)>;

    /// The engine's own count of the tokens of ended generations since the process started: each is in it before its
    /// usage is reported. `embedded` is 0.
    fn counted(&self) -> EngineTokens;
}
