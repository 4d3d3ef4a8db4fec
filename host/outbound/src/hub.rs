//! Models of a Hugging Face hub: downloads what a model needs into the Hugging Face cache, and finds it there. Not here: reading
//! the files (`engine`).
//!
//! Not with the crate `hf-hub`, which sends the token to the hosts that the hub redirects to, does not check what it received, and
//! gives up while another process downloads.

mod cache;
mod config;
mod digest;
mod download;
mod failure;
mod listing;
mod model;
mod progress;
mod transport;

pub use config::HubConfig;
pub use model::HubModel;
pub use transport::is_loopback;

use cache::{INDEX, Missing, ModelCache};
use download::Download;
use failure::Failure;
use listing::{HubFile, Listing};
use progress::{Progress, size};
use riad_core::{Error, Result};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use transport::Transport;

/// Before further attempts; a download that goes on begins again with the first.
const RETRY_PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

pub struct Hub {
    config: HubConfig,
    pauses: Vec<Duration>,
}

impl Hub {
    #[must_use]
    pub fn new(config: HubConfig) -> Self {
        Self::with_pauses(config, &RETRY_PAUSES)
    }

    /// As `new`, with other pauses before further attempts.
    #[must_use]
    pub fn with_pauses(config: HubConfig, pauses: &[Duration]) -> Self {
        Self {
            config,
            pauses: pauses.to_vec(),
        }
    }

    /// The folder of the model's snapshot in the cache. Without a request if the cache is to be used only, or if it has the commit
    /// that the model names; otherwise the hub is asked for the newest commit, and files that are missing are downloaded.
    ///
    /// # Errors
    /// `InvalidRequest` says what to change: the model, the token, the space on the disk. `Unavailable` if the hub cannot be reached
    /// and the cache has no complete snapshot.
    pub async fn fetch(&self, model: &HubModel) -> Result<PathBuf> {
        let cached = self.cache(model).complete_snapshot(model);
        if self.config.offline {
            return cached.map_err(|missing| {
                let advice = "unset HF_HUB_OFFLINE, or copy the model into the cache";
                self.missing_error(model, &missing, &format!("HF_HUB_OFFLINE is set; {advice}"))
            });
        }
        if let (true, Ok(folder)) = (model.is_commit(), &cached) {
            return Ok(folder.clone());
        }
        // With a snapshot to start with, the server does not wait for a hub that is down.
        let pauses = match cached {
            Ok(_) => &[],
            Err(_) => self.pauses.as_slice(),
        };
        match (self.download(model, pauses).await, cached) {
            (Ok(folder), _) => Ok(folder),
            (Err(Failure::Refused(error)), _) => Err(error),
            (Err(Failure::Unreachable(why)), Ok(folder)) => {
                tracing::warn!(
                    %model,
                    why,
                    snapshot = %folder.display(),
                    "the hub cannot be reached; the complete snapshot in the cache is used"
                );
                Ok(folder)
            }
            (Err(Failure::Unreachable(why)), Err(_)) => Err(failure::unreachable_error(
                model,
                self.config.endpoint.as_str().trim_end_matches('/'),
                &why,
            )),
        }
    }

    /// The folder of the model's snapshot in the cache, without any request.
    ///
    /// # Errors
    /// `InvalidRequest` names what is missing and how to fetch it.
    pub fn cached(&self, model: &HubModel) -> Result<PathBuf> {
        self.cache(model).complete_snapshot(model).map_err(|missing| {
            let revision = match model.revision() {
                "main" => String::new(),
                revision => format!(" --revision {revision}"),
            };
            let advice = format!(
                "start the server, which downloads it, or run hf download {}{revision}",
                model.id()
            );
            self.missing_error(model, &missing, &advice)
        })
    }

    fn missing_error(&self, model: &HubModel, missing: &Missing, advice: &str) -> Error {
        let cache = self.config.cache.display();
        let what = match missing {
            Missing::Snapshot => format!("{model} is not in the Hugging Face cache ({cache})"),
            Missing::File(name) => format!("{model} has no {name} in the Hugging Face cache ({cache})"),
        };
        Error::invalid(format!("{what}; {advice}")).with_param("engine.model")
    }

    fn cache(&self, model: &HubModel) -> ModelCache {
        ModelCache::new(&self.config.cache, model)
    }

    async fn download(&self, model: &HubModel, pauses: &[Duration]) -> Result<PathBuf, Failure> {
        let transport = Transport::open(&self.config)?;
        let listing = list(&transport, model, pauses).await?;
        let cache = self.cache(model);
        let silent = Progress::default();
        let mut download = Download {
            transport: &transport,
            cache: &cache,
            model,
            commit: &listing.commit,
            progress: &silent,
            pauses: &self.pauses,
        };
        let folder = cache.snapshot(&listing.commit);
        let index = match listing.has_index() {
            true => Some(index(&download, &listing, &folder).await?),
            false => None,
        };
        let mut files = Vec::new();
        for name in listing.choose(model, index.as_deref())? {
            let file = listing.file(&transport, model, &name).await?;
            if !cache.has(&listing.commit, &name, file.content.size) {
                files.push(file);
            }
        }
        let bytes = files.iter().map(|file| file.content.size).sum();
        let progress = Progress::of(bytes);
        download.progress = &progress;
        if !files.is_empty() {
            let (files, total, commit) = (files.len(), size(bytes), &listing.commit);
            let endpoint = transport.endpoint();
            tracing::info!(%model, commit, files, total, endpoint, "downloading the model");
        }
        progress.log_during(model, fetch_all(&download, &files)).await?;
        let linked = cache.set_commit(model, &listing.commit);
        linked.map_err(|error| Failure::disk(error, &self.config.cache))?;
        tracing::info!(%model, commit = listing.commit, snapshot = %folder.display(), "the model is in the cache");
        Ok(folder)
    }
}

async fn fetch_all(download: &Download<'_>, files: &[HubFile]) -> Result<(), Failure> {
    for file in files {
        download.fetch(file).await?;
    }
    Ok(())
}

async fn list(transport: &Transport, model: &HubModel, pauses: &[Duration]) -> Result<Listing, Failure> {
    let mut pauses = pauses.iter();
    loop {
        match (Listing::fetch(transport, model).await, pauses.next()) {
            (Err(Failure::Unreachable(why)), Some(pause)) => {
                tracing::warn!(%model, why, "the hub cannot be reached; trying again");
                tokio::time::sleep(*pause).await;
            }
            (result, _) => return result,
        }
    }
}

/// The content of the index, which says what else to fetch.
async fn index(download: &Download<'_>, listing: &Listing, folder: &Path) -> Result<Vec<u8>, Failure> {
    let file = listing.file(download.transport, download.model, INDEX).await?;
    if !download.cache.has(&listing.commit, INDEX, file.content.size) {
        download.fetch(&file).await?;
    }
    let path = folder.join(INDEX);
    let read = tokio::fs::read(&path).await;
    read.map_err(|error| Failure::disk(error, &path))
}
