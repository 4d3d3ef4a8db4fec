//! Bearer tokens of an identity provider.

use crate::{KeyId, Result, Secret, TenantId, grants::Grants};
use async_trait::async_trait;

/// What a verified token says.
#[derive(Debug, Clone)]
pub struct Claims {
    pub tenant: TenantId,
    /// Names the subject, as a key's id names a key: the same for all tokens of one subject.
    pub key: KeyId,
    pub grants: Grants,
    /// Seconds since 1970-01-01 UTC.
    pub issued_at: u64,
}

#[async_trait]
pub trait Tokens: Send + Sync {
    /// Whether this looks like a token and not like a key. Cheap; decides which of the two is checked.
    fn is_token(&self, presented: &Secret<String>) -> bool;

    /// Signature, issuer, audience, times and claims. `Unauthenticated` says which of them is wrong; `Unavailable` if the
    /// provider's keys cannot be had.
    async fn verify(&self, token: &Secret<String>) -> Result<Claims>;
}
