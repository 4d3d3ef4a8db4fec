//! One generation's answer: from its tokens to the caller's events, and what is given back when it ends. Not here: where the tokens come
//! from.

use super::{
    Counted,
    logprobs::PendingLogprobs,
    reasoning::{Channel, ReasoningParser},
    stop::StopTrimmer,
    tool_calls::ToolCallParser,
};
use riad_core::{
    Error, Result,
    adapter::AdapterSource,
    chat::{FinishReason, TokenLogprobs, TokenUsage},
    ports::{EnginePermit, Generation, GenerationEnd, GenerationEvent, Piece, UsageReporter},
};
use tokio::sync::mpsc::UnboundedSender;

/// The caller's events. Without a bound: `max_tokens` bounds what goes in, and the engine must not wait for a reader.
pub(crate) type Events = UnboundedSender<Result<GenerationEvent>>;

pub(crate) struct Answer {
    parser: ReasoningParser,
    /// Of the content, as all that follows: stop sequences do not end a reasoning, and its tokens have no logprobs.
    tools: Option<Tools>,
    trimmer: StopTrimmer,
    /// The stop sequence that ended the content.
    stop: Option<String>,
    logprobs: PendingLogprobs,
    events: Events,
    max_tokens: usize,
    prompt_tokens: usize,
    completion_tokens: usize,
    /// Tokens of the prompt that were computed or taken from the prefix cache, at the most so far: a preempted sequence is computed
    /// again at the engine's expense.
    prompt_read: usize,
    /// Of those, what the prefix cache had.
    cached_tokens: usize,
    adapter_tensors: u32,
    // In the order in which they are given back: the usage is reported before the files and the permit go.
    usage: UsageReporter,
    _files: Option<AdapterSource>,
    _permit: EnginePermit,
}

struct Tools {
    parser: ToolCallParser,
    parallel: bool,
}

impl Answer {
    pub fn new(
        generation: Generation,
        parser: ReasoningParser,
        prompt_tokens: usize,
        max_tokens: usize,
        adapter_tensors: u32,
        events: Events,
        permit: EnginePermit,
    ) -> Self {
        Self {
            adapter_tensors,
            parser,
            tools: generation.sampling.tools.clone().map(|used| Tools {
                parser: ToolCallParser::new(used.names),
                parallel: used.parallel,
            }),
            trimmer: StopTrimmer::new(&generation.sampling.stop),
            stop: None,
            logprobs: PendingLogprobs::default(),
            events,
            max_tokens,
            prompt_tokens,
            completion_tokens: 0,
            prompt_read: 0,
            cached_tokens: 0,
            usage: generation.usage_reporter,
            _files: generation.adapter,
            _permit: permit,
        }
    }

    /// Whether the next token belongs to the content, or to a reasoning that is open.
    pub fn is_content(&self) -> bool {
        self.parser.is_content()
    }

    /// The token that opens a reasoning, if it may still come.
    pub fn opener(&self) -> Option<u32> {
        self.parser.opener()
    }

    pub fn finds_tools(&self) -> bool {
        self.tools.is_some()
    }

    /// Whether nobody reads the events any more.
    pub fn is_cancelled(&self) -> bool {
        self.events.is_closed()
    }

    /// Returns when nobody reads the events any more.
    pub async fn cancelled(&self) {
        self.events.closed().await;
    }

    /// Notes how many tokens the completion has, at most `max_tokens`, if those that were pushed were none.
    pub fn completed(&mut self, tokens: usize) {
        self.completion_tokens = tokens.min(self.max_tokens);
        self.publish();
    }

    pub fn completion_tokens(&self) -> usize {
        self.completion_tokens
    }

    /// Notes that the first `position` tokens of the sequence are computed, `cached` of them by an earlier one.
    pub fn computed(&mut self, position: usize, cached: usize) {
        self.prompt_read = self.prompt_read.max(position.min(self.prompt_tokens));
        self.cached_tokens = cached.min(self.prompt_read);
        self.publish();
    }

    /// It had to wait for the model.
    pub fn model_loaded(&self) {
        self.usage.progress.restart();
    }

    /// Takes a sampled token, which adds `bytes` to the text unless it ends it. Returns why the generation is over, if it is.
    pub fn push(
        &mut self,
        token: u32,
        bytes: &[u8],
        is_end_token: bool,
        logprobs: Option<TokenLogprobs>,
    ) -> Option<FinishReason> {
        self.completion_tokens += 1;
        self.publish();
        if is_end_token {
            return Some(FinishReason::Stop);
        }
        let stopped = match self.parser.push(token, bytes) {
            (Channel::Reasoning, text) => {
                self.send_reasoning(text);
                false
            }
            (Channel::Content, text) => self.push_content(&text, logprobs),
        };
        if stopped {
            return Some(FinishReason::Stop);
        }
        (self.completion_tokens >= self.max_tokens).then_some(FinishReason::Length)
    }

    /// Whether a stop sequence was met, or a call has ended that is to be the only one.
    fn push_content(&mut self, text: &str, logprobs: Option<TokenLogprobs>) -> bool {
        let Some(tools) = &mut self.tools else {
            return self.push_text(text, logprobs);
        };
        let found = tools.parser.push(text);
        let has_ended = !tools.parallel && tools.parser.complete() > 0;
        // The tokens of a call are not those of the text.
        let in_content = tools.parser.is_in_content();
        let logprobs = logprobs.filter(|_| in_content);
        let stopped = self.push_text(&found.content, logprobs);
        for piece in found.calls {
            let _ = self.events.send(Ok(GenerationEvent::ToolCall(piece)));
        }
        stopped || has_ended
    }

    fn push_text(&mut self, text: &str, logprobs: Option<TokenLogprobs>) -> bool {
        self.logprobs.push(text.len(), logprobs);
        let trimmed = self.trimmer.push(text);
        let stopped = trimmed.stop.is_some();
        if stopped {
            self.stop = trimmed.stop;
            let logprobs = self.logprobs.cut(trimmed.text.len());
            self.send(trimmed.text, logprobs);
        } else if !trimmed.text.is_empty() {
            let logprobs = self.logprobs.sent(trimmed.text.len());
            self.send(trimmed.text, logprobs);
        }
        stopped
    }

    /// Reports the usage, tells the caller how it ended, and gives everything back.
    pub fn end(mut self, result: Result<FinishReason>, counted: &Counted) {
        if result.is_ok() {
            self.send_rest();
        }
        let calls = self.tools.as_ref().map_or(0, |tools| tools.parser.begun());
        let result = result.map(|finish| match finish == FinishReason::Stop && calls > 0 {
            true => FinishReason::ToolCalls,
            false => finish,
        });
        let usage = self.used();
        counted.add(usage);
        self.usage.report(usage);
        let event = result.map(|finish| {
            GenerationEvent::End(GenerationEnd {
                finish,
                stop: self.stop.take().filter(|_| finish == FinishReason::Stop),
                usage,
                reasoning_tokens: self.parser.reasoning_tokens(),
                adapter_tensors: self.adapter_tensors,
            })
        });
        // The receiver is dropped when the client has gone; that is no error.
        let _ = self.events.send(event);
    }

    pub fn fail(self, error: Error, counted: &Counted) {
        self.end(Err(error), counted);
    }

    /// What was held back in vain; nothing after a stop sequence. A character whose last bytes did not come is left out.
    fn send_rest(&mut self) {
        if self.parser.is_reasoning() {
            return;
        }
        let held = self.tools.as_mut().map(|tools| tools.parser.finish().content);
        let held = held.unwrap_or_default();
        self.logprobs.push(held.len(), None);
        let mut trimmed = self.trimmer.push(&held);
        let logprobs = if trimmed.stop.is_some() {
            self.stop = trimmed.stop;
            self.logprobs.cut(trimmed.text.len())
        } else {
            trimmed.text += &self.trimmer.finish();
            self.logprobs.finish()
        };
        self.send(trimmed.text, logprobs);
    }

    fn used(&self) -> TokenUsage {
        let tokens = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        TokenUsage {
            prompt_tokens: tokens(self.prompt_read),
            cached_tokens: tokens(self.cached_tokens),
            completion_tokens: tokens(self.completion_tokens),
        }
    }

    fn publish(&self) {
        let used = self.used();
        self.usage.progress.set(used.prompt_tokens, used.completion_tokens);
        self.usage.progress.set_cached(used.cached_tokens);
    }

    fn send_reasoning(&mut self, text: String) {
        // Of the space before the reasoning, if anything.
        self.logprobs = PendingLogprobs::default();
        if !text.is_empty() {
            let _ = self.events.send(Ok(GenerationEvent::Reasoning(text)));
        }
    }

    fn send(&self, text: String, logprobs: Vec<TokenLogprobs>) {
        if !text.is_empty() || !logprobs.is_empty() {
            let _ = self.events.send(Ok(GenerationEvent::Piece(Piece { text, logprobs })));
        }
    }
}
