//! The shipped models' folder, and the profile of the configured model.

use super::tree::{Config, Embeddings, Engine};
use riad_core::{Error, Result, Secret, profile::ModelProfile};
use riad_engine::{AdapterFolderConfig, RemoteConfig};
use riad_outbound::{HubModel, RemoteEmbedderConfig};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The shipped model's name in the API.
pub const SHIPPED_ID: &str = "riad-mini";

/// The source tree that the program was built from. Set by `.cargo/config.toml`, which is not read when another project builds this crate.
const SOURCE: &str = match option_env!("RIAD_SOURCE") {
    Some(root) => root,
    None => concat!(env!("CARGO_MANIFEST_DIR"), "/../.."),
};

/// The greatest temperature that a request may have.
const TEMPERATURE_MAX: f32 = 2.0;

/// The folder with the models that ship: `models` beside the executable, or that of the source tree it was built from.
///
/// # Errors
/// `InvalidRequest` names the configuration keys to set instead.
pub fn shipped_folder() -> Result<PathBuf> {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.join("models")));
    let source = PathBuf::from(SOURCE).join("host/models");
    let found = beside
        .into_iter()
        .chain([source])
        .find(|folder| folder.join("chat/base/config.json").is_file());
    found.ok_or_else(|| {
        Error::invalid(
            "the models that ship with riad were not found: put their folder as `models` beside the executable, or set \
             engine.model and embeddings.model",
        )
    })
}

/// The shipped chat model's folder.
///
/// # Errors
/// Those of [`shipped_folder`].
pub fn shipped_model() -> Result<PathBuf> {
    Ok(shipped_folder()?.join("chat/base"))
}

/// Where the files of the model are that the engine loads.
#[derive(Debug, PartialEq, Eq)]
pub enum ModelSource {
    Folder(PathBuf),
    Hub(HubModel),
}

/// What embeds.
pub enum EmbeddingSource {
    /// In this process.
    Folder(PathBuf),
    Remote(RemoteEmbedderConfig),
}

/// The configured server or folder, else the shipped model.
///
/// # Errors
/// Those of [`shipped_folder`]; `InvalidRequest` for settings that exclude each other.
pub fn embedding_source(config: &Embeddings, key: Option<Secret<String>>) -> Result<EmbeddingSource> {
    match (&config.url, &config.model) {
        (Some(_), Some(_)) => Err(Error::invalid(
            "embeddings.url and embeddings.model exclude each other: set one of them (embeddings.remote_model names the model of \
             embeddings.url)",
        )
        .with_param("embeddings.url")),
        (Some(url), None) => Ok(EmbeddingSource::Remote(RemoteEmbedderConfig {
            url: url.clone(),
            model: config.remote_model.clone(),
            dimensions: config.dimensions,
            query_prefix: config.query_prefix.clone(),
            passage_prefix: config.passage_prefix.clone(),
            key,
        })),
        (None, Some(folder)) => Ok(EmbeddingSource::Folder(folder.clone())),
        (None, None) => Ok(EmbeddingSource::Folder(shipped_folder()?.join("embed"))),
    }
}

/// The configured folder or hub id, else the shipped model. A folder that is there wins over a hub id of the same name.
///
/// # Errors
/// Those of [`shipped_folder`]; `InvalidRequest` for a path that does not exist, and for what cannot be a hub id.
pub fn model_source(engine: &Engine) -> Result<ModelSource> {
    let Some(model) = &engine.model else {
        return shipped_model().map(ModelSource::Folder);
    };
    if Path::new(model).is_dir() {
        return Ok(ModelSource::Folder(model.into()));
    }
    let id = model.split_once('@').map_or(model.as_str(), |(id, _)| id);
    let looks_like_path = id.starts_with(['.', '/', '~']) || id.matches('/').count() != 1;
    if looks_like_path {
        return Err(Error::invalid(format!(
            "engine.model: there is no folder `{model}`; name a folder in Hugging Face's layout, or a hub id like owner/name"
        ))
        .with_param("engine.model"));
    }
    HubModel::parse(model).map(ModelSource::Hub)
}

/// The servers that generate, if the model does not run in this process. `instance` names this server among those that use them too.
///
/// # Errors
/// `InvalidRequest` for settings that mean nothing without them; those of `instance`.
pub fn remote_engine(
    engine: &Engine,
    profile: &ModelProfile,
    key: Option<Secret<String>>,
    instance: impl FnOnce() -> Result<String>,
) -> Result<Option<RemoteConfig>> {
    if engine.endpoints.is_empty() {
        let name = match engine {
            Engine {
                remote_model: Some(_), ..
            } => "engine.remote_model",
            Engine {
                adapter_folder: Some(_),
                ..
            } => "engine.adapter_folder",
            Engine {
                adapter_folder_there: Some(_),
                ..
            } => "engine.adapter_folder_there",
            Engine { .. } => return Ok(None),
        };
        return Err(
            Error::invalid(format!("{name} needs engine.endpoints: set it, or leave {name} out")).with_param(name),
        );
    }
    let adapter_folder = engine.adapter_folder.as_ref().map(|here| {
        let there = match &engine.adapter_folder_there {
            Some(there) => there.clone(),
            None => path_text(&std::path::absolute(here).map_err(Error::internal)?)?,
        };
        Ok::<_, Error>(AdapterFolderConfig {
            here: here.clone(),
            there,
        })
    });
    Ok(Some(RemoteConfig {
        endpoints: engine.endpoints.clone(),
        model: engine.remote_model.clone().unwrap_or_else(|| profile.id.clone()),
        key,
        instance: instance()?,
        adapter_folder: adapter_folder.transpose()?,
        adapters_per_server: engine.adapters_per_server,
    }))
}

/// Tokens that the engine keeps keys and values of.
#[must_use]
pub fn kv_cache_tokens(engine: &Engine, profile: &ModelProfile) -> usize {
    const AUTOMATIC: usize = 2048;
    let context = usize::try_from(profile.context_tokens).unwrap_or(usize::MAX);
    match engine.kv_cache_tokens {
        0 => engine.max_sequences.saturating_mul(AUTOMATIC.min(context)).max(context),
        tokens => tokens,
    }
}

/// The profile of the configured model, whose files are in the folder: what the configuration says, else what is known of the model.
///
/// # Errors
/// `InvalidRequest` names the key to set if the model's files do not give the length of its context.
pub fn profile(config: &Config, folder: &Path) -> Result<ModelProfile> {
    let engine = &config.engine;
    let known = match &engine.model {
        None => shipped_profile(),
        Some(model) => real_profile(model, folder, engine.profile.context_tokens)?,
    };
    let wanted = &engine.profile;
    let context_tokens = wanted.context_tokens.unwrap_or(known.context_tokens);
    let profile = ModelProfile {
        id: engine.id.clone().unwrap_or(known.id),
        context_tokens,
        prompt_tokens: wanted.prompt_tokens.unwrap_or(known.prompt_tokens),
        passages: wanted.passages.unwrap_or(known.passages),
        sentences: wanted.sentences.unwrap_or(known.sentences),
        completion_tokens: wanted.completion_tokens.unwrap_or(known.completion_tokens),
        temperature: wanted.temperature.unwrap_or(known.temperature),
    };
    check(&profile)?;
    Ok(profile)
}

/// Measured in `host/models/README.md`: beyond about 300 prompt tokens its answers get worse.
fn shipped_profile() -> ModelProfile {
    ModelProfile {
        id: SHIPPED_ID.into(),
        context_tokens: 1024,
        prompt_tokens: 260,
        passages: 4,
        sentences: 2,
        completion_tokens: 128,
        temperature: 0.0,
    }
}

fn real_profile(model: &str, folder: &Path, configured: Option<u32>) -> Result<ModelProfile> {
    let context_tokens = configured.or_else(|| context_of(folder)).ok_or_else(|| {
        Error::invalid(format!(
            "the length of the context of `{model}` cannot be read from its config.json; set engine.profile.context_tokens"
        ))
        .with_param("engine.profile.context_tokens")
    })?;
    Ok(ModelProfile {
        id: name_of(model).replace(':', "-"),
        context_tokens,
        prompt_tokens: (context_tokens / 2).min(8192),
        passages: 8,
        sentences: 6,
        completion_tokens: 512.min(context_tokens / 4).max(1),
        temperature: json_of(folder, "generation_config.json").map_or(1.0, |config| temperature_in(&config)),
    })
}

/// The last part of a path, or the name in a hub id, whose revision may contain slashes.
fn name_of(model: &str) -> String {
    match HubModel::parse(model) {
        Ok(hub) if !Path::new(model).is_dir() => hub.name().to_owned(),
        _ => {
            let path = model.trim_end_matches('/');
            path.rsplit('/').next().unwrap_or(path).to_owned()
        }
    }
}

/// `max_position_embeddings`.
fn context_of(folder: &Path) -> Option<u32> {
    let config = json_of(folder, "config.json")?;
    // Multimodal models keep the text model's figures one level down.
    let figure = config
        .get("max_position_embeddings")
        .or_else(|| config.pointer("/text_config/max_position_embeddings"))?;
    u32::try_from(figure.as_u64()?).ok()
}

/// The temperature that the model's makers recommend.
fn temperature_in(generation: &Value) -> f32 {
    if generation.get("do_sample").and_then(Value::as_bool) == Some(false) {
        return 0.0;
    }
    let given = generation.get("temperature").and_then(Value::as_f64).unwrap_or(1.0);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a temperature needs no more digits than f32 has"
    )]
    let temperature = given as f32;
    temperature.clamp(0.0, TEMPERATURE_MAX)
}

fn json_of(folder: &Path, name: &str) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(folder.join(name)).ok()?).ok()
}

fn check(profile: &ModelProfile) -> Result<()> {
    let wrong = |key: &str, why: String| {
        Err(Error::invalid(format!("engine.profile.{key} {why}")).with_param(format!("engine.profile.{key}")))
    };
    if profile.prompt_tokens == 0 || profile.prompt_tokens >= profile.context_tokens {
        return wrong(
            "prompt_tokens",
            format!(
                "is {}, it must be between 1 and the context ({})",
                profile.prompt_tokens, profile.context_tokens
            ),
        );
    }
    if profile.completion_tokens == 0 || profile.completion_tokens > profile.context_tokens - profile.prompt_tokens {
        return wrong(
            "completion_tokens",
            format!(
                "is {}, it must be between 1 and what the prompt leaves of the context ({})",
                profile.completion_tokens,
                profile.context_tokens - profile.prompt_tokens
            ),
        );
    }
    if !(0.0..=TEMPERATURE_MAX).contains(&profile.temperature) {
        return wrong(
            "temperature",
            format!("is {}, it must be between 0 and {TEMPERATURE_MAX}", profile.temperature),
        );
    }
    match (profile.passages, profile.sentences) {
        (0, _) => wrong("passages", "is 0, the least value that works is 1".into()),
        (_, 0) => wrong("sentences", "is 0, the least value that works is 1".into()),
        _ => Ok(()),
    }
}

/// # Errors
/// `InvalidRequest` if the path is not UTF-8.
pub fn path_text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::invalid(format!(
            "the path {} is not UTF-8; move the models elsewhere",
            path.display()
        ))
    })
}
