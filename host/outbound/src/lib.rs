//! Requests to other servers over HTTP: the keys of an identity provider, webhooks, models of a hub, texts for an embedding server, and what tenants' plugins ask. Not here: what a verified token
//! permits (`TenantPass` in core), when a webhook is due (`services`), and telemetry, which has a crate of its own.
//!
//! No client here follows redirects by itself, or waits without a timeout. Only downloads from a hub go through a proxy that the
//! environment names.

mod client;
mod guest_http;
mod hub;
mod remote_embedder;
mod tokens;
mod webhooks;

pub use guest_http::{GuestHttp, LookUp, SystemLookUp, is_public};
pub use hub::{Hub, HubConfig, HubModel, is_loopback};
pub use remote_embedder::{RemoteEmbedder, RemoteEmbedderConfig};
#[doc(hidden)]
pub use tokens::fuzzing;
pub use tokens::{IdentityConfig, IdentityTokens, KeyRefresh};
pub use webhooks::HttpWebhooks;
