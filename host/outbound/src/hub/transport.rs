//! Requests to the hub and to the hosts that it redirects to. The token goes to the hub only.

use super::{
    config::HubConfig,
    failure::{Answer, Failure},
    model::HubModel,
};
use crate::client;
use reqwest::{Method, Response, StatusCode, Url, header};
use riad_core::Secret;

const REDIRECTS_MAX: usize = 10;

pub(super) struct Transport {
    client: reqwest::Client,
    endpoint: Url,
    token: Option<Secret<String>>,
}

/// Which redirects are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// To the host that stores the file.
    All,
    /// Within the hub: the answer that redirects elsewhere describes the file.
    Hub,
}

impl Transport {
    pub(super) fn open(config: &HubConfig) -> Result<Self, Failure> {
        if config.token.is_some() && config.endpoint.scheme() == "http" && !is_loopback(&config.endpoint) {
            tracing::warn!("HF_ENDPOINT is not https://: anybody on the network path to it can read the token");
        }
        let client = client::open_for_downloads(!is_loopback(&config.endpoint)).map_err(|error| {
            Failure::refused(format!(
                "no connection to the hub can be opened: {}; install the system's root certificates (ca-certificates)",
                client::describe(error)
            ))
        })?;
        Ok(Self {
            client,
            endpoint: config.endpoint.clone(),
            token: config.token.clone(),
        })
    }

    /// For messages.
    pub(super) fn endpoint(&self) -> &str {
        self.endpoint.as_str().trim_end_matches('/')
    }

    /// What the hub knows of a revision, with the size and digest of each file.
    pub(super) async fn info(&self, model: &HubModel) -> Result<Response, Failure> {
        let mut url = self.url(&[
            "api",
            "models",
            model.owner(),
            model.name(),
            "revision",
            model.revision(),
        ])?;
        url.set_query(Some("blobs=true"));
        let response = self.send(Method::GET, url, None, Follow::All).await?;
        self.check(response, model, None)
    }

    /// The headers that describe a file.
    pub(super) async fn head(&self, model: &HubModel, commit: &str, file: &str) -> Result<Response, Failure> {
        let url = self.file(model, commit, file)?;
        let response = self.send(Method::HEAD, url, None, Follow::Hub).await?;
        match response.status().is_redirection() {
            true => Ok(response),
            false => self.check(response, model, Some(file)),
        }
    }

    /// A file from this byte on. A server without ranges sends all of it, with status 200.
    pub(super) async fn get(&self, model: &HubModel, commit: &str, file: &str, from: u64) -> Result<Response, Failure> {
        let url = self.file(model, commit, file)?;
        let response = self
            .send(Method::GET, url, (from > 0).then_some(from), Follow::All)
            .await?;
        match response.status() {
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => Ok(response),
            _ => self.check(response, model, Some(file)),
        }
    }

    fn file(&self, model: &HubModel, commit: &str, file: &str) -> Result<Url, Failure> {
        self.url(&[model.owner(), model.name(), "resolve", commit, file])
    }

    /// Each part is escaped, `/` too.
    fn url(&self, parts: &[&str]) -> Result<Url, Failure> {
        let mut url = self.endpoint.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::refused("HF_ENDPOINT has no path; it must be a URL like https://huggingface.co"))?
            .pop_if_empty()
            .extend(parts);
        Ok(url)
    }

    async fn send(&self, method: Method, mut url: Url, from: Option<u64>, follow: Follow) -> Result<Response, Failure> {
        for _ in 0..=REDIRECTS_MAX {
            let mut request = self
                .client
                .request(method.clone(), url.clone())
                .header(header::ACCEPT_ENCODING, "identity");
            if let Some(token) = self.token.as_ref().filter(|_| self.is_of_hub(&url)) {
                request = request.bearer_auth(token.reveal());
            }
            if let Some(from) = from {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            let response = request.send().await.map_err(Failure::request)?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let next = target(&response, &url)?;
            if follow == Follow::Hub && !self.is_of_hub(&next) {
                return Ok(response);
            }
            url = next;
        }
        Err(Failure::Unreachable(format!(
            "it redirects more than {REDIRECTS_MAX} times"
        )))
    }

    fn check(&self, response: Response, model: &HubModel, file: Option<&str>) -> Result<Response, Failure> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if !self.is_of_hub(response.url()) {
            // The address that the hub gave may have expired; the next attempt gets another.
            let host = response.url().host_str().unwrap_or_default();
            return Err(Failure::Unreachable(format!("{host} answers with status {status}")));
        }
        let answer = Answer {
            model,
            endpoint: self.endpoint(),
            has_token: self.token.is_some(),
            file,
        };
        Err(answer.failure(status, response.headers()))
    }

    fn is_of_hub(&self, url: &Url) -> bool {
        url.origin() == self.endpoint.origin()
    }
}

fn target(response: &Response, from: &Url) -> Result<Url, Failure> {
    let location = response.headers().get(header::LOCATION);
    let next = location
        .and_then(|location| location.to_str().ok())
        .and_then(|location| from.join(location).ok());
    let next = next.ok_or_else(|| Failure::Unreachable("it redirects to nowhere".to_owned()))?;
    match (from.scheme(), next.scheme()) {
        ("https", "https") | ("http", "http" | "https") => Ok(next),
        (from, next) => Err(Failure::refused(format!(
            "the hub redirects from {from} to {next}, which is not followed; check HF_ENDPOINT"
        ))),
    }
}

/// Whether a URL stays on this machine, so that what it carries needs no TLS.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
