//! Checks of the listen address, the identity provider and the trace collector.

use crate::commands::check::Check;
use reqwest::{Client, redirect::Policy};
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpListener;

const TIMEOUT: Duration = Duration::from_secs(2);
/// A JWKS has a few kB.
const JWKS_BYTES_MAX: usize = 1 << 20;

pub(super) async fn listen(address: &str) -> Check {
    const NAME: &str = "listen address";
    match TcpListener::bind(address).await {
        Ok(_) => Check::ok(NAME, format!("{address} is free")),
        Err(error) => Check::fail(
            NAME,
            format!("{address}: {error}; stop the program that uses it, or choose another one with server.listen"),
        ),
    }
}

pub(super) async fn identity(jwks: Option<&str>) -> Option<Check> {
    const NAME: &str = "identity provider";
    let jwks = jwks?;
    let is_url = jwks.starts_with("http://") || jwks.starts_with("https://");
    let read = match is_url {
        true => fetch(jwks).await,
        false => tokio::fs::read(jwks).await.map_err(|error| error.to_string()),
    };
    Some(match read.and_then(|bytes| count_keys(&bytes)) {
        Ok(count) => Check::ok(NAME, format!("{jwks} has keys: {count}")),
        // A server starts even if the provider does not answer, and rejects its tokens.
        Err(why) if is_url => Check::warn(
            NAME,
            format!("{jwks}: {why}; the server rejects its tokens until it answers"),
        ),
        Err(why) => Check::fail(
            NAME,
            format!("auth.jwks: {jwks}: {why}; name the provider's JWKS file or URL"),
        ),
    })
}

async fn fetch(url: &str) -> Result<Vec<u8>, String> {
    let response = client()?.get(url).send().await.map_err(|error| reason(&error))?;
    let mut response = response.error_for_status().map_err(|error| reason(&error))?;
    let mut read = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| reason(&error))? {
        read.extend_from_slice(&piece);
        if read.len() > JWKS_BYTES_MAX {
            return Err("the answer is too long for a JWKS".to_owned());
        }
    }
    Ok(read)
}

fn count_keys(bytes: &[u8]) -> Result<usize, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| format!("not JSON: {error}"))?;
    match value.get("keys").and_then(Value::as_array) {
        Some(keys) if !keys.is_empty() => Ok(keys.len()),
        Some(_) | None => Err("has no `keys` (RFC 7517)".to_owned()),
    }
}

pub(super) async fn collector(endpoint: Option<&str>) -> Option<Check> {
    const NAME: &str = "trace collector";
    let endpoint = endpoint?;
    let asked = async { client()?.get(endpoint).send().await.map_err(|error| reason(&error)) };
    Some(match asked.await {
        // Any answer shows that it listens.
        Ok(_) => Check::ok(NAME, format!("{endpoint} answers")),
        Err(why) => Check::warn(
            NAME,
            format!("{endpoint}: {why}; traces are lost until it answers; requests do not wait for it"),
        ),
    })
}

fn client() -> Result<Client, String> {
    let client = Client::builder().timeout(TIMEOUT).redirect(Policy::none()).build();
    client.map_err(|error| error.to_string())
}

/// The root cause, without the URL, which may have a password in it.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} seconds", TIMEOUT.as_secs());
    }
    if let Some(status) = error.status() {
        return format!("answers {status}");
    }
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
