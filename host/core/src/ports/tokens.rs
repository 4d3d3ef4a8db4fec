//! Bearer tokens (JWT) of an identity provider.

use crate::{KeyId, Result, Secret, TenantId, grants::Grants};
use async_trait::async_trait;

/// Claims of a verified token.
#[derive(Debug, Clone)]
pub struct Claims {
    pub tenant: TenantId,
    /// Identifies the subject, like a key's id: the same for all tokens of one subject.
    pub key: KeyId,
    pub grants: Grants,
    /// Seconds since 1970-01-01 UTC.
    pub issued_at: u64,
    /// Seconds by which the issuer's clock may be ahead of this server's.
    pub leeway: u64,
}

#[async_trait]
pub trait Tokens: Send + Sync {
    /// Whether this has the form of a token rather than a key. Cheap; decides which of the two is checked.
    fn is_token(&self, presented: &Secret<String>) -> bool;

    /// Signature, issuer, audience, times and claims. `Unauthenticated` says which of them is wrong; `Unavailable` if the
    /// provider's keys cannot be had.
    async fn verify(&self, token: &Secret<String>) -> Result<Claims>;
}
