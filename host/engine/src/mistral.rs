//! mistral.rs as lanes over shared weights: the `ChatEngine` of a local model.
//! Not here: what a lane does with a request (`mistral/lane.rs`), how an adapter is read (`mistral/adapters.rs`).

mod adapters;
mod checkpoint;
mod drain;
mod lane;
mod sampling;
mod stop;

use crate::EngineConfig;
use adapters::AdapterCache;
use async_trait::async_trait;
use checkpoint::Checkpoint;
use lane::Lane;
use parking_lot::Mutex;
use riad_core::{
    Error, ErrorKind, Result,
    adapter::{AdapterFiles, AdapterInfo},
    chat::Message,
    ports::{AdapterCounts, ChatEngine, Generation, GenerationStream, LaneTicket},
    profile::ModelProfile,
};
use riad_lora::SharedWeights;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokenizers::Tokenizer;
use tokio::sync::Semaphore;

pub(crate) struct MistralEngine {
    profile: ModelProfile,
    tokenizer: Tokenizer,
    adapters: AdapterCache,
    lanes: Vec<Arc<Lane>>,
    desk: Arc<Desk>,
    next_to_count: AtomicUsize,
}

/// Which lanes are idle. A ticket of the scheduler means that one is; callers without a scheduler wait here.
pub(crate) struct Desk {
    idle: Mutex<Vec<Arc<Lane>>>,
    places: Arc<Semaphore>,
}

impl MistralEngine {
    pub async fn open(config: EngineConfig) -> Result<Self> {
        let weights = Arc::new(SharedWeights::default());
        let mut lanes = Vec::with_capacity(config.lanes);
        for number in 0..config.lanes {
            lanes.push(Arc::new(Lane::load(number, &config, weights.clone()).await?));
        }
        // After the first lane, so that a hub id is in the cache by now.
        let checkpoint = Checkpoint::find(&config.model)?;
        let desk = Arc::new(Desk {
            idle: Mutex::new(lanes.clone()),
            places: Arc::new(Semaphore::new(lanes.len())),
        });
        Ok(Self {
            tokenizer: checkpoint.tokenizer()?,
            adapters: AdapterCache::new(checkpoint.family, weights, config.resident_adapter_bytes),
            profile: config.profile,
            lanes,
            desk,
            next_to_count: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl ChatEngine for MistralEngine {
    fn profile(&self) -> &ModelProfile {
        &self.profile
    }

    fn lanes(&self) -> usize {
        self.lanes.len()
    }

    async fn count_prompt(&self, messages: &[Message]) -> Result<u32> {
        // Any lane can: it answers between two steps. An idle one answers at once.
        let idle = self.desk.idle.lock().last().cloned();
        let lane = match idle {
            Some(lane) => lane,
            None => {
                let turn = self.next_to_count.fetch_add(1, Ordering::Relaxed) % self.lanes.len().max(1);
                self.lanes
                    .get(turn)
                    .cloned()
                    .ok_or_else(|| Error::internal("an engine without lanes"))?
            }
        };
        // In a task of its own: mistral.rs' thread panics, and takes what it generates for somebody else with it, when whoever
        // asked for a count has gone.
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
        let adapter = match &generation.adapter {
            Some(source) => Some(self.adapters.resident(source).await?),
            None => None,
        };
        let place = self
            .desk
            .places
            .clone()
            .acquire_owned()
            .await
            .map_err(Error::internal)?;
        let lane = self
            .desk
            .idle
            .lock()
            .pop()
            .ok_or_else(|| Error::internal("a place without an idle lane"))?;
        let seat = drain::Seat::new(lane, self.desk.clone(), place, ticket);
        drain::start(seat, generation, adapter).await
    }

    async fn inspect_adapter(&self, files: &AdapterFiles) -> Result<AdapterInfo> {
        self.adapters.inspect(files.clone()).await
    }

    fn adapter_counts(&self) -> AdapterCounts {
        self.adapters.counts()
    }
}

fn engine_error(what: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Internal, format!("the model engine {what}")).with_source(source)
}
