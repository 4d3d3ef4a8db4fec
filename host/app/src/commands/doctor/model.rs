//! Checks of the models' files without loading them, and of the memory that they need.

use super::{
    check::{Check, size},
    machine,
};
use crate::config::{self, Config, Device, Dtype, Quantization};
use riad_core::{Result, profile::ModelProfile};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

const MODEL: &str = "model";
const EMBEDDINGS: &str = "embedding model";
const MEMORY: &str = "memory";
/// The limit of the safetensors format.
const HEADER_MAX: u64 = 100_000_000;

pub(super) fn check(config: &Config, in_use: bool) -> Vec<Check> {
    let mut checks = Vec::new();
    match chat_model(config) {
        Err(message) => {
            checks.push(Check::fail(MODEL, message));
            checks.push(Check::skip(MEMORY, "the model's size is not known"));
        }
        Ok(model) => {
            checks.push(Check::ok(MODEL, model.summary()));
            checks.push(match (in_use, config.engine.device) {
                (true, _) => Check::skip(MEMORY, "a running server has its memory already"),
                (false, Device::Cuda | Device::Metal) => Check::skip(
                    MEMORY,
                    format!("memory of accelerators is not checked; weights: {}", size(model.bytes)),
                ),
                (false, Device::Auto | Device::Cpu) => memory(config, &model),
            });
        }
    }
    checks.push(match embeddings(config) {
        Ok(message) => Check::ok(EMBEDDINGS, message),
        Err(message) => Check::fail(EMBEDDINGS, message),
    });
    checks
}

struct ChatModel {
    folder: PathBuf,
    config: Value,
    profile: ModelProfile,
    /// Bytes of the weights as they are stored.
    bytes: u64,
    /// Bytes of one weight.
    width: u64,
}

impl ChatModel {
    fn summary(&self) -> String {
        format!(
            "{}: {}, {} of weights, context {} tokens, prompts up to {}",
            self.profile.id,
            self.config
                .get("model_type")
                .and_then(Value::as_str)
                .unwrap_or("unknown"),
            size(self.bytes),
            self.profile.context_tokens,
            self.profile.prompt_tokens
        )
    }

    /// A figure of `config.json`; multimodal models keep the text model's one level down.
    fn figure(&self, name: &str) -> Option<u64> {
        let text = self.config.get("text_config").unwrap_or(&self.config);
        text.get(name).or_else(|| self.config.get(name))?.as_u64()
    }

    /// Bytes of the keys and values of one token in all layers.
    fn cache_bytes_per_token(&self, width: u64) -> Option<u64> {
        let heads = self.figure("num_attention_heads")?;
        let kept = self.figure("num_key_value_heads").unwrap_or(heads);
        let size = match self.figure("head_dim") {
            Some(size) => size,
            None => self.figure("hidden_size")?.checked_div(heads)?,
        };
        [self.figure("num_hidden_layers")?, kept, size, width]
            .into_iter()
            .try_fold(2_u64, u64::checked_mul)
    }
}

fn chat_model(config: &Config) -> Result<ChatModel, String> {
    let words = |error: riad_core::Error| error.message().to_owned();
    let profile = config::profile(config).map_err(words)?;
    let model = config::model_folder(&config.engine).map_err(words)?;
    let folder = riad_engine::snapshot_folder(&model).ok_or_else(|| {
        format!("`{model}` is not in the Hugging Face cache; download it first (hf download {model}), or name a folder")
    })?;
    let json = json(&folder.join("config.json"))?;
    if json.get("model_type").and_then(Value::as_str).is_none() {
        return Err(format!(
            "{} has no model_type; is this a chat model in Hugging Face's layout?",
            folder.join("config.json").display()
        ));
    }
    self::json(&folder.join("tokenizer.json"))?;
    let (mut bytes, mut widest) = (0, (0, 4));
    for file in weights(&folder)? {
        let tensors = safetensors(&file)?;
        bytes += tensors.bytes;
        widest = widest.max((tensors.bytes, tensors.width));
    }
    Ok(ChatModel {
        folder,
        config: json,
        profile,
        bytes,
        width: widest.1,
    })
}

fn embeddings(config: &Config) -> Result<String, String> {
    let folder = match &config.embeddings.model {
        Some(folder) => folder.clone(),
        None => config::shipped_folder()
            .map_err(|error| error.message().to_owned())?
            .join("embed"),
    };
    json(&folder.join("config.json"))?;
    json(&folder.join("tokenizer.json"))?;
    let tensors = safetensors(&folder.join("model.safetensors"))?;
    Ok(format!("{} of vectors", size(tensors.bytes)))
}

/// The files that the index names, else every one that is there.
fn weights(folder: &Path) -> Result<BTreeSet<PathBuf>, String> {
    let index = folder.join("model.safetensors.index.json");
    if index.is_file() {
        let index_json = json(&index)?;
        let map = index_json.get("weight_map").and_then(Value::as_object);
        let files: BTreeSet<_> = map
            .into_iter()
            .flatten()
            .filter_map(|(_, file)| file.as_str())
            .collect();
        return match files.is_empty() {
            true => Err(format!("{} names no files; download the model again", index.display())),
            false => Ok(files.into_iter().map(|file| folder.join(file)).collect()),
        };
    }
    let files: BTreeSet<_> = std::fs::read_dir(folder)
        .map_err(|error| format!("{} cannot be read: {error}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    match files.is_empty() {
        true => Err(format!(
            "{} has no *.safetensors; download the model's weights",
            folder.display()
        )),
        false => Ok(files),
    }
}

#[derive(Debug)]
struct Tensors {
    bytes: u64,
    /// Bytes of one number in the format that most of them have.
    width: u64,
}

/// Compares the header of a safetensors file with the file's length, which finds incomplete downloads. The format: 8 bytes
/// with the length of a JSON object, little-endian; the object, with the offsets of the tensors; the tensors.
fn safetensors(path: &Path) -> Result<Tensors, String> {
    let failed = |why: String| format!("{}: {why}", path.display());
    let mut file = File::open(path).map_err(|error| failed(format!("{error}; download it again")))?;
    let length = file.metadata().map_err(|error| failed(error.to_string()))?.len();
    let mut head = [0; 8];
    let read = file.read_exact(&mut head);
    if &head == b"version " {
        return Err(failed(
            "this is only a Git LFS pointer to the file; run `git lfs pull`".to_owned(),
        ));
    }
    let broken = || failed("the file is incomplete or not in the safetensors format; download it again".to_owned());
    read.map_err(|_| broken())?;
    let header = u64::from_le_bytes(head);
    if header > HEADER_MAX || header + 8 > length {
        return Err(broken());
    }
    let mut text = Vec::new();
    file.take(header).read_to_end(&mut text).map_err(|_| broken())?;
    let tensors: serde_json::Map<String, Value> = serde_json::from_slice(&text).map_err(|_| broken())?;
    let mut end = 0;
    let mut narrow = 0;
    for (name, tensor) in &tensors {
        if name == "__metadata__" {
            continue;
        }
        let place = |index: usize| {
            tensor
                .pointer(&format!("/data_offsets/{index}"))
                .and_then(Value::as_u64)
        };
        let (Some(from), Some(to)) = (place(0), place(1)) else {
            return Err(broken());
        };
        end = end.max(to);
        if matches!(tensor.get("dtype").and_then(Value::as_str), Some("BF16" | "F16")) {
            narrow += to.saturating_sub(from);
        }
    }
    if end != length - header - 8 {
        return Err(broken());
    }
    Ok(Tensors {
        bytes: end,
        width: if narrow * 2 > end { 2 } else { 4 },
    })
}

fn json(path: &Path) -> Result<Value, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}; download it again", path.display()))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| format!("{} is not JSON: {error}; download it again", path.display()))
}

/// Counts the weights, the whole KV cache and resident adapters; not guests and uploads.
fn memory(config: &Config, model: &ChatModel) -> Check {
    let width = match config.engine.dtype {
        Dtype::Auto => model.width,
        Dtype::F32 => 4,
        Dtype::F16 | Dtype::Bf16 => 2,
    };
    let tokens = config::kv_cache_tokens(&config.engine, &model.profile);
    let Some(cache) = model
        .cache_bytes_per_token(width)
        .and_then(|bytes| bytes.checked_mul(u64::try_from(tokens).ok()?))
    else {
        return Check::skip(
            MEMORY,
            format!(
                "{} does not say how large the model's cache is",
                model.folder.join("config.json").display()
            ),
        );
    };
    let numbers = model.bytes / model.width;
    let weights = match config.engine.quantization {
        Quantization::None => numbers * width,
        // A scale of 16 bits for 32 numbers. The embeddings keep their width, but are a small part.
        Quantization::Q8_0 => numbers + numbers / 16,
    };
    let needed = weights
        .saturating_add(cache)
        .saturating_add(config.limits.resident_adapter_bytes);
    let words = format!(
        "about {} for weights, a KV cache of {tokens} tokens and resident adapters",
        size(needed)
    );
    match machine::available_bytes() {
        None => Check::skip(
            MEMORY,
            format!("{words}; the system does not report how much is available"),
        ),
        Some(available) if needed > available => Check::fail(
            MEMORY,
            format!(
                "{words}, and {} are available; lower engine.kv_cache_tokens or use a smaller model",
                size(available)
            ),
        ),
        Some(available) if needed > available / 10 * 8 => Check::warn(
            MEMORY,
            format!(
                "{words}, and {} are available; guests and uploads need some too",
                size(available)
            ),
        ),
        Some(available) => Check::ok(MEMORY, format!("{words}; {} are available", size(available))),
    }
}
