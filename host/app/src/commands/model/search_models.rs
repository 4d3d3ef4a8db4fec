//! The embedding model and the reranker by their files.

use crate::{
    commands::check::Check,
    config::{self, Config},
};
use riad_core::Result;
use riad_embeddings::ModelFiles;
use riad_engine::memory::size;

const EMBEDDER: &str = "embedding model";
const RERANKER: &str = "reranking model";

pub struct SearchModels {
    embedder: Result<ModelFiles>,
    /// `None` if none is configured.
    reranker: Option<Result<ModelFiles>>,
}

impl SearchModels {
    pub fn open(config: &Config) -> Self {
        let folder = match &config.embeddings.model {
            Some(folder) => Ok(folder.clone()),
            None => config::shipped_folder().map(|folder| folder.join("embed")),
        };
        let reranker = config.search.rerank_model.as_deref();
        Self {
            embedder: folder.and_then(|folder| riad_embeddings::check(&folder)),
            reranker: reranker.map(riad_embeddings::check_reranker),
        }
    }

    /// In memory, of those that are well.
    pub fn bytes(&self) -> Option<u64> {
        let embedder = self.embedder.as_ref().ok()?.bytes;
        let reranker = self.reranker.as_ref().and_then(|reranker| reranker.as_ref().ok());
        Some(embedder.saturating_add(reranker.map_or(0, |reranker| reranker.bytes)))
    }

    pub fn checks(&self) -> Vec<Check> {
        let embedder = check(EMBEDDER, &self.embedder);
        let reranker = self.reranker.as_ref().map(|reranker| check(RERANKER, reranker));
        [Some(embedder), reranker].into_iter().flatten().collect()
    }
}

fn check(name: &'static str, files: &Result<ModelFiles>) -> Check {
    match files {
        Ok(files) => Check::ok(name, format!("{}, {} in memory", files.kind, size(files.bytes))),
        Err(error) => Check::fail(name, error.message()),
    }
}
