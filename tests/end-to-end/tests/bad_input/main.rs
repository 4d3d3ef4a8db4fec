//! Requests that cannot be served, in tables: status, type, code, the field at fault, and words that say what to change.
//! Each module is a part of the surface; `case` sends and compares. Not here: plugins that misbehave when they run
//! (`hostile_guests`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod access;
mod adapters;
mod case;
mod chat;
mod plugins;
mod rooms;
