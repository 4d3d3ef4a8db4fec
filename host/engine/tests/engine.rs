//! What an engine promises: a bounded batch, an end when the caller goes away, and an honest count of
//! tokens. Each module below is one suite. Not here: whether an answer is right (`reference`, `families`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

#[path = "engine/adapters.rs"]
mod adapters;
#[path = "engine/answers.rs"]
mod answers;
#[path = "engine/batch_equals_alone.rs"]
mod batch_equals_alone;
#[path = "engine/endings.rs"]
mod endings;
#[path = "engine/failures.rs"]
mod failures;
#[path = "engine/families.rs"]
mod families;
#[path = "engine/flight.rs"]
mod flight;
#[path = "engine/grammar.rs"]
mod grammar;
#[path = "engine/idle.rs"]
mod idle;
#[path = "engine/inspection.rs"]
mod inspection;
#[path = "engine/logprobs.rs"]
mod logprobs;
#[path = "engine/prefix_cache.rs"]
mod prefix_cache;
#[path = "engine/quantization.rs"]
mod quantization;
#[path = "engine/reasoning.rs"]
mod reasoning;
#[path = "engine/reference.rs"]
mod reference;
#[path = "engine/remote.rs"]
mod remote;
#[path = "engine/seeds.rs"]
mod seeds;
#[path = "engine/tally.rs"]
mod tally;

use tokio::sync::{Mutex, MutexGuard};

/// Tests run one at a time: the machine may be small.
async fn exclusive() -> MutexGuard<'static, ()> {
    static EXCLUSIVE: Mutex<()> = Mutex::const_new(());
    EXCLUSIVE.lock().await
}
