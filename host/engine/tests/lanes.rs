//! What an engine of lanes promises: one request in flight in each, an end when the caller goes away, and an honest count of
//! tokens. Each module below is one suite. Not here: whether an answer is right (`reference`, `families`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

#[path = "lanes/adapters.rs"]
mod adapters;
#[path = "lanes/answers.rs"]
mod answers;
#[path = "lanes/endings.rs"]
mod endings;
#[path = "lanes/failures.rs"]
mod failures;
#[path = "lanes/flight.rs"]
mod flight;
#[path = "lanes/inspection.rs"]
mod inspection;
#[path = "lanes/seeds.rs"]
mod seeds;
#[path = "lanes/tally.rs"]
mod tally;

use tokio::sync::{Mutex, MutexGuard};

/// Tests run one at a time: a request's state is found by its id, sampled tokens are counted for the whole process, and the machine
/// may be small.
async fn exclusive() -> MutexGuard<'static, ()> {
    static EXCLUSIVE: Mutex<()> = Mutex::const_new(());
    EXCLUSIVE.lock().await
}
