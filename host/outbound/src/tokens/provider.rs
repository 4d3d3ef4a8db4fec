//! Keys that an identity provider publishes at an address. They are fetched at first use, cached, and fetched again when they
//! are old or when a token names an unknown one.

use super::{
    errors::invalid_setting,
    keys::{KeySet, SET_MAX_BYTES},
};
use crate::client;
use parking_lot::RwLock;
use riad_core::{Error, ErrorKind, Result};
use std::{error::Error as StdError, sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::Instant,
};

const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// When keys are fetched. The defaults are what a server uses.
#[derive(Debug, Clone, Copy)]
pub struct KeyRefresh {
    /// For how long keys are used without a fetch. A key that the provider withdraws stays valid for that long, and longer
    /// while no fetch succeeds.
    pub max_age: Duration,
    /// The least time between two fetches because of unknown keys, and after a failed one while older keys are in use: bad
    /// tokens cost the provider nothing.
    pub min_interval: Duration,
    /// The least time after a failed fetch while there are no keys at all.
    pub retry_after: Duration,
}

impl Default for KeyRefresh {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(300),
            min_interval: Duration::from_secs(30),
            retry_after: Duration::from_secs(5),
        }
    }
}

pub(super) struct ProviderKeys {
    address: reqwest::Url,
    client: reqwest::Client,
    refresh: KeyRefresh,
    cached: RwLock<Option<CachedKeys>>,
    /// Locked during a fetch: there is never more than one.
    history: Arc<Mutex<FetchHistory>>,
}

#[derive(Clone)]
struct CachedKeys {
    keys: Arc<KeySet>,
    requested_at: Instant,
}

#[derive(Default)]
struct FetchHistory {
    /// The last fetch because of an unknown key.
    for_unknown_key: Option<Instant>,
    failed: Option<Instant>,
}

impl ProviderKeys {
    pub(super) fn open(address: &str, refresh: KeyRefresh) -> Result<Self> {
        let address: reqwest::Url = address
            .parse()
            .map_err(|error| invalid_setting("jwks", format_args!("is not a URL: {error}")))?;
        if address.scheme() != "https" {
            tracing::warn!(
                "auth.jwks is not https://: anybody on the network path to the provider can forge tokens for any tenant"
            );
        }
        Ok(Self {
            address,
            client: client::open(FETCH_TIMEOUT).map_err(Error::internal)?,
            refresh,
            cached: RwLock::default(),
            history: Arc::default(),
        })
    }

    pub(super) async fn keys(self: &Arc<Self>) -> Result<Arc<KeySet>> {
        match self.cached() {
            Some(cached) if self.is_fresh(&cached) => return Ok(cached.keys),
            Some(_) => {
                // The first request fetches. Others use the older keys and do not wait for a slow provider.
                if let Ok(history) = Arc::clone(&self.history).try_lock_owned()
                    && !self.cached().is_some_and(|cached| self.is_fresh(&cached))
                    && has_passed(history.failed, self.refresh.min_interval)
                {
                    self.fetch(history).await;
                }
            }
            None => {
                let history = Arc::clone(&self.history).lock_owned().await;
                if self.cached().is_none() && has_passed(history.failed, self.refresh.retry_after) {
                    self.fetch(history).await;
                }
            }
        }
        self.cached_or_unavailable()
    }

    /// For a token with an unknown key: keys requested after `time`, when the token came, if another fetch is due; otherwise
    /// the cached ones.
    pub(super) async fn keys_newer_than(self: &Arc<Self>, time: Instant) -> Result<Arc<KeySet>> {
        let mut history = Arc::clone(&self.history).lock_owned().await;
        let is_newer = self.cached().is_some_and(|cached| cached.requested_at >= time);
        if !is_newer && has_passed(history.for_unknown_key, self.refresh.min_interval) {
            history.for_unknown_key = Some(Instant::now());
            self.fetch(history).await;
        }
        self.cached_or_unavailable()
    }

    async fn fetch(self: &Arc<Self>, mut history: OwnedMutexGuard<FetchHistory>) {
        let this = Arc::clone(self);
        // In a task of its own: a client that hangs up must not end the fetch that others wait for.
        let task = tokio::spawn(async move {
            let requested_at = Instant::now();
            match this.download().await {
                Ok(keys) => {
                    tracing::info!(keys = keys.len(), "fetched the identity provider's keys");
                    let keys = Arc::new(keys);
                    *this.cached.write() = Some(CachedKeys { keys, requested_at });
                    history.failed = None;
                }
                Err(error) => {
                    tracing::warn!(error, "the identity provider's keys cannot be fetched");
                    history.failed = Some(Instant::now());
                }
            }
        });
        if let Err(error) = task.await {
            tracing::error!(%error, "the fetch of the identity provider's keys was aborted");
        }
    }

    async fn download(&self) -> Result<KeySet, Box<dyn StdError + Send + Sync>> {
        let mut response = self
            .client
            .get(self.address.clone())
            .header(reqwest::header::ACCEPT, "application/jwk-set+json, application/json")
            .send()
            .await
            .map_err(client::describe)?;
        if !response.status().is_success() {
            return Err(format!("it answers with status {}", response.status()).into());
        }
        let mut json = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(client::describe)? {
            if json.len() + piece.len() > SET_MAX_BYTES {
                return Err(format!("it sends more than {SET_MAX_BYTES} bytes").into());
            }
            json.extend_from_slice(&piece);
        }
        Ok(KeySet::read(&json)?)
    }

    fn cached(&self) -> Option<CachedKeys> {
        self.cached.read().clone()
    }

    fn is_fresh(&self, cached: &CachedKeys) -> bool {
        cached.requested_at.elapsed() < self.refresh.max_age
    }

    fn cached_or_unavailable(&self) -> Result<Arc<KeySet>> {
        self.cached().map(|cached| cached.keys).ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                "the identity provider's keys cannot be fetched now; try again later, or use a key of this server",
            )
            .with_retry_after(self.refresh.retry_after)
        })
    }
}

fn has_passed(last: Option<Instant>, interval: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= interval)
}
