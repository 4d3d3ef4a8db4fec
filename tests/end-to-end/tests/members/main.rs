//! Every member of OpenAI's published request types, in tables: with a valid value, null, and a value of another type it is served, or
//! refused by name. `table` sends them; a module for each operation has its members. `GET /v1/models` has none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod chat;
mod completions;
mod embeddings;
mod table;
