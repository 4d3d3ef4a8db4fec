//! The JSON of the HTTP API: every request and every response, with its OpenAPI schema. The server writes what a client reads
//! from these types, and the other way round, so that neither names a JSON member as a string.
//!
//! One file per resource. Types have the names of the OpenAPI document. Objects in responses tolerate members that they do not
//! know, so that a client reads the answers of a newer server; requests refuse them where the server does.
//! Conversions from the domain's types (`riad_core`) stand beside the shape. Not here: handlers and routes (`api`).

pub mod adapters;
pub mod audit;
pub mod chat;
pub mod completions;
pub mod documents;
pub mod embeddings;
pub mod error;
pub mod files;
pub mod health;
pub mod keys;
pub mod ledger;
pub mod logs;
pub mod messages;
pub mod models;
pub mod moves;
mod nulls;
mod parts;
pub mod pipeline;
pub mod plans;
pub mod plugins;
pub mod ranking;
pub mod receipts;
pub mod responses;
pub mod rollups;
pub mod scale;
pub mod search;
mod strings;
pub mod tenants;
pub mod tokens;
pub mod tools;
pub mod uploads;
pub mod usage;
pub mod vector_stores;
