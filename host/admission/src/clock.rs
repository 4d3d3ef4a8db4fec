//! The clock of a queue. Not here: the time of day (`riad_core::clock`).

use futures::future::BoxFuture;
use std::time::Instant;

/// Lets a simulation decide what time it is: its hours take milliseconds, and come out the same each time.
pub trait MonotonicClock: Send + Sync {
    fn now(&self) -> Instant;

    /// Ends at that time or later. Dropped when the wait is over.
    fn sleep_until(&self, time: Instant) -> BoxFuture<'static, ()>;
}

/// Tokio's clock. Sleeping needs a runtime with its timer enabled.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioClock;

impl MonotonicClock for TokioClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn sleep_until(&self, time: Instant) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until(time.into()))
    }
}
