//! Settings: which tokens are accepted, and how their claims are named.

use super::errors::invalid_setting;
use riad_core::{Result, TenantId};
use serde::{Deserialize, Serialize};

/// A longer leeway would keep expired tokens valid.
const LEEWAY_MAX_SECONDS: u64 = 300;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityConfig {
    /// The provider's public keys (RFC 7517): a path, or a URL with `http://` or `https://`.
    pub jwks: String,
    /// The tokens' `iss`, exactly.
    pub issuer: String,
    /// The tokens' `aud`, or one of them, exactly.
    pub audience: String,
    pub tenant_claim: String,
    /// `admin`, `user` or `read-only`, or a list with exactly one of them.
    pub role_claim: String,
    /// A text with spaces between the scopes, or a list. Without this claim a token has all scopes.
    pub scopes_claim: String,
    /// The tenants that this issuer's tokens may name; empty: all.
    pub tenants: Vec<TenantId>,
    /// How far the provider's clock may differ from ours.
    pub leeway_seconds: u64,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            jwks: String::new(),
            issuer: String::new(),
            audience: String::new(),
            tenant_claim: "tenant".to_owned(),
            role_claim: "role".to_owned(),
            scopes_claim: "scope".to_owned(),
            tenants: Vec::new(),
            leeway_seconds: 30,
        }
    }
}

impl IdentityConfig {
    pub(super) fn check(&self) -> Result<()> {
        for (name, value) in [
            ("jwks", &self.jwks),
            ("issuer", &self.issuer),
            ("audience", &self.audience),
            ("tenant_claim", &self.tenant_claim),
            ("role_claim", &self.role_claim),
            ("scopes_claim", &self.scopes_claim),
        ] {
            if value.is_empty() {
                return Err(invalid_setting(name, "must not be empty"));
            }
        }
        if self.leeway_seconds > LEEWAY_MAX_SECONDS {
            return Err(invalid_setting(
                "leeway_seconds",
                format_args!("must be at most {LEEWAY_MAX_SECONDS}"),
            ));
        }
        Ok(())
    }

    pub(super) fn jwks_is_url(&self) -> bool {
        let begins = |scheme: &str| {
            self.jwks
                .get(..scheme.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
        };
        begins("http://") || begins("https://")
    }
}
