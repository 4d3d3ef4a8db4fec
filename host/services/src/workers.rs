//! Workers for texts and adapters: splitting, embedding, tokenizing, parsing, checking.
//! Not here: the engine's steps and guests, which have threads of their own; what waits for a disk runs on tokio's blocking threads.

use riad_admission::Workers;
use riad_core::{Limits, Result, resources};
use std::sync::Arc;

/// Text in one slice: a few milliseconds of work.
pub(crate) const SLICE_BYTES: usize = 32 << 10;

/// Requests of one account whose work may wait to begin, at least: most wait for milliseconds. More where `limits.queue` is more,
/// because each of those needs a worker before it gets there.
const WAITING_LEAST: usize = 256;

pub(crate) fn start(limits: &Limits) -> Result<Arc<Workers>> {
    let waiting = WAITING_LEAST.max(limits.queue as usize);
    Workers::new(&resources::WORKERS, "riad-worker", waiting)
}
