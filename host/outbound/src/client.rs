//! The HTTP client of every request of this crate.

use std::{error::Error as _, time::Duration};

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

/// The error and its causes, for the log. Without the URL, which may contain a secret.
pub(crate) fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
