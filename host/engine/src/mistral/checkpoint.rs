//! The base model's folder: its family and the size of its KV cache. Not here: weights, which mistral.rs reads itself.

use crate::snapshot_folder;
use riad_core::{Error, Result};
use serde::Deserialize;
use std::path::Path;

/// `model_type` of the families whose layer names and arithmetic are tested with adapters
/// (`tests/families.rs`). Others run without adapters.
pub(super) const ADAPTER_FAMILIES: [&str; 4] = ["llama", "mistral", "qwen2", "qwen3"];

#[derive(Debug)]
pub(super) struct Checkpoint {
    pub family: String,
    /// Numbers of keys and values that a token has in all layers.
    pub kv_elements_per_token: usize,
}

#[derive(Deserialize)]
struct ConfigJson {
    model_type: String,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    hidden_size: usize,
    head_dim: Option<usize>,
}

impl ConfigJson {
    fn kv_elements_per_token(&self) -> usize {
        let heads = self.num_key_value_heads.unwrap_or(self.num_attention_heads);
        let head_dim = self
            .head_dim
            .unwrap_or(self.hidden_size / self.num_attention_heads.max(1));
        2 * self.num_hidden_layers * heads * head_dim
    }
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
        let json: ConfigJson = serde_json::from_slice(&read(&config)?).map_err(|e| {
            Error::invalid(format!("engine.model: {} cannot be read: {e}", config.display())).with_param("engine.model")
        })?;
        Ok(Self {
            kv_elements_per_token: json.kv_elements_per_token(),
            family: json.model_type,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| {
        Error::invalid(format!("engine.model: {} cannot be read: {e}", path.display())).with_param("engine.model")
    })
}
