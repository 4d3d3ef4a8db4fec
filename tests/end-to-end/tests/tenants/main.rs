//! What belongs to a tenant, what it may use and what it pays: keys, rooms, adapters, plugins, limits, bills; that nobody gets anything
//! of another's; and what an operator does with a running server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod adapters;
mod billing;
mod canary;
mod capabilities;
mod chat_under_load;
mod files;
mod hostile_guests;
mod identity;
mod isolation;
mod limits;
mod moves;
mod neighbors;
mod operations;
mod plugin;
mod rooms;
mod snapshots;
