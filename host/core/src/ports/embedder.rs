//! The embedding model.

use crate::Result;

/// Identifies the model that made a vector. Vectors of different spaces must never be mixed in one index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingSpace {
    /// The model's name with its digest, so that two models of one kind differ.
    pub model: String,
    pub dimensions: usize,
}

/// What a text is embedded as. Some models put another prompt before a query than before what is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextRole {
    Query,
    /// What queries search.
    Passage,
    /// Whoever asked did not say.
    Unknown,
}

pub trait Embedder: Send + Sync {
    fn space(&self) -> &EmbeddingSpace;

    /// The model's name in the API.
    fn name(&self) -> &str {
        &self.space().model
    }

    /// Weight of this embedder's list in the rank fusion, where BM25 has 1. A property of the model, to be measured.
    fn fusion_weight(&self) -> f32;

    /// The text that these tokens of the model's vocabulary stand for. `None` if one of them is not in it.
    fn text_of(&self, _tokens: &[u32]) -> Option<String> {
        None
    }

    /// Bytes of text that one call may have. A longer text is a call of its own. They bound how long a call keeps its processor.
    fn call_bytes(&self) -> usize;

    /// The most tokens that are read of a text of so many bytes.
    fn most_tokens(&self, bytes: usize) -> u64;

    /// Whether a call waits for another server instead of keeping a processor busy.
    fn waits(&self) -> bool {
        false
    }

    /// Unit vectors in the order of the texts, and the number of tokens read. Also a text without a known token has one. A text that is
    /// longer than the model reads is cut; another server may refuse it.
    /// Keeps its thread until it returns, and uses no other one.
    fn embed(&self, texts: &[String], role: TextRole) -> Result<(Vec<Vec<f32>>, u32)>;

    /// Tokens read since the process began.
    fn counted(&self) -> u64;
}
