//! The embedding model and the reranker by their files.

use crate::{
    commands::check::Check,
    config::{self, Config, EmbeddingSource},
};
use riad_core::Result;
use riad_embeddings::ModelFiles;
use riad_engine::memory::size;

const EMBEDDER: &str = "embedding model";
const RERANKER: &str = "reranking model";

pub struct SearchModels {
    embedder: Result<Found>,
    /// `None` if none is configured.
    reranker: Option<Result<Found>>,
}

enum Found {
    Files(ModelFiles),
    /// Of another server, which is not asked.
    Remote(String),
}

impl SearchModels {
    pub fn open(config: &Config) -> Self {
        let source = config::embedding_source(&config.embeddings, None);
        let reranker = config.search.rerank_model.as_deref();
        Self {
            embedder: source.and_then(|source| match source {
                EmbeddingSource::Folder(folder) => riad_embeddings::check(&folder).map(Found::Files),
                EmbeddingSource::Remote(remote) => remote.describe().map(Found::Remote),
            }),
            reranker: reranker.map(|folder| riad_embeddings::check_reranker(folder).map(Found::Files)),
        }
    }

    /// In memory, of those that are well.
    pub fn bytes(&self) -> Option<u64> {
        let embedder = self.embedder.as_ref().ok()?.bytes();
        let reranker = self.reranker.as_ref().and_then(|reranker| reranker.as_ref().ok());
        Some(embedder.saturating_add(reranker.map_or(0, Found::bytes)))
    }

    pub fn checks(&self) -> Vec<Check> {
        let embedder = check(EMBEDDER, &self.embedder);
        let reranker = self.reranker.as_ref().map(|reranker| check(RERANKER, reranker));
        [Some(embedder), reranker].into_iter().flatten().collect()
    }
}

impl Found {
    fn bytes(&self) -> u64 {
        match self {
            Self::Files(files) => files.bytes,
            Self::Remote(_) => 0,
        }
    }
}

fn check(name: &'static str, found: &Result<Found>) -> Check {
    match found {
        Ok(Found::Remote(model)) => Check::ok(name, format!("{model}, which this check does not ask")),
        Ok(Found::Files(files)) => Check::ok(name, format!("{}, {} in memory", files.kind, size(files.bytes))),
        Err(error) => Check::fail(name, error.message()),
    }
}
