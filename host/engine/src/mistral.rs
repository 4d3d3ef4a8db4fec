//! mistral.rs as lanes over shared weights: the `ChatEngine` of a local model.
//! Not here: what a lane does with a request (`mistral/lane.rs`), how an adapter is read (`mistral/adapters.rs`).

mod active_request;
mod adapters;
mod checkpoint;
mod drain;
mod lane;
mod sampling;
mod stop;

use crate::{EngineConfig, pool::EnginePool};
use active_request::ActiveRequest;
use adapters::AdapterCache;
use async_trait::async_trait;
use checkpoint::Checkpoint;
use lane::{Lane, LaneParts};
use parking_lot::Mutex;
use riad_core::{
    Account, Error, ErrorKind, Result,
    adapter::{AdapterFiles, AdapterInfo},
    chat::{Message, TokenUsage},
    ledger::EngineTokens,
    ports::{AdapterCounts, ChatEngine, Generation, GenerationStream, LaneTicket},
    profile::ModelProfile,
};
use riad_lora::SharedWeights;
use std::sync::Arc;
use tokenizers::Tokenizer;

pub(crate) struct MistralEngine {
    profile: ModelProfile,
    tokenizer: Tokenizer,
    adapters: AdapterCache,
    lanes: usize,
    parts: Arc<LaneParts>,
    pool: Arc<EnginePool<Lane>>,
    counted: Arc<Counted>,
}

/// Tokens of the generations that have ended.
#[derive(Default)]
struct Counted(Mutex<EngineTokens>);

impl Counted {
    fn add(&self, usage: TokenUsage) {
        let mut all = self.0.lock();
        all.prompt += u64::from(usage.prompt_tokens);
        all.completion += u64::from(usage.completion_tokens);
    }
}

impl MistralEngine {
    pub async fn open(config: EngineConfig) -> Result<Self> {
        let parts = Arc::new(LaneParts {
            config,
            weights: Arc::new(SharedWeights::default()),
        });
        let config = &parts.config;
        let mut lanes = Vec::with_capacity(config.lanes);
        for number in 0..config.lanes {
            lanes.push(Lane::load(number, &parts).await?);
        }
        // After the first lane, so that a hub id is in the cache by now.
        let checkpoint = Checkpoint::find(&config.model)?;
        Ok(Self {
            tokenizer: checkpoint.tokenizer()?,
            adapters: AdapterCache::new(checkpoint.family, parts.weights.clone(), config.resident_adapter_bytes),
            profile: config.profile.clone(),
            lanes: lanes.len(),
            pool: Arc::new(EnginePool::new(lanes)),
            counted: Arc::default(),
            parts,
        })
    }
}

#[async_trait]
impl ChatEngine for MistralEngine {
    fn profile(&self) -> &ModelProfile {
        &self.profile
    }

    fn lanes(&self) -> usize {
        self.lanes
    }

    async fn count_prompt(&self, messages: &[Message]) -> Result<u32> {
        // Any lane can: it answers between two steps.
        let lane = self
            .pool
            .any_lane()
            .ok_or_else(|| Error::internal("an engine without lanes"))?;
        // In a task of its own: mistral.rs' thread panics, and ends a generation of another request with it, when the future that
        // waits for a count is dropped.
        let messages = messages.to_vec();
        tokio::spawn(async move { lane.count(&messages).await })
            .await
            .map_err(Error::internal)?
    }

    fn count_text(&self, text: &str) -> u32 {
        self.tokenizer
            .encode_fast(text, false)
            .map_or(0, |encoding| u32::try_from(encoding.len()).unwrap_or(u32::MAX))
    }

    async fn generate(&self, generation: Generation, ticket: LaneTicket) -> Result<GenerationStream> {
        // Dropped in the reverse order when this ends early: the usage is reported before the ticket goes back.
        let (ticket, generation) = (ticket, generation);
        let adapter = match &generation.adapter {
            Some(source) => Some(self.adapters.resident(source, generation.account).await?),
            None => None,
        };
        let lane = self.pool.acquire(generation.account).await?;
        let active = ActiveRequest::new(lane, self.parts.clone(), ticket);
        drain::start(active, generation, adapter, self.counted.clone()).await
    }

    async fn inspect_adapter(&self, files: &AdapterFiles) -> Result<AdapterInfo> {
        self.adapters.inspect(files.clone()).await
    }

    fn adapter_counts(&self) -> AdapterCounts {
        self.adapters.counts()
    }

    fn resident_bytes(&self) -> Vec<(Account, u64)> {
        self.adapters.bytes_by_account()
    }

    fn counted(&self) -> EngineTokens {
        *self.counted.0.lock()
    }
}

fn engine_error(what: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Internal, format!("the model engine {what}")).with_source(source)
}
