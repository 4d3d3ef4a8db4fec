//! HTTP: OpenAI's wire format where it has one, JSON resources of our own where it has none, and the operator's doors.
//!
//! One resource, one file: handlers, wire types and their OpenAPI together; `router` is the table of contents. Handlers
//! convert and call `riad-services`; no rule lives here. Not here: SQL, wasmtime, models, the process (`app`).

mod adapters;
mod audit;
mod auth;
mod body;
mod chat;
mod documents;
mod embeddings;
mod error;
mod export;
mod gate;
mod health;
mod keys;
mod ledger;
mod linger;
mod logs;
mod metered;
mod metrics;
mod models;
mod pipeline;
mod plans;
mod plugins;
mod receipts;
mod request_id;
mod rollups;
mod router;
mod scale;
mod search;
mod serve;
mod settings;
mod state;
mod tasks;
mod tenants;
mod uploads;
mod usage;

pub use gate::Gate;
pub use request_id::Follow;
pub use router::{openapi, router};
pub use serve::{ServeOptions, Serving, serve, tls};
pub use state::MetricsAccess;
pub use tasks::Tasks;
