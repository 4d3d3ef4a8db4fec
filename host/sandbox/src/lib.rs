//! The plugin host: wasmtime, WIT bindings, limits and the compile cache.
//!
//! An uploaded component goes through `check` (what it may import and export) and `cache` (compiled code on disk, by
//! digest). A request gets a [`WasmSandbox`] run: one fresh `guest` per component, whose calls `run` makes and `call` bounds.
//! What guests ask for goes through `capabilities/` to the ports of `riad_core`.
//!
//! Not here: rules about who may do what. The ports that a guest reaches are bound to one room by whoever starts the run.

mod bindings;
mod budget;
mod cache;
mod call;
mod capabilities;
mod check;
mod clock;
mod compiler;
mod convert;
mod engine;
mod errors;
mod guest;
mod instance_limiter;
mod library;
mod limits;
mod run;
mod sandbox;
mod state;
mod ticker;
mod wasi;
mod yielding;

pub use compiler::{Compiler, compile_child};
pub use sandbox::WasmSandbox;
