//! Where the time of a chat went, for whoever sent it. Not here: what metrics measure (`metering`).

use crate::metering::RequestMeter;
use std::time::{Duration, Instant};

/// Times of a request whose answer has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChatTimes {
    /// In the retrieval stage, its searches included.
    pub retrieval: Duration,
    pub prompting: Duration,
    /// The first choice's wait for a place in the batch.
    pub queued: Duration,
    /// From admission to the first piece of the answer; `None` if nothing was written.
    pub first_piece: Option<Duration>,
    /// From the first piece of the first choice to its last.
    pub generation: Duration,
    /// In the guests of all stages, host calls excluded.
    pub guests: Duration,
    /// From admission to the receipt.
    pub total: Duration,
}

/// What the stages before the prompt took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StageTimes {
    pub retrieval: Duration,
    pub prompting: Duration,
}

impl ChatTimes {
    /// Of a request that has just been settled.
    pub(super) fn of(stages: StageTimes, meter: &RequestMeter) -> Self {
        let (timings, admitted) = (meter.timings(), meter.admitted());
        let generation = timings.first_piece.zip(timings.last_piece);
        Self {
            retrieval: stages.retrieval,
            prompting: stages.prompting,
            queued: timings.queued.unwrap_or_default(),
            first_piece: timings
                .first_piece
                .map(|first| first.saturating_duration_since(admitted)),
            generation: generation.map_or(Duration::ZERO, |(first, last)| last.saturating_duration_since(first)),
            guests: timings.plugin,
            total: admitted.elapsed(),
        }
    }
}

/// What a stage returns, and how long it took.
pub(super) async fn timed<T>(stage: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let returned = stage.await;
    (returned, began.elapsed())
}
