//! The listener over real sockets: its bounds, readiness, drain and TLS. Not here: what a router answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod bounds;
mod connections;
mod drain;
mod http2;
mod lifecycle;
mod support;
mod tls;
