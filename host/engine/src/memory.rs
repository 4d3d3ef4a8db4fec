//! The memory that a model needs on a CPU, and the memory that there is. A model that does not fit is refused before it is loaded.

use crate::{
    Device, Dtype, EngineConfig, Quantization,
    checkpoint::{Checkpoint, Tensor, Weights},
};
use riad_core::{Error, Result};
use std::path::{Path, PathBuf};

/// Tokens of one KV block. The greatest that the kernels take: fewer blocks to look up, and a prefix is shared by whole blocks.
pub(crate) const BLOCK_SIZE: usize = 32;

/// Bytes of a model in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryNeed {
    pub weights: u64,
    pub kv_cache_tokens: u64,
    pub kv_cache: u64,
}

impl MemoryNeed {
    /// # Errors
    /// `InvalidRequest` if `config.json` does not say how large the KV cache is, or it has more bytes than a machine can have.
    pub fn of(
        checkpoint: &Checkpoint,
        weights: &Weights,
        (dtype, quantization): (Dtype, Quantization),
        kv_cache_tokens: usize,
    ) -> Result<Self> {
        Ok(Self {
            weights: weights_bytes(checkpoint, weights, dtype, quantization),
            kv_cache_tokens: kv_cache_tokens as u64,
            kv_cache: kv_cache_bytes(checkpoint, dtype, kv_cache_tokens)?,
        })
    }

    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.weights.saturating_add(self.kv_cache)
    }

    /// As in "270 MB of weights and 1.5 GB for a KV cache of 32768 tokens".
    #[must_use]
    pub fn parts(&self) -> String {
        format!(
            "{} of weights and {} for a KV cache of {} tokens",
            size(self.weights),
            size(self.kv_cache),
            self.kv_cache_tokens
        )
    }
}

/// Whether the model will be on the CPU, as far as the configuration says.
#[must_use]
pub fn is_on_cpu(device: Device) -> bool {
    match device {
        Device::Cpu => true,
        Device::Auto => !cfg!(any(feature = "cuda", feature = "metal")),
        Device::Cuda | Device::Metal => false,
    }
}

/// Bytes of a number of what is not a linear layer.
fn width(dtype: Dtype) -> u64 {
    match dtype {
        Dtype::Auto | Dtype::F32 | Dtype::Bf16 => 4,
        Dtype::F16 => 2,
    }
}

/// Bytes of a number in the KV cache.
fn cache_width(dtype: Dtype) -> u64 {
    match dtype {
        Dtype::Auto | Dtype::F32 => 4,
        Dtype::F16 | Dtype::Bf16 => 2,
    }
}

/// # Errors
/// As [`MemoryNeed::of`].
pub(crate) fn kv_cache_bytes(checkpoint: &Checkpoint, dtype: Dtype, tokens: usize) -> Result<u64> {
    let elements = checkpoint.kv_elements_per_token()?;
    // One block more: the rounding to megabytes is mistral.rs', downward.
    (tokens as u64)
        .checked_add(BLOCK_SIZE as u64)
        .and_then(|tokens| tokens.checked_mul(elements)?.checked_mul(cache_width(dtype)))
        .ok_or_else(|| {
            Error::invalid(format!(
                "a KV cache of {tokens} tokens with {elements} numbers each is more than any machine has; lower \
                 engine.kv_cache_tokens"
            ))
            .with_param("engine.kv_cache_tokens")
        })
}

/// Linear layers are kept in 16 bits where that is exact or wanted, everything else in the format in which the model computes.
fn weights_bytes(checkpoint: &Checkpoint, weights: &Weights, dtype: Dtype, quantization: Quantization) -> u64 {
    let tensors = &weights.tensors;
    let has_head = tensors.iter().any(|tensor| tensor.name.ends_with("lm_head.weight"));
    let bytes = |tensor: &Tensor| {
        let elements = tensor.elements();
        let plain = elements.saturating_mul(width(dtype));
        let linear = || linear_bytes(tensor, dtype, quantization);
        match Role::of(tensor) {
            Role::Other if !is_float(tensor) => tensor.bytes,
            Role::Other => plain,
            Role::Linear => linear(),
            // A tied head is a linear layer with a copy of the table.
            Role::Embedding if checkpoint.has_tied_head() && !has_head => plain.saturating_add(linear()),
            Role::Embedding => plain,
        }
    };
    tensors.iter().map(bytes).fold(0, u64::saturating_add)
}

enum Role {
    Linear,
    Embedding,
    Other,
}

impl Role {
    fn of(tensor: &Tensor) -> Self {
        match tensor.shape.len() {
            2 if !is_float(tensor) => Self::Other,
            2 if tensor.name.contains("embed_tokens") => Self::Embedding,
            2 => Self::Linear,
            _ => Self::Other,
        }
    }
}

fn is_float(tensor: &Tensor) -> bool {
    matches!(tensor.dtype.as_str(), "F32" | "F16" | "BF16" | "F64")
}

fn linear_bytes(tensor: &Tensor, dtype: Dtype, quantization: Quantization) -> u64 {
    let elements = tensor.elements();
    match (quantization, tensor.dtype.as_str()) {
        // A scale of 16 bits for 32 numbers.
        (Quantization::Q8_0, _) => elements.saturating_add(elements / 16),
        (Quantization::None, _) if dtype == Dtype::Bf16 => elements.saturating_mul(2),
        (Quantization::None, "BF16" | "F16") => elements.saturating_mul(2),
        (Quantization::None, _) => elements.saturating_mul(width(dtype)),
    }
}

/// Refuses a model that cannot fit into the memory that is there. What cannot be known (files that cannot be read, a
/// system that does not say what it has) refuses nothing.
pub(crate) fn check(config: &EngineConfig) -> Result<()> {
    if !is_on_cpu(config.device) {
        return Ok(());
    }
    let Ok(checkpoint) = Checkpoint::open(&config.model) else {
        return Ok(());
    };
    let Ok(weights) = checkpoint.weights() else {
        return Ok(());
    };
    let formats = (config.dtype, config.quantization);
    let need = MemoryNeed::of(&checkpoint, &weights, formats, config.kv_cache_tokens)?;
    match available_bytes() {
        Some(available) => check_need(&config.model, &need, available),
        None => Ok(()),
    }
}

fn check_need(model: &str, need: &MemoryNeed, available: u64) -> Result<()> {
    if need.bytes() <= available {
        return Ok(());
    }
    let (advice, param) = match need.weights > available {
        true => ("use a smaller model", "engine.model"),
        false => (
            "lower engine.kv_cache_tokens or use a smaller model",
            "engine.kv_cache_tokens",
        ),
    };
    Err(Error::invalid(format!(
        "\"{model}\" needs {} of memory ({}), and {} are available; {advice}",
        size(need.bytes()),
        need.parts(),
        size(available)
    ))
    .with_param(param))
}

/// Memory that this process can still allocate, within the machine and its control groups. `None` where the system does not say,
/// which is everywhere but on Linux.
#[must_use]
pub fn available_bytes() -> Option<u64> {
    let machine = available_of(&std::fs::read_to_string("/proc/meminfo").ok()?)?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let left = group_folders(Path::new("/sys/fs/cgroup"), &groups)
        .iter()
        .filter_map(|folder| left_in_group(folder))
        .min();
    Some(left.map_or(machine, |left| left.min(machine)))
}

/// The line is `MemAvailable:  <number> kB`.
fn available_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The folders of the groups that limit the process's memory: its own and those above. A line of `/proc/self/cgroup` is
/// `<number>:<controllers>:<path>`, without controllers in version 2.
fn group_folders(root: &Path, groups: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let base = match controllers {
            "" => root.to_owned(),
            list if list.split(',').any(|controller| controller == "memory") => root.join("memory"),
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        folders.extend(path.ancestors().map(|path| base.join(path)));
    }
    folders
}

/// What a group may still allocate, if it has a limit. Pages of files count as used and can be dropped.
fn left_in_group(folder: &Path) -> Option<u64> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    let limit = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
    let statistics = read("memory.stat").unwrap_or_default();
    let statistic = |name: &str| {
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse::<u64>().ok();
        statistics.lines().find_map(value)
    };
    // Version 1 has totals of the group and those below it.
    let files = |name: &str| {
        statistic(&format!("total_{name}"))
            .or_else(|| statistic(name))
            .unwrap_or(0)
    };
    let droppable = files("active_file").saturating_add(files("inactive_file"));
    Some(limit.saturating_sub(used.saturating_sub(droppable)))
}

/// A size for people, with two or three digits.
#[must_use]
pub fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let bytes = bytes as f64;
    match bytes {
        ..1e6 => format!("{:.0} kB", bytes / 1e3),
        ..1e9 => format!("{:.0} MB", bytes / 1e6),
        _ => format!("{:.1} GB", bytes / 1e9),
    }
}

#[cfg(test)]
#[path = "memory/tests.rs"]
mod tests;
