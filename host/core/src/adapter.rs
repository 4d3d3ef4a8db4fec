//! LoRA adapters as words: what was uploaded, what was found in it, and where a request finds it. Not here: tensors.

use crate::{AdapterAlias, Digest};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc};

/// A PEFT adapter's two files.
#[derive(Clone)]
pub struct AdapterFiles {
    /// `adapter_config.json`
    pub config: Bytes,
    /// `adapter_model.safetensors`
    pub weights: Bytes,
}

impl AdapterFiles {
    /// The generation that these files are: both count, because the scale stands in the config.
    #[must_use]
    pub fn generation(&self) -> Digest {
        Digest::of_parts(&[&self.config, &self.weights])
    }
}

/// What a check of the files against the base model found.
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
}

/// Where the engine finds a generation. Holding it keeps the files, whatever happens to the alias.
#[derive(Debug, Clone)]
pub struct AdapterSource {
    pub generation: Digest,
    pub folder: PathBuf,
    pub tensors: u32,
    pub pin: Arc<()>,
}
