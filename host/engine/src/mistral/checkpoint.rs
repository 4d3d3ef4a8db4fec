//! The base model's folder: its family and the size of its KV cache. Not here: weights, which mistral.rs reads itself.

use crate::snapshot_folder;
use riad_core::{Error, Result};
use serde::Deserialize;
use std::path::Path;

/// `model_type` of the families whose layer names and arithmetic are tested with adapters
/// (`tests/families.rs`). Others run without adapters.
pub(super) const ADAPTER_FAMILIES: [&str; 7] = ["llama", "mistral", "qwen2", "qwen3", "smollm3", "phi3", "gemma2"];

/// Families whose checkpoints mistral.rs reads as another kind of model than this engine runs.
const VISION_FAMILIES: [&str; 2] = ["gemma3", "gemma3_text"];

#[derive(Debug)]
pub(super) struct Checkpoint {
    pub family: String,
    /// Numbers of keys and values that a token has in all layers.
    pub kv_elements_per_token: usize,
}

/// What every family has, and what says whether the engine can run it.
#[derive(Deserialize)]
struct Family {
    model_type: String,
    rope_scaling: Option<serde_json::Value>,
}

impl Family {
    fn check(&self) -> std::result::Result<(), String> {
        let family = &self.model_type;
        if VISION_FAMILIES.contains(&family.as_str()) {
            return Err(format!(
                "the family \"{family}\" is not supported: mistral.rs has it as a vision model only; choose a model of another family, \
                 such as gemma2"
            ));
        }
        if family == "phi3" && self.rope_scaling.is_some() {
            // Upstream chooses the angles of all rows of a step by the longest sequence among them.
            return Err(
                "phi3 with rope_scaling is not supported: an answer would depend on what else is in the batch; choose a \
                 checkpoint without it, such as the one with a context of 4k"
                    .to_owned(),
            );
        }
        Ok(())
    }
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
        let refused = |what: String| Error::invalid(format!("engine.model: {what}")).with_param("engine.model");
        let unreadable = |e: serde_json::Error| refused(format!("{} cannot be read: {e}", config.display()));
        let bytes = read(&config)?;
        // First, because other families have other members.
        let family: Family = serde_json::from_slice(&bytes).map_err(unreadable)?;
        family.check().map_err(refused)?;
        let json: ConfigJson = serde_json::from_slice(&bytes).map_err(unreadable)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_that_cannot_be_run_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let find = |json: serde_json::Value| {
            std::fs::write(folder.path().join("config.json"), json.to_string()).unwrap();
            Checkpoint::find(folder.path().to_str().unwrap())
        };
        let small = |family: &str, scaling: serde_json::Value| {
            serde_json::json!({
                "model_type": family, "rope_scaling": scaling,
                "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64,
            })
        };
        for (json, words) in [
            (
                serde_json::json!({"model_type": "gemma3", "text_config": {}}),
                ["\"gemma3\"", "gemma2"],
            ),
            (
                small("gemma3_text", serde_json::Value::Null),
                ["\"gemma3_text\"", "gemma2"],
            ),
            (
                small("phi3", serde_json::json!({"type": "longrope"})),
                ["phi3", "rope_scaling"],
            ),
        ] {
            let error = find(json).unwrap_err();
            assert_eq!(error.param(), Some("engine.model"));
            assert!(words.iter().all(|word| error.message().contains(word)), "{error}");
        }
        for (family, scaling) in [
            ("phi3", serde_json::Value::Null),
            ("llama", serde_json::json!({"rope_type": "llama3"})),
        ] {
            assert_eq!(find(small(family, scaling)).unwrap().family, family);
        }
    }
}
