//! The embedding model by its files.

use crate::config::{self, Config};
use riad_core::{Error, Result};
use riad_engine::Weights;
use std::path::Path;

/// Bytes in memory, where every vector is in f32.
///
/// # Errors
/// `InvalidRequest` says which file is at fault.
pub fn bytes(config: &Config) -> Result<u64> {
    let folder = match &config.embeddings.model {
        Some(folder) => folder.clone(),
        None => config::shipped_folder()?.join("embed"),
    };
    for name in ["config.json", "tokenizer.json"] {
        json(&folder.join(name))?;
    }
    let weights = Weights::open(&folder.join("model.safetensors"))?;
    let elements: u64 = weights.tensors.iter().map(riad_engine::Tensor::elements).sum();
    Ok(elements.saturating_mul(4))
}

fn json(path: &Path) -> Result<()> {
    let wrong = |why: String| {
        Error::invalid(format!("{}: {why}; download it again", path.display())).with_param("embeddings.model")
    };
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).map_err(|error| wrong(format!("not JSON: {error}")))?;
    Ok(())
}
