//! A base model's files without loading them: its family, what its layers look like, its weights, its KV cache. Not here: the
//! memory that they need together (`memory`), and reading the weights, which mistral.rs does itself.

mod weights;

pub use weights::{Tensor, Weights};

use riad_core::{Error, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// `model_type` of the families whose layer names and arithmetic are tested with adapters
/// (`tests/engine/families.rs`). Others run without adapters.
pub const ADAPTER_FAMILIES: [&str; 7] = ["llama", "mistral", "qwen2", "qwen3", "smollm3", "phi3", "gemma2"];

/// Families whose checkpoints mistral.rs reads as another kind of model than this engine runs.
const VISION_FAMILIES: [&str; 2] = ["gemma3", "gemma3_text"];

#[derive(Debug)]
pub struct Checkpoint {
    pub folder: PathBuf,
    /// `model_type` of `config.json`.
    pub family: String,
    config: Value,
}

impl Checkpoint {
    /// Reads `config.json` of a folder in Hugging Face's layout.
    ///
    /// # Errors
    /// `InvalidRequest` says which file is missing or damaged, or why the engine cannot run the family.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref().to_owned();
        let path = folder.join("config.json");
        let config = json(&path)?;
        let family = config.get("model_type").and_then(Value::as_str).ok_or_else(|| {
            wrong(format!(
                "{} has no model_type; is this a chat model in Hugging Face's layout?",
                path.display()
            ))
        })?;
        check_family(family, &config).map_err(wrong)?;
        Ok(Self {
            family: family.to_owned(),
            folder,
            config,
        })
    }

    /// Whether the family is tested with adapters.
    #[must_use]
    pub fn takes_adapters(&self) -> bool {
        ADAPTER_FAMILIES.contains(&self.family.as_str())
    }

    /// The class of the model, by which mistral.rs chooses its code.
    #[must_use]
    pub fn architecture(&self) -> Option<&str> {
        self.config.pointer("/architectures/0")?.as_str()
    }

    /// Whether mistral.rs has code for the architecture. `None` if this binary was built without it.
    #[must_use]
    pub fn is_known(&self) -> Option<bool> {
        #[cfg(feature = "mistralrs")]
        return Some(
            self.architecture()
                .is_some_and(|name| mistralrs::core::NormalLoaderType::from_causal_lm_name(name).is_ok()),
        );
        #[cfg(not(feature = "mistralrs"))]
        None
    }

    /// The method by which the weights in the files were quantized, such as `gptq`.
    #[must_use]
    pub fn quantization(&self) -> Option<&str> {
        self.config.pointer("/quantization_config/quant_method")?.as_str()
    }

    /// Numbers of keys and values that a token has in all layers.
    ///
    /// # Errors
    /// `InvalidRequest` if `config.json` does not say.
    pub fn kv_elements_per_token(&self) -> Result<u64> {
        self.kv_elements().ok_or_else(|| {
            wrong(format!(
                "{} does not say how large the model's KV cache is: it needs num_hidden_layers, num_attention_heads and \
                 hidden_size or head_dim",
                self.folder.join("config.json").display()
            ))
        })
    }

    fn kv_elements(&self) -> Option<u64> {
        let heads = self.figure("num_attention_heads")?;
        let kept = self.figure("num_key_value_heads").unwrap_or(heads);
        let head_dim = match self.figure("head_dim") {
            Some(head_dim) => head_dim,
            None => self.figure("hidden_size")?.checked_div(heads)?,
        };
        [self.figure("num_hidden_layers")?, kept, head_dim]
            .into_iter()
            .try_fold(2_u64, u64::checked_mul)
    }

    /// Rows of the embeddings and of the head: the model reads and writes tokens below this number.
    #[cfg(feature = "mistralrs")]
    pub(crate) fn vocabulary(&self) -> Option<usize> {
        self.figure("vocab_size")?.try_into().ok()
    }

    /// Whether the head shares the table of the embeddings.
    pub(crate) fn has_tied_head(&self) -> bool {
        self.member("tie_word_embeddings").and_then(Value::as_bool) == Some(true)
    }

    /// Whether `tokenizer.json` is there and is JSON.
    ///
    /// # Errors
    /// `InvalidRequest` says what is wrong with it.
    pub fn check_tokenizer(&self) -> Result<()> {
        json(&self.folder.join("tokenizer.json")).map(|_| ())
    }

    /// The headers of all files of weights.
    ///
    /// # Errors
    /// `InvalidRequest` says which file is missing, incomplete or damaged.
    pub fn weights(&self) -> Result<Weights> {
        Weights::read(&self.folder)
    }

    fn figure(&self, name: &str) -> Option<u64> {
        self.member(name)?.as_u64()
    }

    /// A member of `config.json`; multimodal models keep the text model's one level down.
    fn member(&self, name: &str) -> Option<&Value> {
        let text = self.config.get("text_config").unwrap_or(&self.config);
        text.get(name).or_else(|| self.config.get(name))
    }
}

/// # Errors
/// `InvalidRequest` names the families that are tested with adapters.
#[cfg(feature = "mistralrs")]
pub(crate) fn check_adapter_family(family: &str) -> Result<()> {
    match ADAPTER_FAMILIES.contains(&family) {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "adapters are not supported for models of the family \"{family}\"; tested families: {}",
            ADAPTER_FAMILIES.join(", ")
        ))),
    }
}

fn check_family(family: &str, config: &Value) -> Result<(), String> {
    if VISION_FAMILIES.contains(&family) {
        return Err(format!(
            "the family \"{family}\" is not supported: mistral.rs has it as a vision model only; choose a model of another family, \
             such as gemma2"
        ));
    }
    if matches!(family, "phi3" | "phimoe") && config.get("rope_scaling").is_some_and(|scaling| !scaling.is_null()) {
        // Upstream chooses the angles of all rows of a step by the longest sequence among them.
        return Err(format!(
            "{family} with rope_scaling is not supported: an answer would depend on what else is in the batch; choose a \
             checkpoint without it, such as the one with a context of 4k"
        ));
    }
    let layers = ["layer_types", "layers_block_type"]
        .iter()
        .filter_map(|name| config.get(*name)?.as_array());
    let is_recurrent = |kind: &Value| matches!(kind.as_str(), Some("mamba" | "linear_attention" | "recurrent"));
    if family == "qwen3_next" || layers.flatten().any(is_recurrent) {
        return Err(format!(
            "the family \"{family}\" has recurrent layers, whose state this engine does not keep for each sequence; choose a \
             model with attention in all layers"
        ));
    }
    Ok(())
}

fn json(path: &Path) -> Result<Value> {
    let bytes =
        std::fs::read(path).map_err(|error| wrong(format!("{}: {error}; download it again", path.display())))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| wrong(format!("{} is not JSON: {error}; download it again", path.display())))
}

fn wrong(message: String) -> Error {
    Error::invalid(message).with_param("engine.model")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kv_elements(config: Value) -> Option<u64> {
        let checkpoint = Checkpoint {
            folder: PathBuf::new(),
            family: "llama".to_owned(),
            config,
        };
        checkpoint.kv_elements_per_token().ok()
    }

    #[test]
    fn keys_and_values_are_counted_by_layer_and_head() {
        let config = json!({"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 64});
        assert_eq!(kv_elements(config), Some(2 * 3 * 4 * 16));
        let grouped = json!({
            "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "hidden_size": 64,
        });
        assert_eq!(kv_elements(grouped.clone()), Some(2 * 3 * 2 * 32));
        assert_eq!(kv_elements(json!({"text_config": grouped})), Some(2 * 3 * 2 * 32));
    }

    #[cfg(feature = "mistralrs")]
    #[test]
    fn a_family_without_adapters_is_told_which_have_them() {
        assert!(
            ADAPTER_FAMILIES
                .iter()
                .all(|family| check_adapter_family(family).is_ok())
        );
        let error = check_adapter_family("mixtral").unwrap_err();
        assert!(
            error.message().contains("\"mixtral\"") && error.message().contains("qwen3"),
            "{error}"
        );
    }

    #[test]
    fn a_family_that_cannot_be_run_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let open = |json: Value| {
            std::fs::write(folder.path().join("config.json"), json.to_string()).unwrap();
            Checkpoint::open(folder.path().to_str().unwrap())
        };
        let small = |family: &str, scaling: Value| json!({"model_type": family, "rope_scaling": scaling});
        for (config, words) in [
            (
                json!({"model_type": "gemma3", "text_config": {}}),
                ["\"gemma3\"", "gemma2"],
            ),
            (small("gemma3_text", Value::Null), ["\"gemma3_text\"", "gemma2"]),
            (small("phi3", json!({"type": "longrope"})), ["phi3", "rope_scaling"]),
            (small("phimoe", json!({"type": "longrope"})), ["phimoe", "rope_scaling"]),
            (small("qwen3_next", Value::Null), ["qwen3_next", "recurrent"]),
            (
                json!({"model_type": "granitemoehybrid", "layer_types": ["attention", "mamba"]}),
                ["granitemoehybrid", "recurrent"],
            ),
        ] {
            let error = open(config).unwrap_err();
            assert_eq!(error.param(), Some("engine.model"));
            assert!(words.iter().all(|word| error.message().contains(word)), "{error}");
        }
        for (family, scaling) in [("phi3", Value::Null), ("llama", json!({"rope_type": "llama3"}))] {
            assert_eq!(open(small(family, scaling)).unwrap().family, family);
        }
    }

    #[test]
    fn figures_that_cannot_be_are_refused() {
        for config in [
            json!({}),
            json!({"num_hidden_layers": 3, "num_attention_heads": 0, "hidden_size": 64}),
            json!({"num_hidden_layers": 3, "num_attention_heads": 4}),
            json!({"num_hidden_layers": u64::MAX, "num_attention_heads": 4, "hidden_size": 64}),
            json!({"num_hidden_layers": -3, "num_attention_heads": 4, "hidden_size": 64}),
        ] {
            assert_eq!(kv_elements(config.clone()), None, "{config}");
        }
    }
}
