//! The base model's folder: its family and its tokenizer. Not here: weights, which mistral.rs reads itself.

use crate::snapshot_folder;
use riad_core::{Error, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;

/// `model_type` of the families whose layer names and arithmetic are tested with adapters
/// (`tests/families.rs`). Others run without adapters.
pub(super) const ADAPTER_FAMILIES: [&str; 4] = ["llama", "mistral", "qwen2", "qwen3"];

#[derive(Debug)]
pub(super) struct Checkpoint {
    pub family: String,
    tokenizer: PathBuf,
}

#[derive(Deserialize)]
struct ConfigJson {
    model_type: String,
}

impl Checkpoint {
    /// A local folder, or a hub id that was fetched before.
    pub fn find(model: &str) -> Result<Self> {
        let folder = snapshot_folder(model);
        let file = |name: &str| folder.as_ref().map(|folder| folder.join(name));
        let missing = |name: &str| {
            Error::invalid(format!(
                "engine.model: {name} of \"{model}\" is not there; name a folder in Hugging Face's layout"
            ))
            .with_param("engine.model")
        };
        let config = file("config.json").ok_or_else(|| missing("config.json"))?;
        let tokenizer = file("tokenizer.json").ok_or_else(|| missing("tokenizer.json"))?;
        let json: ConfigJson = serde_json::from_slice(&read(&config)?).map_err(|e| {
            Error::invalid(format!("engine.model: {} cannot be read: {e}", config.display())).with_param("engine.model")
        })?;
        Ok(Self {
            family: json.model_type,
            tokenizer,
        })
    }

    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Tokenizer::from_file(&self.tokenizer).map_err(|e| {
            Error::invalid(format!(
                "engine.model: {} cannot be read: {e}",
                self.tokenizer.display()
            ))
            .with_param("engine.model")
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| {
        Error::invalid(format!("engine.model: {} cannot be read: {e}", path.display())).with_param("engine.model")
    })
}
