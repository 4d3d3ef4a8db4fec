//! The bounds of a listener.

use super::tls::Tls;
use riad_core::Limits;
use std::{sync::Arc, time::Duration};

/// Time for which a client may read nothing of what it has asked for.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for which a client that has shown no key may be silent between requests.
const ANONYMOUS_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The bounds of a listener.
#[derive(Clone)]
pub struct ServeOptions {
    /// Connections that are open at the same time. For more, those that are idle are closed; if none is, more wait.
    pub max_connections: usize,
    /// Connections that are open from one address, of IPv6 from one /64 network. For more, its idle ones are closed; if none is, more are
    /// refused.
    pub max_connections_per_address: usize,
    /// Bytes of a request's head; at least 8192.
    pub max_header_bytes: usize,
    /// Time for a request's head to arrive, and for a TLS handshake to end.
    pub header_timeout: Duration,
    /// Time for a request's body to arrive, from the moment when the handler begins to read it.
    pub body_timeout: Duration,
    /// Time for which a client may read nothing while all of its answers wait for that.
    pub read_timeout: Duration,
    /// Time without a request after which a connection is closed that had no authenticated request.
    pub anonymous_idle_timeout: Duration,
    /// Without it, plain HTTP.
    pub tls: Option<Arc<Tls>>,
}

impl ServeOptions {
    #[must_use]
    pub fn new(limits: &Limits, tls: Option<Arc<Tls>>) -> Self {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            max_connections: size(limits.connections.into()),
            max_connections_per_address: size(limits.connections_per_address.into()),
            // What hyper needs at least; it panics with less.
            max_header_bytes: size(limits.header_bytes).max(8192),
            header_timeout: Duration::from_millis(limits.header_ms),
            body_timeout: Duration::from_millis(limits.body_ms),
            read_timeout: READ_TIMEOUT,
            anonymous_idle_timeout: ANONYMOUS_IDLE_TIMEOUT,
            tls,
        }
    }
}
