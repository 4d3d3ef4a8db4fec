//! How every request of this crate is made. Not here: what is asked.

use std::{error::Error as _, time::Duration};

/// A client whose requests end after `limit`, the body included. It goes to the address that the operator configured and to
/// no other: no redirects, and no proxy that happens to stand in the environment.
pub(crate) fn open(limit: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .user_agent(concat!("riad/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .timeout(limit)
        .build()
}

/// What went wrong and why, for the log. Without the address, which may have a secret in it.
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
