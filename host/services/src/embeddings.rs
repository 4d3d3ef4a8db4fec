//! Texts to vectors, metered. Not here: the models (`engine`), and what documents are embedded as (`documents`).

use crate::{metering::UsageHandle, shared::Shared};
use riad_core::{
    Error, ErrorKind, Result, TenantPass,
    grants::{Access, Scope},
    ledger::{Kind, Purpose},
    price::Usage,
    receipt::SignedReceipt,
};
use std::sync::Arc;

/// Tokens that an embedding model may add to each text (begin and end).
const MARKERS_PER_TEXT: u64 = 2;

pub struct EmbeddingRequest {
    pub model: String,
    pub input: Vec<String>,
}

pub struct Embeddings {
    pub model: String,
    /// In the order of the input, all of the same length.
    pub vectors: Vec<Vec<f32>>,
    pub tokens: u32,
    pub receipt: SignedReceipt,
}

pub struct EmbeddingService(pub(crate) Arc<Shared>);

impl EmbeddingService {
    /// # Errors
    /// `ModelNotFound` for any model but the server's embedder, `InvalidRequest` for no, too many or empty texts; `Forbidden`,
    /// `Busy` and `QuotaExceeded` as for a chat.
    pub async fn embed(&self, pass: &TenantPass, request: EmbeddingRequest) -> Result<Embeddings> {
        pass.require(Scope::Chat, Access::Write)?;
        let model = self.0.embedder.name();
        if request.model != model {
            return Err(Error::new(
                ErrorKind::ModelNotFound,
                format!(
                    "there is no embedding model {:?}; this server has {model:?}",
                    request.model
                ),
            )
            .with_param("model"));
        }
        let most = self.0.limits.embedding_inputs;
        if request.input.is_empty() || request.input.len() > most as usize {
            return Err(Error::invalid(format!("input must have 1 to {most} texts")).with_param("input"));
        }
        if let Some(index) = request.input.iter().position(String::is_empty) {
            return Err(Error::invalid("a text to embed must not be empty").with_param(format!("input[{index}]")));
        }
        let meter = self.0.metering.admit(pass, purpose(&self.0, Kind::Embedding)).await?;
        let embedded = embed(&self.0, meter.handle(), request.input, 1).await;
        let (vectors, tokens) = meter.record_engine_result(embedded)?;
        Ok(Embeddings {
            model: model.to_owned(),
            vectors,
            tokens,
            receipt: meter.settle().await?,
        })
    }

    /// The dimensions of every vector.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.0.embedder.space().dimensions
    }
}

/// The purpose of a request that only embeds.
pub(crate) fn purpose(shared: &Shared, kind: Kind) -> Purpose {
    Purpose {
        kind,
        model: shared.embedder.name().to_owned(),
        adapter: None,
        plugin: String::new(),
    }
}

/// Holds the tokens, embeds, and reports to `usage`. `requests` is 1 where the embedding is what the tenant asked for, 0 where it
/// is part of something else.
pub(crate) async fn embed(
    shared: &Shared,
    usage: UsageHandle,
    texts: Vec<String>,
    requests: u64,
) -> Result<(Vec<Vec<f32>>, u32)> {
    let most = Usage {
        requests,
        ..at_most(texts.iter().map(String::len))
    };
    usage.hold(most).await?;
    run(shared, usage, texts, most).await
}

/// The most that embedding texts of these lengths in bytes may use.
pub(crate) fn at_most(lengths: impl Iterator<Item = usize>) -> Usage {
    // A token has at least one byte.
    let tokens = lengths.fold(0_u64, |sum, bytes| {
        sum.saturating_add(bytes as u64).saturating_add(MARKERS_PER_TEXT)
    });
    Usage {
        embedded_tokens: tokens,
        ..Usage::default()
    }
}

/// Embeds texts for which `most` is held. Runs to its end even if the caller disconnects, so that the tokens are billed.
pub(crate) async fn run(
    shared: &Shared,
    usage: UsageHandle,
    texts: Vec<String>,
    most: Usage,
) -> Result<(Vec<Vec<f32>>, u32)> {
    let (embedder, expected) = (Arc::clone(&shared.embedder), texts.len());
    let (vectors, tokens) = tokio::spawn(async move {
        let result = embedder.embed(texts).await;
        let used = match &result {
            Ok((_, tokens)) => Usage {
                requests: most.requests,
                embedded_tokens: u64::from(*tokens),
                ..Usage::default()
            },
            Err(_) => Usage::default(),
        };
        usage.report(used, most);
        result
    })
    .await
    .map_err(Error::internal)??;
    if vectors.len() != expected {
        return Err(Error::internal(format!(
            "the embedder gave {} vectors for {expected} texts",
            vectors.len()
        )));
    }
    Ok((vectors, tokens))
}
