//! Everything that Riad asks or tells other servers over HTTP: the keys of an identity provider, and webhooks.
//! Not here: what a verified token opens (`TenantPass` in core), when a budget's threshold is passed (`services`), and
//! telemetry, which has a crate of its own.
//!
//! No client here follows redirects, reads a proxy from the environment, or waits without a limit.

mod client;
mod tokens;
mod webhooks;

pub use tokens::{IdentityConfig, IdentityTokens, KeyTimes};
pub use webhooks::HttpWebhooks;
