//! Texts to vectors, and passages by how well they answer: the `Embedder` and `Reranker` ports over Model2Vec and BERT, from local folders.
//! The folder's content decides what it is.
//!
//! Not here: chunking, indexes, HTTP, and which text is embedded when.

#[cfg(feature = "bert")]
mod bert;
#[cfg(feature = "bert")]
mod bert_embedder;
#[cfg(feature = "bert")]
mod cross_encoder;
mod folder;
mod sentence_transformer;
#[cfg(feature = "bert")]
mod single_threads;
mod static_embedder;
#[cfg(feature = "bert")]
mod tokens;

pub use static_embedder::StaticEmbedder;

use folder::{Folder, Kind};
use riad_core::{
    Result,
    ports::{Embedder, Reranker},
};
use sha2::{Digest, Sha256};
use std::{path::Path, sync::Arc};

/// The first 8 hexadecimal digits of the SHA-256.
pub(crate) fn short_digest(bytes: impl AsRef<[u8]>) -> String {
    let mut digest = hex::encode(Sha256::digest(bytes));
    digest.truncate(8);
    digest
}

/// The key of the configuration that names an embedder's folder.
const EMBEDDER_KEY: &str = "embeddings.model";
/// That of a reranker's.
const RERANKER_KEY: &str = "search.rerank_model";

/// Reads a Model2Vec folder, or a sentence-transformers folder of a BERT. Takes seconds.
///
/// # Errors
/// `InvalidRequest` when the folder is neither; `Unavailable` for a BERT if this binary was built without it.
pub fn open(folder: &Path) -> Result<Arc<dyn Embedder>> {
    let folder = Folder::new(folder, EMBEDDER_KEY);
    match folder.embedder()? {
        Kind::Static => Ok(Arc::new(StaticEmbedder::open(folder.path())?)),
        #[cfg(feature = "bert")]
        Kind::Bert => Ok(Arc::new(bert_embedder::BertEmbedder::open(&folder)?)),
        #[cfg(not(feature = "bert"))]
        Kind::Bert => Err(folder.not_compiled_in()),
    }
}

/// Reads the folder of a cross-encoder: a BERT that gives a pair of texts one number. Takes seconds.
///
/// # Errors
/// `InvalidRequest` when the folder is none; `Unavailable` if this binary was built without BERT.
pub fn open_reranker(folder: &Path) -> Result<Arc<dyn Reranker>> {
    let folder = Folder::new(folder, RERANKER_KEY);
    folder.cross_encoder()?;
    #[cfg(feature = "bert")]
    return Ok(Arc::new(cross_encoder::CrossEncoder::open(&folder)?));
    #[cfg(not(feature = "bert"))]
    Err(folder.not_compiled_in())
}

/// What a folder has, by its files alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelFiles {
    /// For people.
    pub kind: &'static str,
    /// In memory, where every number is an `f32`.
    pub bytes: u64,
}

/// # Errors
/// Those of [`open`] that do not need the weights themselves.
pub fn check(folder: &Path) -> Result<ModelFiles> {
    let folder = Folder::new(folder, EMBEDDER_KEY);
    let kind = match folder.embedder()? {
        Kind::Static => "Model2Vec",
        Kind::Bert => {
            sentence_transformer::Settings::read(&folder)?;
            "BERT"
        }
    };
    folder.files(kind)
}

/// # Errors
/// Those of [`open_reranker`] that do not need the weights themselves.
pub fn check_reranker(folder: &Path) -> Result<ModelFiles> {
    let folder = Folder::new(folder, RERANKER_KEY);
    folder.cross_encoder()?;
    folder.files("a cross-encoder")
}
