//! HTTP: OpenAI's wire format where it has one, JSON resources of our own where it has none, and the operator's endpoints.
//!
//! One resource, one file: its handlers with their OpenAPI; their JSON is in `riad-api-types`. `router` is the table of contents:
//! every route with its layers. Handlers convert and call `riad-services`; no rule lives here.

mod adapters;
mod anthropic;
mod audit;
mod auth;
mod body;
mod chat;
mod completions;
mod content_encoding;
mod cors;
mod documents;
mod drain_body;
mod drain_signal;
mod embeddings;
mod error;
mod export;
mod file_name;
mod file_parts;
mod file_uploads;
mod files;
mod form;
mod health;
mod idempotency;
mod keys;
mod ledger;
mod lifecycle;
mod logs;
mod memory;
mod messages;
mod metrics;
mod middleware;
mod models;
mod moves;
pub mod pages;
mod pipeline;
mod plans;
mod plugins;
mod query;
mod ranking;
mod rate_headers;
mod receipts;
pub mod reload;
mod request_id;
mod responses;
mod rollups;
mod router;
mod scale;
mod search;
mod serve;
mod settings;
mod sse;
mod state;
mod tasks;
mod tenants;
mod tokens;
mod tools;
mod unsupported;
mod uploads;
mod usage;
mod vector_stores;

pub use auth::MetricsAccess;
pub use cors::AllowedOrigins;
#[doc(hidden)]
pub use documents::fuzzing;
pub use lifecycle::Lifecycle;
pub use request_id::SetSpanParent;
pub use responses::stage_messages;
pub use router::{openapi, router, router_with_pages};
pub use serve::{ServeOptions, Serving, listen, serve, tls};
pub use tasks::Tasks;
