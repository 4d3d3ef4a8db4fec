//! The HTTP surface as clients use it: what they send, how answers look, and how each wrong request is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod attached_files;
mod bad_input;
mod browsers;
mod client_requests;
mod completions;
mod console;
mod document_jobs;
mod files;
mod idempotency;
mod members;
mod messages;
mod openapi;
mod queries;
mod remote_embeddings;
mod remote_engine;
mod reranking;
mod response_format;
mod responses;
mod room_tools;
mod search;
mod shapes;
mod special_tokens;
mod streaming;
mod tools;
mod uploads;
mod vector_store_members;
mod vector_stores;
