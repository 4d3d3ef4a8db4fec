//! `riad model`: what would work with a model, and the memory that it needs, read from its files without loading it.
//! `riad doctor` makes the same checks.

pub mod search_models;
#[cfg(test)]
mod tests;

use super::check::{self, Check};
use crate::{
    cli::{ModelCheckArgs, ModelCommand},
    config::{self, Config, Dtype, Overrides, Quantization},
    model_files,
    output::Output,
};
use riad_core::{Result, profile::ModelProfile};
use riad_engine::{
    ADAPTER_FAMILIES, Checkpoint, Weights,
    memory::{self, MemoryNeed, size},
};
use search_models::SearchModels;
use serde_json::{Value, json};

pub const MODEL: &str = "model";
pub const MEMORY: &str = "memory";

/// # Errors
/// `InvalidRequest` if a check failed.
pub fn run(command: ModelCommand) -> Result<()> {
    let ModelCommand::Check(args) = command;
    let report = report(&args)?;
    Output::new(args.json).show_json(&report.json(), || check::as_lines(&report.checks));
    check::outcome(&report.checks)
}

fn report(args: &ModelCheckArgs) -> Result<Report> {
    let overrides = Overrides::default().set("engine.model", "PATH", args.model.as_ref());
    let config = Config::load(args.config.as_deref(), std::env::vars_os(), &overrides)?;
    Ok(Report::of(&config))
}

struct Report {
    model: Option<ChatModel>,
    /// Bytes of the embedding model and the reranker.
    search_models: Option<u64>,
    available: Option<u64>,
    checks: Vec<Check>,
}

impl Report {
    fn of(config: &Config) -> Self {
        let available = memory::available_bytes();
        let search_models = SearchModels::open(config);
        let model = ChatModel::open(config);
        let mut checks = Vec::new();
        match &model {
            Err(error) => checks.push(Check::fail(MODEL, error.message())),
            Ok(model) => {
                checks.extend(model.checks(config));
                checks.push(memory(config, model, search_models.bytes(), available));
            }
        }
        checks.extend(search_models.checks());
        Self {
            model: model.ok(),
            search_models: search_models.bytes(),
            available,
            checks,
        }
    }

    fn json(&self) -> Value {
        let mut json = json!({
            "object": "model.check",
            "ok": check::outcome(&self.checks).is_ok(),
            "checks": check::as_json(&self.checks),
        });
        if let (Some(model), Some(members)) = (&self.model, json.as_object_mut()) {
            members.extend(model.json());
            let memory = json!({
                "weights_bytes": model.need.weights,
                "kv_cache_tokens": model.need.kv_cache_tokens,
                "kv_cache_bytes": model.need.kv_cache,
                "embeddings_bytes": self.search_models,
                "available_bytes": self.available,
            });
            members.insert("memory".to_owned(), memory);
        }
        json
    }
}

/// The chat model of a configuration, by its files.
pub struct ChatModel {
    profile: ModelProfile,
    checkpoint: Checkpoint,
    weights: Weights,
    need: MemoryNeed,
}

impl ChatModel {
    /// # Errors
    /// `InvalidRequest` says which file or key is at fault.
    pub fn open(config: &Config) -> Result<Self> {
        let folder = model_files::find(config)?;
        let profile = config::profile(config, &folder)?;
        let checkpoint = Checkpoint::open(&folder)?;
        checkpoint.check_tokenizer()?;
        // Those of a model that runs elsewhere need not be here.
        let weights = match config.engine.endpoints.is_empty() {
            true => checkpoint.weights()?,
            false => checkpoint.weights().unwrap_or_default(),
        };
        let tokens = config::kv_cache_tokens(&config.engine, &profile);
        Ok(Self {
            need: MemoryNeed::of(
                &checkpoint,
                &weights,
                (config.engine.dtype, config.engine.quantization),
                tokens,
            )?,
            profile,
            checkpoint,
            weights,
        })
    }

    pub fn summary(&self) -> String {
        format!(
            "{}: {}, {} of weights, context {} tokens, prompts up to {}",
            self.profile.id,
            self.checkpoint.family,
            size(self.weights.bytes()),
            self.profile.context_tokens,
            self.profile.prompt_tokens
        )
    }

    fn checks(&self, config: &Config) -> Vec<Check> {
        vec![
            self.known(),
            self.adapters(),
            self.quantization(config),
            self.dtype(config),
        ]
    }

    fn known(&self) -> Check {
        let architecture = self.checkpoint.architecture();
        match (self.checkpoint.is_known(), architecture) {
            (Some(false), Some(architecture)) => Check::fail(
                MODEL,
                format!(
                    "{architecture} is an architecture that mistral.rs does not have as a text model; choose another model"
                ),
            ),
            (Some(false), None) => Check::fail(
                MODEL,
                "config.json has no architectures, by which the model's code is chosen; download the model again",
            ),
            (Some(true) | None, _) => Check::ok(MODEL, self.summary()),
        }
    }

    fn adapters(&self) -> Check {
        let family = &self.checkpoint.family;
        match self.checkpoint.takes_adapters() {
            true => Check::ok("adapters", format!("supported for {family}")),
            false => Check::warn(
                "adapters",
                format!(
                    "not supported for {family}; the families that are tested with adapters: {}",
                    ADAPTER_FAMILIES.join(", ")
                ),
            ),
        }
    }

    fn quantization(&self, config: &Config) -> Check {
        match self.checkpoint.quantization() {
            None => match config.engine.quantization {
                Quantization::None => Check::ok("quantization", "none"),
                Quantization::Q8_0 => Check::ok(
                    "quantization",
                    "none in the files, q8_0 in memory (engine.quantization)",
                ),
            },
            Some(method) => Check::warn(
                "quantization",
                format!("{method}, which was not tested; choose the model without quantization if it does not load"),
            ),
        }
    }

    fn dtype(&self, config: &Config) -> Check {
        let stored = self.weights.dtype().to_lowercase();
        let words = match config.engine.dtype {
            _ if !memory::is_on_cpu(config.engine.device) => format!("{stored} in the files"),
            Dtype::Auto | Dtype::F32 => {
                format!(
                    "{stored} in the files, computed in f32; linear layers that are exactly bf16 or f16 stay so in memory"
                )
            }
            Dtype::F16 => format!("{stored} in the files, f16 in memory (engine.dtype)"),
            Dtype::Bf16 => {
                format!("{stored} in the files, linear layers and the KV cache in bf16 (engine.dtype), the rest in f32")
            }
        };
        Check::ok("number format", words)
    }

    fn json(&self) -> serde_json::Map<String, Value> {
        let json = json!({
            "model": self.profile.id,
            "family": self.checkpoint.family,
            "architecture": self.checkpoint.architecture(),
            "adapters": self.checkpoint.takes_adapters(),
            "dtype": self.weights.dtype().to_lowercase(),
            "quantization": self.checkpoint.quantization(),
            "context_tokens": self.profile.context_tokens,
        });
        json.as_object().cloned().unwrap_or_default()
    }
}

/// Counts the weights, the whole KV cache, the embedding model with the reranker and, for the warning, resident adapters; not guests and uploads.
pub fn memory(config: &Config, model: &ChatModel, search_models: Option<u64>, available: Option<u64>) -> Check {
    if !config.engine.endpoints.is_empty() {
        let words = format!(
            "the model runs in other servers: {}",
            config.engine.endpoints.join(", ")
        );
        return Check::skip(MEMORY, words);
    }
    if !memory::is_on_cpu(config.engine.device) {
        let weights = size(model.weights.bytes());
        return Check::skip(
            MEMORY,
            format!("memory of accelerators is not checked; weights: {weights}"),
        );
    }
    let search_models = search_models.unwrap_or(0);
    let needed = model.need.bytes().saturating_add(search_models);
    let words = format!(
        "{} needed: {}, {} of embeddings",
        size(needed),
        model.need.parts(),
        size(search_models)
    );
    let adapters = config.limits.resident_adapter_bytes;
    match available {
        None => Check::skip(
            MEMORY,
            format!("{words}; the system does not report how much is available"),
        ),
        Some(available) if needed > available => Check::fail(
            MEMORY,
            format!(
                "{words}; {} are available; lower engine.kv_cache_tokens or use a smaller model",
                size(available)
            ),
        ),
        Some(available) if needed.saturating_add(adapters) > available / 10 * 8 => Check::warn(
            MEMORY,
            format!(
                "{words}; {} are available, and resident adapters (up to {}), guests and uploads need some too",
                size(available),
                size(adapters)
            ),
        ),
        Some(available) => Check::ok(MEMORY, format!("{words}; {} are available", size(available))),
    }
}
