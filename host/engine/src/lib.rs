//! Prompts to tokens to answers: the `ChatEngine` port over mistral.rs in this process, or over model servers elsewhere.
//!
//! A new backend is one module here and one arm in [`open`]. Not here: embeddings, HTTP's server side, SQL, wasmtime, and who may use which adapter.

#[cfg(feature = "mistralrs")]
mod adapter_files;
mod checkpoint;
mod config;
#[doc(hidden)]
pub mod fuzzing;
pub mod memory;
mod peft;

#[cfg(feature = "mistralrs")]
mod mistral;
#[cfg(feature = "mistralrs")]
mod pinned_lru;
#[cfg(feature = "mistralrs")]
mod remote;
#[cfg(feature = "mistralrs")]
mod tokens;

pub use checkpoint::{ADAPTER_FAMILIES, Checkpoint, Tensor, Weights};
pub use config::{AdapterFolderConfig, Device, Dtype, EngineConfig, Quantization, RemoteConfig};

use riad_core::{Result, ports::ChatEngine};
use std::sync::Arc;

/// Loads the configured model into memory. Takes seconds to minutes; must be called inside a multi-threaded tokio runtime.
///
/// # Errors
/// `InvalidRequest` when the configuration cannot work (no such model, a device that was not compiled in, more memory needed than there
/// is), `Unavailable` when this binary was built without mistral.rs.
pub async fn open(config: EngineConfig) -> Result<Arc<dyn ChatEngine>> {
    config.check()?;
    #[cfg(feature = "mistralrs")]
    if let Some(remote) = config.remote.clone() {
        return Ok(Arc::new(remote::RemoteEngine::open(config, remote).await?));
    }
    memory::check(&config)?;
    #[cfg(feature = "mistralrs")]
    return Ok(Arc::new(mistral::MistralEngine::open(config).await?));
    #[cfg(not(feature = "mistralrs"))]
    Err(riad_core::Error::new(
        riad_core::ErrorKind::Unavailable,
        "this binary was built without mistral.rs; build it with the default features",
    ))
}
