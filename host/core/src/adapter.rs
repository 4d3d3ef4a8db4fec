//! LoRA adapters: the uploaded files, their metadata, and the handle that a request uses. Not here: tensors (`engine`).

use crate::{AdapterAlias, Digest};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc};

/// As PEFT names the files.
pub const CONFIG: &str = "adapter_config.json";
pub const WEIGHTS: &str = "adapter_model.safetensors";

/// A PEFT adapter's two files.
#[derive(Clone)]
pub struct AdapterFiles {
    /// `adapter_config.json`
    pub config: Bytes,
    /// `adapter_model.safetensors`
    pub weights: Bytes,
}

impl AdapterFiles {
    /// SHA-256 over both files: the config has the scale, so a change of it alone is another generation too.
    #[must_use]
    pub fn generation(&self) -> Digest {
        Digest::of_parts(&[&self.config, &self.weights])
    }
}

/// Result of checking the files against the base model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterInfo {
    pub rank: u32,
    /// Size of the weights file.
    pub bytes: u64,
    /// Tensors in the file; every one is applied to a layer.
    pub tensors: u32,
}

/// An alias and the generation that it points to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adapter {
    pub alias: AdapterAlias,
    pub generation: Digest,
    #[serde(flatten)]
    pub info: AdapterInfo,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
    /// Whether the tenant wants it to stay in the engine's memory.
    pub pinned: bool,
}

/// A generation that an alias pointed to since its upload and can be rolled back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptGeneration {
    pub generation: Digest,
    pub info: AdapterInfo,
    /// When it was uploaded, in seconds since 1970-01-01 UTC.
    pub created: u64,
    /// Whether the alias points to it now.
    pub current: bool,
}

/// What changes of an alias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdapterChange {
    /// It points to a kept generation: the named one, else the one that was uploaded before the current one.
    RollBack(Option<Digest>),
    Pin(bool),
}

/// A generation's files, for the engine. While `pin` is held, the files stay, also when the alias is moved or deleted.
#[derive(Debug, Clone)]
pub struct AdapterSource {
    pub generation: Digest,
    pub folder: PathBuf,
    pub tensors: u32,
    pub pin: Arc<()>,
}
