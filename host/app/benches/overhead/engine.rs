//! An engine that answers at once with a fixed text, a token a piece, and keeps every promise of the port: exact counts, usage,
//! progress, ticket.

use async_trait::async_trait;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use riad_core::{
    Account, Digest, Error, Result,
    adapter::{AdapterFiles, AdapterInfo, AdapterSource},
    chat::{FinishReason, Grammar, Message, OutputFormat, Sampling, TokenUsage},
    ledger::EngineTokens,
    ports::{
        AdapterCounts, BatchState, ChatEngine, EncodedPrompt, EnginePermit, Generation, GenerationEnd, GenerationEvent,
        GenerationStream, Progress, ResidentAdapter, UsageReporter,
    },
    profile::ModelProfile,
};
use std::sync::{Arc, Mutex};

pub const MODEL: &str = "fixed";
pub const SEQUENCES: usize = 8;
/// Of every answer.
pub const TOKENS: u32 = 32;
/// What a client asks for at most.
pub const MAX_TOKENS: u32 = 64;
const PIECE: &str = "word ";

pub struct FixedEngine {
    profile: ModelProfile,
    counted: Arc<Mutex<EngineTokens>>,
}

impl FixedEngine {
    pub fn new() -> Self {
        Self {
            profile: ModelProfile {
                id: MODEL.into(),
                context_tokens: 8192,
                prompt_tokens: 3000,
                passages: 4,
                sentences: 4,
                completion_tokens: 512,
                temperature: 0.0,
            },
            counted: Arc::default(),
        }
    }
}

/// The text that every answer has.
pub fn text() -> String {
    PIECE.repeat(TOKENS as usize)
}

/// The engine alone, without anything around it: what the platform is compared with.
pub async fn bare(engine: &dyn ChatEngine, messages: Vec<Message>, max_tokens: u32) -> Result<(String, TokenUsage)> {
    let generation = Generation {
        prompt: engine.encode(&messages)?,
        sampling: Sampling::greedy(max_tokens),
        adapter: None,
        account: Account::new(1),
        weight: 1,
        prefix_cache: true,
        usage_reporter: UsageReporter::new(Arc::new(Progress::default()), |_| {}),
    };
    let mut stream = engine.generate(generation, EnginePermit::new(|| {})).await?;
    let mut answer = String::new();
    while let Some(event) = stream.next().await {
        match event? {
            GenerationEvent::Reasoning(text) => answer.push_str(&text),
            GenerationEvent::ToolCall(piece) => answer.push_str(&piece.arguments),
            GenerationEvent::Piece(piece) => answer.push_str(&piece.text),
            GenerationEvent::End(end) => return Ok((answer, end.usage)),
        }
    }
    Err(Error::internal("a generation ended without saying so"))
}

/// A generation under way; ends the same if it is dropped.
struct Running {
    counted: Arc<Mutex<EngineTokens>>,
    prompt_tokens: u32,
    most: u32,
    usage: TokenUsage,
    // The ticket is returned only after the usage was reported.
    usage_reporter: UsageReporter,
    _ticket: EnginePermit,
}

impl Running {
    fn next(mut self) -> (Result<GenerationEvent>, Option<Self>) {
        if self.usage.completion_tokens < self.most {
            self.usage.prompt_tokens = self.prompt_tokens;
            self.usage.completion_tokens += 1;
            let TokenUsage {
                prompt_tokens,
                completion_tokens,
                ..
            } = self.usage;
            self.usage_reporter.progress.set(prompt_tokens, completion_tokens);
            return (Ok(GenerationEvent::Piece(PIECE.into())), Some(self));
        }
        let end = GenerationEnd {
            finish: match self.most < TOKENS {
                true => FinishReason::Length,
                false => FinishReason::Stop,
            },
            stop: None,
            usage: self.usage,
            reasoning_tokens: None,
            adapter_tensors: 0,
        };
        drop(self);
        (Ok(GenerationEvent::End(end)), None)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        {
            let mut counted = self.counted.lock().unwrap();
            counted.prompt += u64::from(self.usage.prompt_tokens);
            counted.completion += u64::from(self.usage.completion_tokens);
        }
        self.usage_reporter.report(self.usage);
    }
}

/// As many as the words, about, and quick to say.
fn tokens(text: &str) -> u32 {
    u32::try_from(text.len() / 4 + 1).unwrap_or(u32::MAX)
}

fn prompt(messages: &[Message]) -> u32 {
    messages.iter().map(|message| tokens(&message.content) + 4).sum()
}

#[async_trait]
impl ChatEngine for FixedEngine {
    fn profile(&self) -> &ModelProfile {
        &self.profile
    }

    fn max_sequences(&self) -> usize {
        SEQUENCES
    }

    fn encode(&self, messages: &[Message]) -> Result<EncodedPrompt> {
        Ok(EncodedPrompt {
            tokens: vec![0; prompt(messages) as usize],
            ..EncodedPrompt::default()
        })
    }

    fn encode_text(&self, text: &str) -> Result<EncodedPrompt> {
        self.encode(&[Message::user(text)])
    }

    fn text_of(&self, _: &[u32]) -> Option<String> {
        None
    }

    fn count_text(&self, text: &str) -> u32 {
        tokens(text)
    }

    fn compile_grammar(&self, _: &OutputFormat) -> Result<Grammar> {
        Ok(Grammar::new(()))
    }

    fn longest_token(&self) -> usize {
        64
    }

    async fn generate(&self, generation: Generation, ticket: EnginePermit) -> Result<GenerationStream> {
        let running = Running {
            counted: Arc::clone(&self.counted),
            prompt_tokens: generation.prompt.count(),
            most: TOKENS.min(generation.sampling.max_tokens),
            usage: TokenUsage::default(),
            usage_reporter: generation.usage_reporter,
            _ticket: ticket,
        };
        let events: BoxStream<'static, _> =
            stream::unfold(Some(running), |running| async { Some(running?.next()) }).boxed();
        Ok(events)
    }

    fn inspect_adapter(&self, _: &AdapterFiles) -> Result<AdapterInfo> {
        Err(Error::invalid("this engine takes no adapters"))
    }

    fn forget_account(&self, _: Account) {}

    fn batch(&self) -> BatchState {
        BatchState::default()
    }

    fn resident_adapter(&self, _: &AdapterSource, _: Account) -> Option<ResidentAdapter> {
        None
    }

    async fn load_adapter(&self, _: &AdapterSource, _: Account) -> Result<ResidentAdapter> {
        Err(Error::invalid("this engine takes no adapters"))
    }

    async fn preload_adapter(&self, _: &AdapterSource, _: Account) -> Result<()> {
        Ok(())
    }

    fn pin_adapters(&self, _: Account, _: Vec<Digest>) {}

    fn adapter_counts(&self) -> AdapterCounts {
        AdapterCounts::default()
    }

    fn resident_bytes(&self) -> Vec<(Account, u64)> {
        Vec::new()
    }

    fn counted(&self) -> EngineTokens {
        *self.counted.lock().unwrap()
    }
}
