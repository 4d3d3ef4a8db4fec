//! One generation while it runs: from its tokens to the caller's events, and what is given back when it ends. Not here: which
//! rows are computed (`step_loop`).

use super::{Counted, adapters::LoadedAdapter, sampling::TokenSampler, stop::StopTrimmer, text::TextDecoder};
use riad_core::{
    Error, Result,
    adapter::AdapterSource,
    chat::{FinishReason, TokenUsage},
    ports::{EnginePermit, Generation, GenerationEnd, GenerationEvent, UsageReporter},
};
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// The caller's events. Without a bound: `max_tokens` bounds what goes in, and the engine must not wait for a reader.
pub(super) type Events = UnboundedSender<Result<GenerationEvent>>;

pub(super) struct ActiveSequence {
    pub sampler: TokenSampler,
    pub adapter: Option<Arc<LoadedAdapter>>,
    text: TextDecoder,
    /// Whether the text has begun: an answer begins with its first letter, not with the space before it.
    begun: bool,
    trimmer: StopTrimmer,
    events: Events,
    max_tokens: usize,
    prompt_tokens: usize,
    completion_tokens: usize,
    /// Tokens of the prompt that were computed or taken from the prefix cache, at the most so far: a preempted sequence is computed
    /// again at the engine's expense.
    prompt_read: usize,
    // In the order in which they are given back: the usage is reported before the files and the permit go.
    usage: UsageReporter,
    _files: Option<AdapterSource>,
    _permit: EnginePermit,
}

impl ActiveSequence {
    pub fn new(
        generation: Generation,
        prompt_tokens: usize,
        max_tokens: usize,
        adapter: Option<Arc<LoadedAdapter>>,
        events: Events,
        permit: EnginePermit,
    ) -> Result<Self> {
        Ok(Self {
            sampler: TokenSampler::new(&generation.sampling)?,
            adapter,
            text: TextDecoder::default(),
            begun: false,
            trimmer: StopTrimmer::new(&generation.sampling.stop),
            events,
            max_tokens,
            prompt_tokens,
            completion_tokens: 0,
            prompt_read: 0,
            usage: generation.usage_reporter,
            _files: generation.adapter,
            _permit: permit,
        })
    }

    /// Whether nobody reads the events any more.
    pub fn is_cancelled(&self) -> bool {
        self.events.is_closed()
    }

    /// Notes that the first `position` tokens of the sequence are computed.
    pub fn computed(&mut self, position: usize) {
        self.prompt_read = self.prompt_read.max(position.min(self.prompt_tokens));
        self.publish();
    }

    /// Takes a sampled token, which adds `bytes` to the text unless it ends it. Returns why the generation is over, if it is.
    pub fn push(&mut self, bytes: &[u8], is_end_token: bool) -> Option<FinishReason> {
        self.completion_tokens += 1;
        self.publish();
        if is_end_token {
            return Some(FinishReason::Stop);
        }
        // SentencePiece writes a space as U+2581.
        let mut piece = self.text.push(bytes).replace('\u{2581}', " ");
        if !self.begun {
            piece = piece.trim_start().to_owned();
            self.begun = !piece.is_empty();
        }
        let trimmed = self.trimmer.push(&piece);
        self.send(trimmed.text);
        if trimmed.stopped {
            return Some(FinishReason::Stop);
        }
        (self.completion_tokens >= self.max_tokens).then_some(FinishReason::Length)
    }

    /// Reports the usage, tells the caller how it ended, and gives everything back.
    pub fn end(mut self, result: Result<FinishReason>, counted: &Counted) {
        if result.is_ok() {
            let rest = self.text.finish();
            let trimmed = self.trimmer.push(&rest);
            self.send(trimmed.text);
            if !trimmed.stopped {
                let held = self.trimmer.finish();
                self.send(held);
            }
        }
        let usage = self.used();
        counted.add(usage);
        self.usage.report(usage);
        let event = result.map(|finish| {
            GenerationEvent::End(GenerationEnd {
                finish,
                usage,
                adapter_tensors: self.adapter.as_ref().map_or(0, |loaded| loaded.tensors),
            })
        });
        // The receiver is dropped when the client has gone; that is no error.
        let _ = self.events.send(event);
    }

    pub fn fail(self, error: Error, counted: &Counted) {
        self.end(Err(error), counted);
    }

    fn used(&self) -> TokenUsage {
        let tokens = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        TokenUsage {
            prompt_tokens: tokens(self.prompt_read),
            completion_tokens: tokens(self.completion_tokens),
        }
    }

    fn publish(&self) {
        let used = self.used();
        self.usage.progress.set(used.prompt_tokens, used.completion_tokens);
    }

    fn send(&self, text: String) {
        if !text.is_empty() {
            let _ = self.events.send(Ok(GenerationEvent::Piece(text)));
        }
    }
}
