//! Host calls: each is counted, converts its arguments, calls a port and converts the result. The rules are in `services`,
//! behind the ports.

mod documents;
mod embeddings;
mod logging;
mod model;
mod settings;
mod store;

use crate::{bindings, state::GuestState};

// These interfaces only have types.
impl bindings::types::types::Host for GuestState {}
impl bindings::pipeline::types::Host for GuestState {}
