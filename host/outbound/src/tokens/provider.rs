//! Keys that an identity provider publishes at an address. Fetched when they are first needed, kept, and fetched again when
//! they are old or when a token names one that is not there. Not here: keys in a file (`file`).

use super::{
    config::wrong,
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

const FETCH_LIMIT: Duration = Duration::from_secs(5);

/// When keys are fetched. The defaults are what a server uses.
#[derive(Debug, Clone, Copy)]
pub struct KeyTimes {
    /// So long keys are used without asking; a key that the provider takes back lives on for this long.
    pub fresh: Duration,
    /// At least so long passes between two fetches that unknown keys ask for, and after one that failed while older keys go
    /// on working: bad tokens cost the provider nothing.
    pub pause: Duration,
    /// So long passes after a fetch that failed while there are no keys at all.
    pub retry: Duration,
}

impl Default for KeyTimes {
    fn default() -> Self {
        Self {
            fresh: Duration::from_secs(300),
            pause: Duration::from_secs(30),
            retry: Duration::from_secs(5),
        }
    }
}

pub(super) struct ProviderKeys {
    address: reqwest::Url,
    client: reqwest::Client,
    times: KeyTimes,
    held: RwLock<Option<Held>>,
    /// Held while the provider is asked: there is never more than one fetch.
    attempts: Arc<Mutex<Attempts>>,
}

#[derive(Clone)]
struct Held {
    keys: Arc<KeySet>,
    /// When the provider was asked for them.
    since: Instant,
}

#[derive(Default)]
struct Attempts {
    unknown: Option<Instant>,
    failed: Option<Instant>,
}

impl ProviderKeys {
    pub(super) fn open(address: &str, times: KeyTimes) -> Result<Self> {
        let address: reqwest::Url = address
            .parse()
            .map_err(|error| wrong("jwks", format_args!("is not a URL: {error}")))?;
        if address.scheme() != "https" {
            tracing::warn!(
                "auth.jwks is not https://: whoever is on the way to the provider can make tokens for any tenant"
            );
        }
        Ok(Self {
            address,
            client: client::open(FETCH_LIMIT).map_err(Error::internal)?,
            times,
            held: RwLock::default(),
            attempts: Arc::default(),
        })
    }

    pub(super) async fn keys(self: &Arc<Self>) -> Result<Arc<KeySet>> {
        match self.held() {
            Some(held) if self.is_fresh(&held) => return Ok(held.keys),
            Some(_) => {
                // Whoever comes first asks; others go on with what is there, and do not wait for a slow provider.
                if let Ok(attempts) = Arc::clone(&self.attempts).try_lock_owned()
                    && !self.held().is_some_and(|held| self.is_fresh(&held))
                    && is_over(attempts.failed, self.times.pause)
                {
                    self.fetch(attempts).await;
                }
            }
            None => {
                let attempts = Arc::clone(&self.attempts).lock_owned().await;
                if self.held().is_none() && is_over(attempts.failed, self.times.retry) {
                    self.fetch(attempts).await;
                }
            }
        }
        self.held_or_unavailable()
    }

    /// For a token whose key is not there: keys that were asked for after `began`, when the token came, if the provider may be
    /// asked again; else those that are there.
    pub(super) async fn newer(self: &Arc<Self>, began: Instant) -> Result<Arc<KeySet>> {
        let mut attempts = Arc::clone(&self.attempts).lock_owned().await;
        let asked_since = self.held().is_some_and(|held| held.since >= began);
        if !asked_since && is_over(attempts.unknown, self.times.pause) {
            attempts.unknown = Some(Instant::now());
            self.fetch(attempts).await;
        }
        self.held_or_unavailable()
    }

    async fn fetch(self: &Arc<Self>, mut attempts: OwnedMutexGuard<Attempts>) {
        let this = Arc::clone(self);
        // In a task of its own: a client that hangs up must not end the fetch that the others wait for.
        let task = tokio::spawn(async move {
            let since = Instant::now();
            match this.download().await {
                Ok(keys) => {
                    tracing::info!(keys = keys.len(), "fetched the identity provider's keys");
                    let keys = Arc::new(keys);
                    *this.held.write() = Some(Held { keys, since });
                    attempts.failed = None;
                }
                Err(error) => {
                    tracing::warn!(error, "the identity provider's keys cannot be fetched");
                    attempts.failed = Some(Instant::now());
                }
            }
        });
        if let Err(error) = task.await {
            tracing::error!(%error, "fetching the identity provider's keys was cut off");
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

    fn held(&self) -> Option<Held> {
        self.held.read().clone()
    }

    fn is_fresh(&self, held: &Held) -> bool {
        held.since.elapsed() < self.times.fresh
    }

    fn held_or_unavailable(&self) -> Result<Arc<KeySet>> {
        self.held().map(|held| held.keys).ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                "the identity provider's keys cannot be had now; try again later, or use a key of this server",
            )
            .with_retry_after(self.times.retry)
        })
    }
}

fn is_over(last: Option<Instant>, pause: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= pause)
}
