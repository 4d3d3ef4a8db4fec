//! HTTP: OpenAI's wire format where it has one, JSON resources of our own where it has none, and the operator's doors.
//!
//! One resource, one file: handlers, wire types and their OpenAPI together; `router` is the table of contents. Handlers
//! convert and call `riad-services`; no rule lives here. Not here: SQL, wasmtime, models, the process (`app`).

mod adapters;
mod auth;
mod body;
mod chat;
mod documents;
mod embeddings;
mod error;
mod health;
mod keys;
mod linger;
mod logs;
mod models;
mod pipeline;
mod plugins;
mod receipt;
mod request_id;
mod router;
mod search;
mod settings;
mod state;
mod tenants;

pub use router::{openapi, router};
pub use state::Readiness;

use axum::{Router, serve::ListenerExt};
use std::{future::Future, io};
use tokio::net::TcpListener;

/// Serves until `shutdown` is ready, then accepts nothing new and returns when the last request has ended.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    // Streams are small packets that somebody waits for.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection stays with Nagle's algorithm");
        }
    });
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}
