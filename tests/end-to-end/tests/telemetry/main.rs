//! What the server tells about itself: metrics, request ids, traces, signals for autoscalers; and that none of it has content.
//! Not here: how each is written (`riad-telemetry`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod collector;
mod metrics;
mod traces;

/// In questions and documents, and nowhere else.
pub const CANARY: &str = "zebrafish-at-noon";
