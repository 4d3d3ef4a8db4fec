//! The HTTP clients of this crate.

use reqwest::dns::Resolve;
use riad_core::error::with_causes;
use std::{sync::Arc, time::Duration};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// A client whose requests, bodies included, end after `timeout`. It connects only to the address that the operator
/// configured: no redirects, and no proxy from the environment.
pub(crate) fn open(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .user_agent(concat!("riad/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .timeout(timeout)
        .build()
}

/// A client for downloads, which may take hours: it ends requests only whose connection is silent. It follows no redirects by itself.
/// Through the proxy that the environment names, if it may, as all tools of Hugging Face do.
pub(crate) fn open_for_downloads(through_proxy: bool) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("riad/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(SILENCE_TIMEOUT);
    match through_proxy {
        true => builder.build(),
        false => builder.no_proxy().build(),
    }
}

/// A client for requests of tenants' plugins: a new connection for each, to the addresses that `resolver` has checked. No redirects, no proxy.
pub(crate) fn open_for_guests(
    timeout: Duration,
    resolver: Arc<impl Resolve + 'static>,
) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .user_agent(concat!("riad/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        // What plugins ask needs no more, and a connection of HTTP/2 would be shared.
        .http1_only()
        // A connection that one tenant has used is not given to another.
        .pool_max_idle_per_host(0)
        .dns_resolver(resolver)
        .timeout(timeout)
        .build()
}

/// The error and its causes, for the log. Without the URL, which may contain a secret.
pub(crate) fn describe(error: reqwest::Error) -> String {
    with_causes(&error.without_url())
}
