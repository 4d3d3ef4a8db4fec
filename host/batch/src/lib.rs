//! Which rows the next step of the engine computes. A step is a list of rows of one token each: one row of every sequence that
//! decodes, several of a prompt that is read in chunks. [`Batch`] is a state machine without clock, threads or IO: it owns the blocks
//! of the KV cache, the prefix cache, and the order in which accounts are served. Not here: computing a step (`riad-engine`).

mod accounts;
mod batch;
mod blocks;
mod plan;
mod prefix;
mod sequence;
#[cfg(test)]
mod tests;

pub use batch::{Batch, Gauges, Limits, Refusal, Removed};
pub use plan::{Segment, Step};
pub use prefix::Namespace;
pub use sequence::{NewSequence, SequenceId};
