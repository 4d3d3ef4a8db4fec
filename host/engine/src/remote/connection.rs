//! HTTP to the servers.

use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use riad_core::{Error, Result, Secret, error::with_causes};
use serde::Serialize;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Of a server that says nothing, before its first token and between two.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(120);
/// Of loading or unloading an adapter.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);
const SHORT_TIMEOUT: Duration = Duration::from_secs(5);
/// After which an idle connection is not used again: vLLM closes it after 5 seconds, and a request must not meet that.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Between the last event of an answer and the end of its body.
const REST_TIMEOUT: Duration = Duration::from_secs(1);
/// Of a refusal that goes into the log.
const REFUSAL_BYTES: usize = 1000;
/// Of a list of models: some hundred bytes for each adapter.
pub(super) const LIST_BYTES: usize = 4 << 20;

#[derive(Clone)]
pub(super) struct Connection {
    client: Client,
    key: Option<Secret<String>>,
}

/// Why a server gave no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It could not be reached, or broke off.
    Unreachable(String),
    /// It answered with a status that says no, and these words.
    Refused(StatusCode, String),
}

impl Failure {
    pub fn words(self) -> String {
        match self {
            Self::Unreachable(why) => why,
            Self::Refused(status, body) => format!("it answers with status {status}: {body}"),
        }
    }
}

impl Connection {
    /// Connects only to what the operator configured: no redirects, no proxy from the environment.
    pub fn open(key: Option<Secret<String>>) -> Result<Self> {
        let client = Client::builder()
            .user_agent(concat!("riad/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build()
            .map_err(Error::internal)?;
        Ok(Self { client, key })
    }

    pub async fn post(&self, url: &Url, body: &impl Serialize) -> Result<Response, Failure> {
        self.send(self.client.post(url.clone()).json(body)).await
    }

    /// For what a server does at once, such as loading an adapter.
    pub async fn tell(&self, url: &Url, body: &impl Serialize) -> Result<(), Failure> {
        let request = self.client.post(url.clone()).json(body).timeout(LOAD_TIMEOUT);
        self.send(request).await.map(drop)
    }

    /// A short answer.
    pub async fn get(&self, url: &Url) -> Result<Vec<u8>, Failure> {
        let response = self.send(self.client.get(url.clone()).timeout(SHORT_TIMEOUT)).await?;
        read(response, LIST_BYTES).await.map_err(describe)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let request = match &self.key {
            Some(key) => request.bearer_auth(key.reveal()),
            None => request,
        };
        let response = request.send().await.map_err(describe)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = read(response, REFUSAL_BYTES).await.unwrap_or_default();
        let body = String::from_utf8_lossy(&body).replace(char::is_control, " ");
        Err(Failure::Refused(status, body))
    }
}

async fn read(mut response: Response, most: usize) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        body.extend_from_slice(piece.get(..most - body.len()).unwrap_or(&piece));
        if body.len() == most {
            break;
        }
    }
    Ok(body)
}

/// Reads the end of an answer that nobody waits for: its connection serves the next request only if nothing is left in it.
pub(super) fn read_rest(mut response: Response) {
    tokio::spawn(async move {
        let rest = async { while let Ok(Some(_)) = response.chunk().await {} };
        let _ = tokio::time::timeout(REST_TIMEOUT, rest).await;
    });
}

/// The error and its causes, without the URL.
pub(super) fn describe(error: reqwest::Error) -> Failure {
    Failure::Unreachable(with_causes(&error.without_url()))
}
