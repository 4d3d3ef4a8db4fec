//! Verifies tokens of an identity provider. Not here: whether the tenant that a token names exists (`TenantPass`).

mod claims;
mod config;
mod errors;
mod file;
pub mod fuzzing;
mod keys;
mod provider;
mod unverified;

pub use config::IdentityConfig;
pub use provider::KeyRefresh;

use async_trait::async_trait;
use errors::reject;
use file::FileKeys;
use keys::{KeyNotFound, KeySet, VerifyingKey};
use provider::ProviderKeys;
use riad_core::{
    Result, Secret, Timestamp,
    ports::{Claims, Tokens},
};
use std::{path::Path, sync::Arc};
use tokio::time::Instant;
use unverified::UnverifiedToken;

/// Verifies the tokens of one issuer.
pub struct IdentityTokens {
    config: IdentityConfig,
    source: KeySource,
}

enum KeySource {
    File(FileKeys),
    Provider(Arc<ProviderKeys>),
}

impl IdentityTokens {
    /// Reads the keys if they are in a file; those at an address are fetched at first use.
    ///
    /// # Errors
    /// `InvalidRequest` names the setting at fault, as `auth.jwks`.
    pub fn open(config: IdentityConfig) -> Result<Self> {
        Self::open_with(config, KeyRefresh::default())
    }

    /// As `open`, with other times for fetched keys.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(config: IdentityConfig, refresh: KeyRefresh) -> Result<Self> {
        config.check()?;
        let source = if config.jwks_is_url() {
            KeySource::Provider(Arc::new(ProviderKeys::open(&config.jwks, refresh)?))
        } else {
            KeySource::File(FileKeys::open(Path::new(&config.jwks))?)
        };
        Ok(Self { config, source })
    }

    async fn find_key(&self, token: &UnverifiedToken<'_>) -> Result<VerifyingKey> {
        let started = Instant::now();
        let mut found = self.keys().await?.find(token.kid.as_deref(), token.algorithm);
        if let (Err(KeyNotFound::Unknown), KeySource::Provider(provider)) = (&found, &self.source) {
            // The provider may have published new keys since the last fetch.
            let keys = provider.keys_newer_than(started).await?;
            found = keys.find(token.kid.as_deref(), token.algorithm);
        }
        found.map_err(|why| {
            reject(match why {
                KeyNotFound::Unknown => "it is not signed with a key of the identity provider",
                KeyNotFound::WrongAlgorithm => "its key is not for its algorithm",
                KeyNotFound::Ambiguous => {
                    "more than one key of the identity provider fits it; its header must name one as `kid`"
                }
            })
        })
    }

    async fn keys(&self) -> Result<Arc<KeySet>> {
        match &self.source {
            KeySource::File(file) => Ok(file.keys().await),
            KeySource::Provider(provider) => provider.keys().await,
        }
    }
}

#[async_trait]
impl Tokens for IdentityTokens {
    fn is_token(&self, presented: &Secret<String>) -> bool {
        unverified::is_token(presented.reveal())
    }

    async fn verify(&self, token: &Secret<String>) -> Result<Claims> {
        let token = UnverifiedToken::read(token.reveal())?;
        if !self.find_key(&token).await?.verifies(&token) {
            return Err(reject("its signature is wrong"));
        }
        // Only now: until the signature is verified, anybody may have written them.
        claims::read(&self.config, &token.claims()?, Timestamp::now().as_seconds())
    }
}
