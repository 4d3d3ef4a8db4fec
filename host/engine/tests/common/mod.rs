//! What the engine's test targets and its benchmark share: asking an engine, the model that ships, an independent
//! implementation to compare with, and random checkpoints. Not here: what is expected of the engine.
#![allow(dead_code, reason = "each target uses a part")]

pub mod ask;
pub mod checkpoint;
pub mod llama;
pub mod random;
pub mod shipped;
pub mod tensors;
