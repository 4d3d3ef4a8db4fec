//! Tokens of an identity provider: which key signed one, and whether it holds.
//! Not here: what a tenant's keys are (`KeyStore`), and whether the tenant that a token names exists (`TenantPass`).

mod claims;
mod config;
mod file;
mod keys;
mod parts;
mod provider;

pub use config::IdentityConfig;
pub use provider::KeyTimes;

use async_trait::async_trait;
use file::FileKeys;
use keys::{Jwk, KeySet, Unfound};
use parts::Parts;
use provider::ProviderKeys;
use riad_core::{
    Error, ErrorKind, Result, Secret,
    ports::{Claims, Tokens},
};
use std::{
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::time::Instant;

/// Verifies the tokens of one issuer.
pub struct IdentityTokens {
    config: IdentityConfig,
    source: Source,
}

enum Source {
    File(FileKeys),
    Provider(Arc<ProviderKeys>),
}

impl IdentityTokens {
    /// Reads the keys if they are in a file; an address is asked at first use.
    ///
    /// # Errors
    /// `InvalidRequest` names the setting at fault, as `auth.jwks`.
    pub fn open(config: IdentityConfig) -> Result<Self> {
        Self::open_with(config, KeyTimes::default())
    }

    /// As `open`, with other times for keys that are fetched.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(config: IdentityConfig, times: KeyTimes) -> Result<Self> {
        config.check()?;
        let source = if config.jwks_is_address() {
            Source::Provider(Arc::new(ProviderKeys::open(&config.jwks, times)?))
        } else {
            Source::File(FileKeys::open(Path::new(&config.jwks))?)
        };
        Ok(Self { config, source })
    }

    async fn key(&self, parts: &Parts<'_>) -> Result<Jwk> {
        let began = Instant::now();
        let mut found = self.keys().await?.find(parts.kid.as_deref(), parts.algorithm);
        if let (Err(Unfound::Unknown), Source::Provider(provider)) = (&found, &self.source) {
            // The provider may have new keys since it was asked.
            found = provider.newer(began).await?.find(parts.kid.as_deref(), parts.algorithm);
        }
        found.map_err(|why| {
            refused(match why {
                Unfound::Unknown => "it is not signed with a key of the identity provider",
                Unfound::Unfit => "its key is not for its algorithm",
                Unfound::Several => {
                    "more than one key of the identity provider fits it; its header must name one as `kid`"
                }
            })
        })
    }

    async fn keys(&self) -> Result<Arc<KeySet>> {
        match &self.source {
            Source::File(file) => Ok(file.keys().await),
            Source::Provider(provider) => provider.keys().await,
        }
    }
}

#[async_trait]
impl Tokens for IdentityTokens {
    fn is_token(&self, presented: &Secret<String>) -> bool {
        parts::is_token(presented.reveal())
    }

    async fn verify(&self, token: &Secret<String>) -> Result<Claims> {
        let parts = Parts::read(token.reveal())?;
        if !self.key(&parts).await?.verifies(&parts) {
            return Err(refused("its signature is wrong"));
        }
        // Not before the signature is checked: nothing in there is anybody's word until then.
        claims::read(&self.config, &parts.claims()?, now())
    }
}

/// `why` is one of our own sentences: no part of a token may get into it.
fn refused(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Unauthenticated, format!("this token is not valid: {why}"))
}

/// Seconds since 1970-01-01 UTC.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
