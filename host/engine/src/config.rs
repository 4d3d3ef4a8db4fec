//! What an engine is opened with. Not here: the configuration file (`app`).

use riad_core::{Error, Result, profile::ModelProfile};
use serde::{Deserialize, Serialize};

/// Number format of the weights in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// The checkpoint's own, or the best that the device can do.
    #[default]
    Auto,
    F32,
    F16,
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

#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// A folder in Hugging Face's layout, or a hub id.
    pub model: String,
    pub dtype: Dtype,
    pub device: Device,
    /// Generations that run at the same time.
    pub lanes: usize,
    pub profile: ModelProfile,
    /// Adapters that may stay in memory; those in use stay beyond it.
    pub resident_adapter_bytes: u64,
}

impl EngineConfig {
    pub(crate) fn check(&self) -> Result<()> {
        if self.lanes == 0 {
            return Err(Error::invalid("engine.lanes must be at least 1").with_param("engine.lanes"));
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
