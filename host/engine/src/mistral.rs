//! One mistral.rs model and one batch for all requests: the `ChatEngine` of a local model.
//! Not here: the loop that computes steps (`mistral/step_loop.rs`), how an adapter is read (`mistral/adapters.rs`).

mod adapters;
mod inputs;
mod model;
mod sampling;
mod sequence;
mod stats;
mod step_loop;

use crate::{
    EngineConfig,
    checkpoint::Checkpoint,
    tokens::{
        self, Counted, answer::Answer, blocking, engine_error, grammar::GrammarCompiler, logprobs,
        prompt::PromptEncoder,
    },
};
use adapters::AdapterCache;
use async_trait::async_trait;
use futures::StreamExt;
use model::LoadedModel;
use riad_batch::{Namespace, NewSequence};
use riad_core::{
    Account, Digest, Result,
    adapter::{AdapterFiles, AdapterInfo, AdapterSource},
    chat::{Grammar, Message, OutputFormat},
    ledger::EngineTokens,
    ports::{
        AdapterCounts, BatchState, ChatEngine, EncodedPrompt, EnginePermit, Generation, GenerationStream,
        ResidentAdapter,
    },
    profile::ModelProfile,
};
use sampling::TokenSampler;
use sequence::ActiveSequence;
use stats::SharedState;
use std::{
    sync::{Arc, mpsc},
    time::Instant,
};
use step_loop::{Message as LoopMessage, Start, StepLoop};

pub(crate) struct MistralEngine {
    profile: ModelProfile,
    max_sequences: usize,
    prefix_cache: bool,
    /// Positions that the model has.
    context_tokens: usize,
    /// Tokens below this number can be read and written.
    vocabulary: usize,
    encoder: PromptEncoder,
    grammars: GrammarCompiler,
    adapters: AdapterCache,
    messages: mpsc::Sender<LoopMessage>,
    counted: Arc<Counted>,
    batch: SharedState,
}

impl MistralEngine {
    pub async fn open(config: EngineConfig) -> Result<Self> {
        let own = config.clone();
        let begun = Instant::now();
        let model = blocking(move || LoadedModel::load(&own)).await?;
        let loading = begun.elapsed();
        let checkpoint = Checkpoint::open(&config.model)?;
        let model = Arc::new(model);
        let counted = Arc::new(Counted::default());
        let batch = SharedState::default();
        // resources::BATCH: only requests with a place in the batch send something.
        let (messages, receiver) = mpsc::channel();
        let engine = Self {
            profile: config.profile.clone(),
            max_sequences: config.max_sequences,
            prefix_cache: config.prefix_cache,
            context_tokens: model.context_tokens,
            // The tokenizer may have tokens for which the model has no row, and the model rows for no token.
            vocabulary: checkpoint
                .vocabulary()
                .map_or(model.vocabulary.len(), |rows| rows.min(model.vocabulary.len())),
            encoder: model.encoder.clone(),
            grammars: model.grammars.clone(),
            adapters: AdapterCache::new(checkpoint.family, model.layers(), config.resident_adapter_bytes),
            messages,
            counted: counted.clone(),
            batch: batch.clone(),
        };
        spawn(StepLoop::new(config, model, receiver, counted, batch, loading))?;
        Ok(engine)
    }
}

/// The loop runs on a thread of its own pool, whose other threads share the work of each step: from inside of a pool a parallel loop
/// begins without waking a thread first.
fn spawn(step_loop: StepLoop) -> Result<()> {
    let pool = rayon::ThreadPoolBuilder::new()
        .thread_name(|number| format!("riad-engine-{number}"))
        .build()
        .map_err(|e| engine_error("could not start its threads", e))?;
    std::thread::Builder::new()
        .name("riad-engine".to_owned())
        .spawn(move || pool.install(move || step_loop.run()))
        .map_err(|e| engine_error("could not start its thread", e))?;
    Ok(())
}

#[async_trait]
impl ChatEngine for MistralEngine {
    fn profile(&self) -> &ModelProfile {
        &self.profile
    }

    fn max_sequences(&self) -> usize {
        self.max_sequences
    }

    fn encode(&self, messages: &[Message]) -> Result<EncodedPrompt> {
        self.encoder.encode(messages)
    }

    fn encode_text(&self, text: &str) -> Result<EncodedPrompt> {
        self.encoder.encode_text(text)
    }

    fn text_of(&self, tokens: &[u32]) -> Option<String> {
        self.encoder.text_of(tokens)
    }

    fn count_text(&self, text: &str) -> u32 {
        u32::try_from(self.encoder.count_text(text)).unwrap_or(u32::MAX)
    }

    fn compile_grammar(&self, format: &OutputFormat) -> Result<Grammar> {
        self.grammars.compile(format)
    }

    fn longest_token(&self) -> usize {
        self.encoder.longest_token()
    }

    async fn generate(&self, generation: Generation, permit: EnginePermit) -> Result<GenerationStream> {
        // Dropped in the reverse order when this ends early: the usage is reported before the permit goes back.
        let (permit, mut generation) = (permit, generation);
        logprobs::check_bias(&generation.sampling, self.vocabulary)?;
        let adapter = match &generation.adapter {
            Some(source) => Some(self.adapters.resident(source, generation.account).await?),
            None => None,
        };
        let prompt = std::mem::take(&mut generation.prompt);
        let answer_parser = self.encoder.answer_parser(&prompt);
        let prompt = prompt.tokens;
        let max_tokens = tokens::most_tokens(
            &prompt,
            generation.sampling.max_tokens,
            self.context_tokens,
            self.vocabulary,
        )?;
        let prompt_tokens = prompt.len();
        let adapter_generation = generation.adapter.as_ref().map(|source| *source.generation.as_bytes());
        let namespace = Namespace::new(generation.account, adapter_generation);
        // resources::ANSWERS
        let (events, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let start = Start {
            sequence: NewSequence {
                account: generation.account,
                weight: generation.weight,
                adapter_cost: adapter.as_ref().map_or(0.0, |adapter| adapter.row_cost),
                namespace: (self.prefix_cache && generation.prefix_cache).then_some(namespace),
                max_tokens,
                prompt,
            },
            active: ActiveSequence {
                sampler: TokenSampler::new(&generation.sampling)?,
                answer: Answer::new(
                    generation,
                    answer_parser,
                    prompt_tokens,
                    max_tokens,
                    adapter.as_ref().map_or(0, |adapter| adapter.tensors),
                    events,
                    permit,
                ),
                adapter,
            },
        };
        self.messages
            .send(LoopMessage::Start(Box::new(start)))
            .map_err(|_| engine_error("is not running", "its thread has ended"))?;
        Ok(futures::stream::poll_fn(move |context| receiver.poll_recv(context)).boxed())
    }

    fn inspect_adapter(&self, files: &AdapterFiles) -> Result<AdapterInfo> {
        self.adapters.inspect(files)
    }

    fn forget_account(&self, account: Account) {
        // Fails when the thread has ended, and its cache with it.
        let _ = self.messages.send(LoopMessage::ForgetAccount(account));
    }

    fn batch(&self) -> BatchState {
        self.batch.read()
    }

    fn resident_adapter(&self, source: &AdapterSource, account: Account) -> Option<ResidentAdapter> {
        self.adapters.get(source, account).map(ResidentAdapter::new)
    }

    async fn load_adapter(&self, source: &AdapterSource, account: Account) -> Result<ResidentAdapter> {
        self.adapters.resident(source, account).await.map(ResidentAdapter::new)
    }

    async fn preload_adapter(&self, source: &AdapterSource, account: Account) -> Result<()> {
        self.adapters.preload(source, account).await
    }

    fn pin_adapters(&self, account: Account, generations: Vec<Digest>) {
        self.adapters.pin(account, generations);
    }

    fn adapter_counts(&self) -> AdapterCounts {
        self.adapters.counts()
    }

    fn resident_bytes(&self) -> Vec<(Account, u64)> {
        self.adapters.bytes_by_account()
    }

    fn counted(&self) -> EngineTokens {
        self.counted.all()
    }
}
