//! For the fuzz target `tokens` (`tests/fuzz`) only: the steps of verifying a token, each on bytes that nobody vouches for.

use super::{claims, config::IdentityConfig, keys::KeySet, unverified, unverified::UnverifiedToken};
use riad_core::{Error, Result, ports::Claims};

pub fn is_token(presented: &str) -> bool {
    unverified::is_token(presented)
}

/// Whether a key of the set verifies a token whose form is right.
///
/// # Errors
/// As `verify`, but for the claims' content.
pub fn read_token(jwks: &[u8], token: &str) -> Result<bool> {
    let keys = KeySet::read(jwks).map_err(|error| Error::invalid(error.to_string()))?;
    let token = UnverifiedToken::read(token)?;
    token.claims()?;
    Ok(keys
        .find(token.kid.as_deref(), token.algorithm)
        .is_ok_and(|key| key.verifies(&token)))
}

/// # Errors
/// As `verify` for a token with these claims whose signature is right.
pub fn read_claims(config: &IdentityConfig, json: &[u8], now_seconds: u64) -> Result<Claims> {
    let claims = serde_json::from_slice(json).map_err(|error| Error::invalid(error.to_string()))?;
    claims::read(config, &claims, now_seconds)
}
