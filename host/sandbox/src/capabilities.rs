//! Host calls: each counts itself, converts, asks a port and converts the answer. No rule lives here; `services`, behind
//! the ports, decides. The interfaces that only name types are at the end of this file.

mod documents;
mod embeddings;
mod logging;
mod model;
mod settings;
mod store;

use crate::{bindings, state::GuestState};

impl bindings::types::types::Host for GuestState {}
impl bindings::pipeline::types::Host for GuestState {}
