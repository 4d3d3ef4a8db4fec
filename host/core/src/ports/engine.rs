//! The model engine: prompts to tokens.

use super::LaneTicket;
use crate::{
    Result,
    adapter::{AdapterFiles, AdapterInfo, AdapterSource},
    chat::{FinishReason, Message, Sampling, TokenUsage},
    profile::ModelProfile,
};
use async_trait::async_trait;
use futures::stream::BoxStream;

pub struct Generation {
    pub messages: Vec<Message>,
    pub sampling: Sampling,
    /// `None` is the base model.
    pub adapter: Option<AdapterSource>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum GenerationEvent {
    /// Text; not one token each, and never empty.
    Piece(String),
    /// The last event.
    End(GenerationEnd),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationEnd {
    pub finish: FinishReason,
    pub usage: TokenUsage,
    /// Tensors of the adapter that were applied.
    pub adapter_tensors: u32,
}

/// The engine is drained into it at full speed; it holds at most `max_tokens` of text. Dropping it stops the generation.
pub type GenerationStream = BoxStream<'static, Result<GenerationEvent>>;

/// What is in the engine's memory.
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

    /// Generations that may run at the same time: the number of tickets a scheduler may give out.
    fn lanes(&self) -> usize;

    /// Tokens of the whole prompt, template included. Exactly what a generation of it will report.
    async fn count_prompt(&self, messages: &[Message]) -> Result<u32>;

    /// Tokens of a text alone. Quick, never blocks.
    fn count_text(&self, text: &str) -> u32;

    /// Starts a generation. The ticket is given back when the lane is idle again, which is after the stream's end or drop.
    /// Loads the adapter if it is not resident; `ModelNotFound` if its files are gone, never the base model instead.
    async fn generate(&self, generation: Generation, ticket: LaneTicket) -> Result<GenerationStream>;

    /// Checks an adapter's files against the base model: `InvalidRequest` names the tensor or the field at fault.
    async fn inspect_adapter(&self, files: &AdapterFiles) -> Result<AdapterInfo>;

    fn adapter_counts(&self) -> AdapterCounts;
}
