//! What an engine is opened with. Not here: the configuration file (`app`).

use riad_core::{Error, Result, Secret, profile::ModelProfile};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Number format in which the model computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// The checkpoint's own on a GPU, f32 on a CPU.
    #[default]
    Auto,
    F32,
    F16,
    /// On a CPU: linear layers multiply in bf16 and add in f32, the KV cache is bf16, everything else is f32. Up to twice as fast as f32 on
    /// processors with instructions for it (AVX512-BF16).
    Bf16,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The accelerator that was compiled in, if there is one, else the processor.
    #[default]
    Auto,
    Cpu,
    Cuda,
    Metal,
}

/// Format of the linear layers' weights in memory. Embeddings stay as they are, and adapters are applied on top in the model's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantization {
    /// As the checkpoint has them.
    #[default]
    None,
    /// 8 bits and a scale for 32 numbers, as llama.cpp's Q8_0.
    #[serde(rename = "q8_0")]
    Q8_0,
}

/// Servers that generate instead of this process.
#[derive(Debug, Clone)]
pub struct RemoteConfig {
    /// Bases of OpenAI-compatible APIs, as in `http://gpu-1:8000/v1`.
    pub endpoints: Vec<String>,
    /// What they call the base model.
    pub model: String,
    pub key: Option<Secret<String>>,
    /// Tells this process from others that use the same servers, and is the same after a restart.
    pub instance: String,
    /// `None`: they get no adapters.
    pub adapter_folder: Option<AdapterFolderConfig>,
    /// Adapters that one server may have.
    pub adapters_per_server: usize,
}

/// A folder that this process writes adapters into, and the servers read them from.
#[derive(Debug, Clone)]
pub struct AdapterFolderConfig {
    pub here: PathBuf,
    /// The same folder, as the servers name it.
    pub there: String,
}

#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// A folder in Hugging Face's layout.
    pub model: String,
    pub dtype: Dtype,
    pub device: Device,
    pub quantization: Quantization,
    /// Generations that run at the same time, in one batch.
    pub max_sequences: usize,
    /// Rows of one token each that a step computes at the most.
    pub rows_per_step: usize,
    /// How many times as long a step may take, beside sequences that decode, because prompts are read in it. `None`: no such limit.
    pub prefill_slowdown: Option<f64>,
    /// Tokens of all sequences that keys and values are kept of.
    pub kv_cache_tokens: usize,
    /// Whether an account's requests share what was computed of a common beginning.
    pub prefix_cache: bool,
    pub profile: ModelProfile,
    /// Adapters that may stay in memory; those in use stay beyond it.
    pub resident_adapter_bytes: u64,
    /// The time without a generation after which the model leaves memory. The next one loads it again.
    pub idle_unload: Option<Duration>,
    /// `None`: the model runs in this process.
    pub remote: Option<RemoteConfig>,
}

impl EngineConfig {
    pub(crate) fn check(&self) -> Result<()> {
        for (value, name) in [
            (self.max_sequences, "engine.max_sequences"),
            (self.rows_per_step, "engine.rows_per_step"),
            (self.kv_cache_tokens, "engine.kv_cache_tokens"),
        ] {
            if value == 0 {
                return Err(Error::invalid(format!("{name} must be at least 1")).with_param(name));
            }
        }
        if let Some(remote) = &self.remote
            && remote.adapter_folder.is_some()
            && remote.adapters_per_server == 0
        {
            let name = "engine.adapters_per_server";
            return Err(
                Error::invalid(format!("{name} must be at least 1 where engine.adapter_folder is set"))
                    .with_param(name),
            );
        }
        let (device, compiled) = match self.device {
            Device::Auto | Device::Cpu => return Ok(()),
            Device::Cuda => ("cuda", cfg!(feature = "cuda")),
            Device::Metal => ("metal", cfg!(feature = "metal")),
        };
        if compiled {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "engine.device is \"{device}\", which is not compiled in; build with --features {device}"
        ))
        .with_param("engine.device"))
    }
}
