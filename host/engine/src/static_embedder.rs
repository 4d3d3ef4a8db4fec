//! The `static` embedder: a Model2Vec table from a local folder. Small and quick; weaker than BM25 on its own, hence its
//! weight in the fusion. Not here: chunking, the index.

use async_trait::async_trait;
use model2vec_rs::model::StaticModel;
use riad_core::{
    Error, ErrorKind, Result,
    ports::{Embedder, EmbeddingSpace},
};
use std::{path::Path, sync::Arc};

/// Measured on three sets of technical English (`host/models/embed/REPORT.md`): with equal weight the fusion finds less
/// than BM25 alone, with this one more.
const FUSION_WEIGHT: f32 = 0.3;

pub struct StaticEmbedder {
    model: Arc<StaticModel>,
    space: EmbeddingSpace,
}

impl StaticEmbedder {
    /// Reads `model.safetensors`, `tokenizer.json` and `config.json` of a Model2Vec folder. The model's name in the API is
    /// `static-` and its number of dimensions.
    ///
    /// # Errors
    /// `InvalidRequest` when the folder is not a Model2Vec model.
    pub fn open(folder: &Path) -> Result<Self> {
        let model = StaticModel::from_pretrained(folder, None, Some(true), None).map_err(|e| {
            Error::invalid(format!(
                "embeddings.model: {} is not a Model2Vec folder: {e}",
                folder.display()
            ))
            .with_param("embeddings.model")
        })?;
        let dimensions = model.dim();
        let space = EmbeddingSpace {
            model: format!("static-{dimensions}"),
            dimensions,
        };
        Ok(Self {
            model: Arc::new(model),
            space,
        })
    }
}

#[async_trait]
impl Embedder for StaticEmbedder {
    fn space(&self) -> &EmbeddingSpace {
        &self.space
    }

    fn fusion_weight(&self) -> f32 {
        FUSION_WEIGHT
    }

    async fn embed(&self, texts: Vec<String>) -> Result<(Vec<Vec<f32>>, u32)> {
        let model = self.model.clone();
        tokio::task::spawn_blocking(move || {
            // The table has no notion of a token budget: words are what was read.
            let tokens = texts.iter().map(|text| text.split_whitespace().count()).sum::<usize>();
            // No length limit: a chunk is short, and a query must not be cut silently.
            let vectors = model.encode_with_args(&texts, None, 1024);
            (vectors, u32::try_from(tokens).unwrap_or(u32::MAX))
        })
        .await
        .map_err(|e| Error::new(ErrorKind::Internal, "embedding failed").with_source(e))
    }
}
