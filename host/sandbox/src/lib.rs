//! The plugin host: wasmtime, WIT bindings, limits and the compile cache.
//!
//! `loader` loads an uploaded component: `compiler` compiles it, `versions` and `check` check its imports and exports, `cache` keeps the code on
//! disk. A request gets a run of [`WasmSandbox`]: one fresh `guest` per component, called by `run` within the limits of `call` and
//! `context`. Host calls go through `capabilities/` to the ports of `riad_core`.
//!
//! Not here: rules about who may do what. `services` binds the ports that a guest reaches to one room.

mod bindings;
mod budget;
mod cache;
mod call;
mod capabilities;
mod check;
mod clock;
mod coarse_clock;
mod compile_limiter;
mod compiler;
mod context;
mod convert;
mod engine;
mod errors;
#[doc(hidden)]
pub mod fuzzing;
mod guest;
mod guest_threads;
mod ingestion;
mod ingestion_types;
mod instance_limiter;
mod instantiate;
mod kept_files;
mod limits;
mod loader;
mod run;
mod sandbox;
mod single_flight;
mod stages;
mod state;
mod ticker;
mod versions;
mod wasi;

pub use compiler::{Compiler, Unconfined, compile_child};
pub use loader::ComponentLoads;
pub use sandbox::WasmSandbox;
