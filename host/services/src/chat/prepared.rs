//! A request whose prompt is built and whose tokens are held.

use crate::{metering::RequestMeter, shared::Shared};
use riad_core::{
    Error, ErrorKind, TenantPass,
    adapter::AdapterSource,
    chat::Sampling,
    plugin::Prompt,
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
    pub prompt: Prompt,
    pub encoded: EncodedPrompt,
    pub sampling: Sampling,
    pub tier: Tier,
    pub deadline: Instant,
    /// Whether the client may read what no stream filter has read.
    pub shows_reasoning: bool,
    /// One per choice.
    pub filters: Vec<FilterId>,
    pub run: Arc<dyn PipelineRun>,
    pub meter: RequestMeter,
}

pub(super) fn deadline_exceeded(shared: &Shared) -> Error {
    Error::new(
        ErrorKind::Timeout,
        format!("the request took longer than {} ms", shared.limits.request_ms),
    )
}
