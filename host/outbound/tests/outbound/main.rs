//! Tokens, webhooks, models of a hub and requests of plugins through their ports, against real keys, files and servers on this machine. `issuer` signs by itself,
//! without the library that verifies; `server` counts what it is asked.
//! Not here: what one module promises by itself (tests beside it).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod claims;
mod forgeries;
mod guest_http;
mod hub;
mod issuer;
mod pass;
mod remote_embedder;
mod rotation;
mod server;
mod webhooks;
