//! Requests to other servers over HTTP: the keys of an identity provider, and webhooks. Not here: what a verified token
//! permits (`TenantPass` in core), when a webhook is due (`services`), and telemetry, which has a crate of its own.
//!
//! No client here follows redirects, reads a proxy from the environment, or waits without a timeout.

mod client;
mod tokens;
mod webhooks;

#[doc(hidden)]
pub use tokens::fuzzing;
pub use tokens::{IdentityConfig, IdentityTokens, KeyRefresh};
pub use webhooks::HttpWebhooks;
