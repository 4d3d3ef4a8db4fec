//! What real clients send, beside what a reference says: each is served, or refused by name. Not here: what can never be served
//! (`bad_input`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod bodies;
mod conversations;
mod documents;
mod embeddings;
mod nulls;
