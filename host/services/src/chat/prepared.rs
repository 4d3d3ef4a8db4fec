//! A request whose prompt is built and whose tokens are held.

use super::{event::SearchedFiles, times::StageTimes, tools::Tools};
use crate::{generations::Generations, metering::RequestMeter};
use riad_core::{
    Result,
    chat::{Message, Sampling},
    document::Passage,
    ports::{EncodedPrompt, FilterId, PipelineRun},
};
use std::sync::Arc;

/// All that is decided once and stays the same for the rest of the request.
pub(super) struct Prepared {
    pub generations: Generations,
    /// That the prompt has.
    pub passages: Vec<Passage>,
    /// If the request names vector stores.
    pub searched_files: Option<SearchedFiles>,
    pub sampling: Sampling,
    pub tools: Option<Tools>,
    /// Tokens that prompt and completion may have together.
    pub context_tokens: u32,
    /// Whether the client may read what no stream filter has read.
    pub shows_reasoning: bool,
    /// Of its first prompt.
    pub stage_times: StageTimes,
    /// At least one; those of a prompt follow each other.
    pub choices: Vec<PreparedChoice>,
    pub run: Arc<dyn PipelineRun>,
    pub meter: RequestMeter,
}

pub(super) struct PreparedChoice {
    /// Counts the request's choices from 0.
    pub number: u32,
    /// Counts those of its prompt from 0.
    pub of_prompt: u32,
    pub prompt: Arc<EncodedPrompt>,
    /// What was encoded. What tools answer goes behind it.
    pub messages: Arc<[Message]>,
    /// The prompt's text, if the answer begins with it.
    pub echo: Option<Arc<str>>,
    /// `None` lets every text through.
    pub filter: Option<FilterId>,
}

impl Prepared {
    /// Of each prompt once.
    pub fn prompt_tokens(&self) -> u32 {
        let firsts = self.choices.iter().filter(|choice| choice.of_prompt == 0);
        firsts.fold(0, |sum, choice| sum.saturating_add(choice.prompt.count()))
    }

    /// A choice's sampling, with a seed that is derived from the request's: the choices of a prompt differ from each other and are reproducible.
    pub fn sampling_of(&self, choice: &PreparedChoice) -> Sampling {
        Sampling {
            seed: self
                .sampling
                .seed
                .map(|seed| seed.wrapping_add(choice.of_prompt.into())),
            ..self.sampling.clone()
        }
    }

    /// Records the engine's result. An error that is the adapter's names it.
    pub fn record_engine_result<T>(&self, result: Result<T>) -> Result<T> {
        self.generations.record_engine_result(&self.meter.handle(), result)
    }
}
