//! A request whose prompt is built and whose tokens are held.

use crate::{metering::RequestMeter, shared::Shared};
use riad_core::{
    AdapterAlias, Error, ErrorKind, Result, TenantPass,
    adapter::AdapterSource,
    chat::Sampling,
    document::Passage,
    policy::Tier,
    ports::{EncodedPrompt, FilterId, PipelineRun},
};
use std::sync::Arc;
use tokio::time::Instant;

/// All that is decided once and stays the same for the rest of the request.
pub(super) struct Prepared {
    pub shared: Arc<Shared>,
    pub pass: TenantPass,
    pub adapter: Option<AdapterSource>,
    /// The adapter's name.
    pub alias: Option<AdapterAlias>,
    /// That the prompt has.
    pub passages: Vec<Passage>,
    pub sampling: Sampling,
    pub tier: Tier,
    pub deadline: Instant,
    /// Whether the client may read what no stream filter has read.
    pub shows_reasoning: bool,
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

    /// Records the engine's result. An error that is the adapter's names it.
    pub fn record_engine_result<T>(&self, result: Result<T>) -> Result<T> {
        let named = result.map_err(|error| match (error.kind(), &self.alias) {
            (ErrorKind::AdapterFailed, Some(alias)) => {
                Error::new(error.kind(), format!("the adapter {alias}: {}", error.message())).with_param("model")
            }
            _ => error,
        });
        self.meter.record_engine_result(named)
    }
}

pub(super) fn deadline_exceeded(shared: &Shared) -> Error {
    Error::new(
        ErrorKind::Timeout,
        format!("the request took longer than {} ms", shared.limits.request_ms),
    )
}
