//! The folder with the configured chat model's files. A model of a hub is in the Hugging Face cache, or is fetched into it.

use crate::config::{self, Config, ModelSource};
use riad_core::Result;
use riad_outbound::{Hub, HubConfig};
use std::path::PathBuf;

/// Downloads what is missing of a hub's model: minutes for gigabytes.
///
/// # Errors
/// `InvalidRequest` says what to change; `Unavailable` if the hub cannot be reached and the cache has no complete snapshot.
pub async fn fetch(config: &Config) -> Result<PathBuf> {
    match config::model_source(&config.engine)? {
        ModelSource::Folder(folder) => Ok(folder),
        ModelSource::Hub(model) => hub()?.fetch(&model).await,
    }
}

/// Looks into the cache only.
///
/// # Errors
/// `InvalidRequest` names what is missing and how to fetch it.
pub fn find(config: &Config) -> Result<PathBuf> {
    match config::model_source(&config.engine)? {
        ModelSource::Folder(folder) => Ok(folder),
        ModelSource::Hub(model) => hub()?.cached(&model),
    }
}

fn hub() -> Result<Hub> {
    HubConfig::read(std::env::vars_os()).map(Hub::new)
}
