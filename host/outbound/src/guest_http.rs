//! Requests of tenants' plugins to hosts that were granted to them. What a plugin writes is untrusted: the URL must be granted, the address
//! behind its name is checked and is the one that is connected to, nothing is followed, and size, time and rates have limits.
//! Not here: who has granted what (`services`), and how many requests one chat may make (`riad-sandbox`).

mod address;
mod admission;
mod request;
mod resolver;

pub use address::is_public;
use admission::Admission;
use request::CheckedRequest;
use resolver::{CheckedResolver, PrivateAddress};

use crate::client;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use riad_core::{
    Account, Limits,
    http_grants::HostPattern,
    ports::{HttpFailure, HttpRequest, HttpResponse, OutboundHttp},
};
use std::{
    error::Error as _,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;

pub use resolver::{LookUp, SystemLookUp};

/// Bytes of all header names and values of an answer. The HTTP library has a larger bound of its own.
const RESPONSE_HEADER_BYTES: usize = 64 << 10;

/// Sends plugins' requests, each on a connection of its own.
pub struct GuestHttp {
    resolver: Arc<CheckedResolver>,
    /// Made at the first request: a server whose plugins send none must start on a machine without root certificates.
    client: Mutex<Option<reqwest::Client>>,
    admission: Admission,
    longest: Duration,
    response_bytes: u64,
}

impl GuestHttp {
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self::with_addresses(limits, Arc::new(SystemLookUp), is_public)
    }

    /// As `new`, with names looked up by `look_up`, and connecting to the addresses that `permits` allows. For tests, whose servers have
    /// private addresses.
    #[doc(hidden)]
    #[must_use]
    pub fn with_addresses(limits: &Limits, look_up: Arc<dyn LookUp>, permits: fn(IpAddr) -> bool) -> Self {
        Self {
            resolver: Arc::new(CheckedResolver::new(look_up, permits)),
            client: Mutex::default(),
            admission: Admission::new(limits),
            longest: Duration::from_millis(limits.http_ms),
            response_bytes: limits.http_response_bytes,
        }
    }

    fn client(&self) -> Result<reqwest::Client, HttpFailure> {
        let mut client = self.client.lock();
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let opened = client::open_for_guests(self.longest, Arc::clone(&self.resolver)).map_err(|error| {
            tracing::error!(%error, "a plugin's request is not sent: no HTTP client");
            HttpFailure::Failed("this server cannot send requests".to_owned())
        })?;
        Ok(client.insert(opened).clone())
    }

    async fn exchange(&self, request: CheckedRequest) -> Result<HttpResponse, HttpFailure> {
        let client = self.client()?;
        let sent = client
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.body)
            .send()
            .await
            .map_err(explain)?;
        let status = sent.status().as_u16();
        let headers = read_headers(sent.headers())?;
        let body = self.read_body(sent).await?;
        Ok(HttpResponse { status, headers, body })
    }

    async fn read_body(&self, mut response: reqwest::Response) -> Result<Bytes, HttpFailure> {
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(explain)? {
            if (body.len() as u64).saturating_add(piece.len() as u64) > self.response_bytes {
                return Err(HttpFailure::LimitExceeded(format!(
                    "the answer has more than {} bytes (limits.http_response_bytes)",
                    self.response_bytes
                )));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }
}

#[async_trait]
impl OutboundHttp for GuestHttp {
    async fn send(
        &self,
        account: Account,
        granted: &[HostPattern],
        request: HttpRequest,
    ) -> Result<HttpResponse, HttpFailure> {
        let request = request::check(request, granted, self.resolver.permits())?;
        let begun = Instant::now();
        let _permit = self.admission.admit(account, begun)?;
        let host = request.host.clone();
        let (method, request_bytes) = (request.method.clone(), request.body.len());
        let outcome = timeout(self.longest, self.exchange(request))
            .await
            .unwrap_or(Err(HttpFailure::TimedOut));
        let ms = begun.elapsed().as_millis();
        match &outcome {
            Ok(answer) => tracing::info!(
                %account,
                host,
                %method,
                status = answer.status,
                request_bytes,
                response_bytes = answer.body.len(),
                ms,
                "a plugin's request was answered"
            ),
            Err(failure) => tracing::info!(
                %account,
                host,
                %method,
                request_bytes,
                failure = kind(failure),
                ms,
                "a plugin's request had no answer"
            ),
        }
        outcome
    }
}

/// The names of those that are text, with their values.
fn read_headers(headers: &reqwest::header::HeaderMap) -> Result<Vec<(String, String)>, HttpFailure> {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if bytes > RESPONSE_HEADER_BYTES {
        return Err(HttpFailure::LimitExceeded(format!(
            "the answer's headers have more than {RESPONSE_HEADER_BYTES} bytes"
        )));
    }
    let text = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    Ok(headers.iter().filter_map(text).collect())
}

/// What the plugin's author reads. Addresses and causes stay in the log: they would show the server's network.
fn explain(error: reqwest::Error) -> HttpFailure {
    if error.is_timeout() {
        return HttpFailure::TimedOut;
    }
    let mut cause = error.source();
    while let Some(found) = cause {
        if found.is::<PrivateAddress>() {
            return private();
        }
        cause = found.source();
    }
    let text = match error.is_connect() {
        true => "no connection to the host could be made",
        false => "the host did not answer as HTTP does",
    };
    tracing::debug!(error = client::describe(error), "a plugin's request failed");
    HttpFailure::Failed(text.to_owned())
}

fn private() -> HttpFailure {
    HttpFailure::Failed("the host has no public address; private ones are not reached, whatever is granted".to_owned())
}

fn kind(failure: &HttpFailure) -> &'static str {
    match failure {
        HttpFailure::InvalidArgument(_) => "invalid argument",
        HttpFailure::NotGranted(_) => "not granted",
        HttpFailure::Failed(_) => "failed",
        HttpFailure::TimedOut => "timed out",
        HttpFailure::LimitExceeded(_) => "limit exceeded",
    }
}
