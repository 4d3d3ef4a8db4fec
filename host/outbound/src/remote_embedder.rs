//! Texts to vectors by another server that speaks OpenAI's `POST /embeddings`. Not here: who waits for whom (`services`), and the models
//! that this process runs (`embeddings`).

mod answer;
mod config;

pub use config::RemoteEmbedderConfig;

use crate::client;
use answer::Answer;
use config::Address;
use reqwest::{Response, StatusCode, header};
use riad_core::{
    Error, ErrorKind, Result, Secret,
    ports::{Embedder, EmbeddingSpace, TextRole},
};
use serde::Serialize;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::runtime::Handle;

/// Of one request to the server.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Before the second try of a request that the server did not get or could not answer.
const PAUSE: Duration = Duration::from_millis(500);
/// After which a client may ask again, unless the server says another time.
const RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// Texts of one request. Servers differ in the most they take; OpenAI's is 2048.
const TEXTS: usize = 256;
/// About as many texts as one request takes when they are chunks of documents.
const CALL_BYTES: usize = 128 << 10;
/// Tokens that a model adds to each text, at the most.
const ADDED_TOKENS: u64 = 8;
/// Of a server's refusal that goes into the log.
const REFUSAL_BYTES: usize = 1000;

/// A model of another server.
pub struct RemoteEmbedder {
    address: Address,
    key: Option<Secret<String>>,
    space: EmbeddingSpace,
    client: reqwest::Client,
    runtime: Handle,
    counted: AtomicU64,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
}

/// Why a try gave no vectors.
enum Failure {
    /// Another try may go well.
    Passing(Error),
    Lasting(Error),
}

impl RemoteEmbedder {
    /// Asks the server nothing. Called within a tokio runtime, which sends the requests.
    ///
    /// # Errors
    /// `InvalidRequest` names the configuration key at fault.
    pub fn open(config: RemoteEmbedderConfig) -> Result<Self> {
        let address = config.address()?;
        if !address.is_confidential() {
            tracing::warn!(
                "embeddings.url is not https://: the texts of all tenants can be read on the network path to that server"
            );
        }
        Ok(Self {
            space: address.space(),
            address,
            key: config.key,
            client: client::open(TIMEOUT).map_err(Error::internal)?,
            runtime: Handle::current(),
            counted: AtomicU64::new(0),
        })
    }

    /// The vectors of at most [`TEXTS`] texts, and the tokens that the server read.
    async fn ask(&self, texts: &[String]) -> Result<(Vec<Vec<f32>>, u64)> {
        match self.try_once(texts).await {
            Ok(answer) => Ok(answer),
            Err(Failure::Lasting(error)) => Err(error),
            Err(Failure::Passing(_)) => {
                tokio::time::sleep(PAUSE).await;
                self.try_once(texts).await.map_err(|failure| match failure {
                    Failure::Passing(error) | Failure::Lasting(error) => error,
                })
            }
        }
    }

    async fn try_once(&self, texts: &[String]) -> Result<(Vec<Vec<f32>>, u64), Failure> {
        let mut request = self.client.post(self.address.url.clone()).json(&Request {
            model: &self.address.model,
            input: texts,
            encoding_format: "float",
        });
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.reveal());
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if !status.is_success() {
            return Err(refused(response).await);
        }
        let body = answer::read(response, answer::most_bytes(texts.len(), self.space.dimensions))
            .await
            .map_err(unreachable)?;
        let answer = Answer::read(&body, texts.len(), self.space.dimensions).map_err(|error| {
            Failure::Lasting(Error::internal(format!(
                "the embedding server's answer is of no use: {error}"
            )))
        })?;
        Ok((answer.vectors, answer.tokens))
    }

    fn prefix(&self, role: TextRole) -> &str {
        match role {
            TextRole::Query => &self.address.query_prefix,
            TextRole::Passage => &self.address.passage_prefix,
            TextRole::Unknown => "",
        }
    }
}

impl Embedder for RemoteEmbedder {
    fn space(&self) -> &EmbeddingSpace {
        &self.space
    }

    /// That of the other embedders that read whole sentences.
    fn fusion_weight(&self) -> f32 {
        1.0
    }

    fn call_bytes(&self) -> usize {
        CALL_BYTES
    }

    /// No tokenizer has more tokens than a text has bytes.
    fn most_tokens(&self, bytes: usize) -> u64 {
        let prefix = self.address.query_prefix.len().max(self.address.passage_prefix.len());
        (bytes.saturating_add(prefix) as u64).saturating_add(ADDED_TOKENS)
    }

    fn waits(&self) -> bool {
        true
    }

    fn embed(&self, texts: &[String], role: TextRole) -> Result<(Vec<Vec<f32>>, u32)> {
        let prefix = self.prefix(role);
        let (mut vectors, mut tokens) = (Vec::with_capacity(texts.len()), 0_u64);
        for texts in texts.chunks(TEXTS) {
            let prefixed: Vec<String> = texts.iter().map(|text| format!("{prefix}{text}")).collect();
            let (more, reported) = self.runtime.block_on(self.ask(&prefixed))?;
            vectors.extend(more);
            // No more than was held for them, whatever the server says.
            let most: u64 = texts.iter().map(|text| self.most_tokens(text.len())).sum();
            tokens = tokens.saturating_add(reported.min(most));
        }
        self.counted.fetch_add(tokens, Ordering::Relaxed);
        Ok((vectors, u32::try_from(tokens).unwrap_or(u32::MAX)))
    }

    fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }
}

fn unavailable(retry: Duration) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the embedding server does not answer now; send the request again later",
    )
    .with_retry_after(retry)
}

fn unreachable(error: reqwest::Error) -> Failure {
    let error = client::describe(error);
    tracing::warn!(error, "the embedding server does not answer");
    Failure::Passing(unavailable(RETRY))
}

/// What a status stands for. The server's own words are for the log: they may name what is no tenant's business.
async fn refused(response: Response) -> Failure {
    let status = response.status();
    let retry = retry_after(&response).unwrap_or(RETRY);
    let body = answer::read_beginning(response, REFUSAL_BYTES).await;
    tracing::warn!(%status, body, "the embedding server refuses a request");
    match status {
        StatusCode::TOO_MANY_REQUESTS => Failure::Lasting(unavailable(retry)),
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => Failure::Lasting(
            Error::invalid("the embedding model refuses a text, which may be longer than it reads; send shorter texts"),
        ),
        status if status.is_server_error() => Failure::Passing(unavailable(retry)),
        status => Failure::Lasting(Error::internal(format!(
            "the embedding server answers with status {status}; check embeddings.url, embeddings.remote_model and RIAD_EMBEDDINGS_KEY"
        ))),
    }
}

/// In seconds, as servers of models send it.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(seconds.parse().ok()?).min(LONGEST_RETRY))
}
