//! Requests to other servers over HTTP: the keys of an identity provider, webhooks, and models of a hub. Not here: what a verified token
//! permits (`TenantPass` in core), when a webhook is due (`services`), and telemetry, which has a crate of its own.
//!
//! No client here follows redirects by itself, or waits without a timeout. Only downloads from a hub go through a proxy that the
//! environment names.

mod client;
mod hub;
mod tokens;
mod webhooks;

pub use hub::{Hub, HubConfig, HubModel, is_loopback};
#[doc(hidden)]
pub use tokens::fuzzing;
pub use tokens::{IdentityConfig, IdentityTokens, KeyRefresh};
pub use webhooks::HttpWebhooks;
