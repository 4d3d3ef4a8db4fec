//! The step scheduler: which rows the engine computes next, and in which KV blocks.
//!
//! [`Batch`] is a state machine without clock, threads or IO. A step is a list of rows of one token each: one row per decoding
//! sequence, several for a chunk of a prompt. Accounts share the rows by virtual time, sequences share KV blocks through a prefix
//! cache, and when blocks run out, the newest sequence makes room and is recomputed later. While some decode, prompts are read at a pace
//! that slows them no more than was set.
//!
//! Not here: the model, sampling, deadlines, and how many requests may wait (`riad-admission`).

mod batch;
mod blocks;
mod cost;
mod namespace;
mod pace;
mod prefix_tree;
mod sequence;
mod shares;
mod step;

pub use batch::{Batch, Gauges, Limits};
pub use namespace::Namespace;
pub use sequence::{NewSequence, Refusal, Removed, SequenceId};
pub use step::{Segment, Step};
