//! Texts to vectors, metered. Not here: the models (`engine`), and what documents are embedded as (`documents`).

use crate::shared::Shared;
use riad_core::{Error, ErrorKind, Result, TenantPass, ports::Used};
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
}

pub struct EmbeddingService(pub(crate) Arc<Shared>);

impl EmbeddingService {
    /// # Errors
    /// `ModelNotFound` for any model but the server's embedder, `InvalidRequest` for no, too many or empty texts.
    pub async fn embed(&self, pass: &TenantPass, request: EmbeddingRequest) -> Result<Embeddings> {
        let model = &self.0.embedder.space().model;
        if request.model != *model {
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
        let (vectors, tokens) = embed(&self.0, pass, request.input, 1).await?;
        Ok(Embeddings {
            model: model.clone(),
            vectors,
            tokens,
        })
    }

    /// The dimensions of every vector.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.0.embedder.space().dimensions
    }
}

/// Embeds and meters. `requests` is 1 where the embedding is what the tenant asked for, 0 where it is part of something
/// else. Runs to its end when the caller goes away, so that what was read is settled.
pub(crate) async fn embed(
    shared: &Arc<Shared>,
    pass: &TenantPass,
    texts: Vec<String>,
    requests: u64,
) -> Result<(Vec<Vec<f32>>, u32)> {
    // A token has at least one byte.
    let at_most = texts
        .iter()
        .map(|text| text.len() as u64 + MARKERS_PER_TEXT)
        .sum::<u64>();
    let used = move |embedded_tokens| Used {
        requests,
        embedded_tokens,
        ..Used::default()
    };
    let reservation = shared.meter.reserve(pass, used(at_most))?;
    let (embedder, expected) = (Arc::clone(&shared.embedder), texts.len());
    let (vectors, tokens) = tokio::spawn(async move {
        let result = embedder.embed(texts).await;
        reservation.settle(used(result.as_ref().map_or(0, |(_, tokens)| u64::from(*tokens))));
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
