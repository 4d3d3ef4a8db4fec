//! The clock of a queue. Not here: the time of day.

use futures::future::BoxFuture;
use std::time::Instant;

/// Lets a simulation decide what time it is: its hours take milliseconds, and come out the same each time.
pub trait Clock: Send + Sync {
    fn now(&self) -> Instant;

    /// Ends at that time or later. Dropped when nobody waits any more.
    fn sleep_until(&self, time: Instant) -> BoxFuture<'static, ()>;
}

/// Tokio's clock; needs a runtime whose timer is on.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioClock;

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn sleep_until(&self, time: Instant) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until(time.into()))
    }
}
