//! The store through its ports, on real folders. Each module is one suite; `host` opens stores and makes passes.
//! Not here: what one module of the crate promises by itself (tests beside it).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod accounts;
mod adapters_and_plugins;
mod audit;
mod control;
mod crash;
mod deletion;
mod disk;
mod document_jobs;
mod documents;
mod files;
mod full_disk;
mod host;
mod idempotency;
mod index;
mod keys;
mod kv;
mod languages;
mod ledger;
mod migration;
mod offline_room;
mod originals;
mod pipeline;
mod plans;
mod quota;
mod random;
mod ranking;
mod reembedding;
mod responses;
mod rooms;
mod snapshots;
mod sql;
mod sql_limits;
mod uploads;
mod vector_stores;
