//! Texts to vectors.

use crate::Result;
use async_trait::async_trait;

/// Names what made a vector. Vectors of different spaces must never meet in one index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingSpace {
    /// The model and what tells it from others of the same kind.
    pub model: String,
    pub dimensions: usize,
}

#[async_trait]
pub trait Embedder: Send + Sync {
    fn space(&self) -> &EmbeddingSpace;

    /// The model's name in the API.
    fn name(&self) -> &str {
        &self.space().model
    }

    /// Weight of this embedder's list in the rank fusion, where BM25 has 1. Belongs to the model: measure it.
    fn fusion_weight(&self) -> f32;

    /// Unit vectors in the order of the texts, and the tokens that were read. A text without a known token gives zeros.
    /// Takes processor time; more than a sentence or two runs off the async threads. A caller that goes away may waste one batch.
    async fn embed(&self, texts: Vec<String>) -> Result<(Vec<Vec<f32>>, u32)>;

    /// Tokens that it has read since the process began.
    fn counted(&self) -> u64;
}
