//! The time, in steps of 100 milliseconds.

use crate::bindings::capabilities::riad::clock::clock;
use std::time::Duration;

/// The time since 1970-01-01 UTC.
#[must_use]
pub fn now() -> Duration {
    Duration::from_millis(clock::now())
}
