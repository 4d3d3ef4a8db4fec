//! Host calls: each is counted, converts its arguments, calls a port and converts the result. The rules are in `services`,
//! behind the ports.

mod clock;
mod documents;
mod embeddings;
mod generation;
mod http;
mod kv;
mod logging;
mod model;
mod random;
mod settings;
mod store;

use crate::{bindings, state::GuestState};
use wasmtime::component::Linker;

/// Links older versions of capabilities, each to the functions of the newest.
pub(crate) fn link_older(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    documents::link_0_1(linker)?;
    // These only name types, which are compared by their shape.
    for types in ["riad:pipeline/types@0.1.0", "riad:ingestion/types@0.1.0"] {
        linker.instance(types)?;
    }
    Ok(())
}

// These interfaces only have types.
impl bindings::types::types::Host for GuestState {}
impl bindings::pipeline::types::Host for GuestState {}
