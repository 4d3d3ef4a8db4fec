//! Validates the claims of a token (RFC 7519) whose signature has been verified, and converts them.

use super::{config::IdentityConfig, errors::reject};
use riad_core::{
    Digest, KeyId, Result, TenantId,
    grants::{Grants, KeyRole, Scope},
    ports::Claims,
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// How much of a subject's digest its key id has.
const SUBJECT_HEX_DIGITS: usize = 24;

/// `now` in seconds since 1970-01-01 UTC.
pub(super) fn read(config: &IdentityConfig, claims: &Map<String, Value>, now: u64) -> Result<Claims> {
    if claims.get("iss").and_then(Value::as_str) != Some(config.issuer.as_str()) {
        return Err(reject("its issuer (`iss`) is not the one that this server trusts"));
    }
    if !contains_audience(claims.get("aud"), &config.audience) {
        return Err(reject("its audience (`aud`) is not this server"));
    }
    let issued_at = check_times(claims, now, config.leeway_seconds)?;
    let subject = match claims.get("sub").and_then(Value::as_str) {
        Some(subject) if !subject.is_empty() => subject,
        Some(_) | None => return Err(reject("it has no subject (`sub`)")),
    };
    Ok(Claims {
        tenant: tenant(config, claims)?,
        key: key_id(&config.issuer, subject)?,
        grants: Grants {
            role: role(claims.get(&config.role_claim), &config.role_claim)?,
            scopes: scopes(claims.get(&config.scopes_claim), &config.scopes_claim)?,
        },
        issued_at,
        leeway: config.leeway_seconds,
    })
}

/// `aud` is a text or a list of texts.
fn contains_audience(audience: Option<&Value>, own: &str) -> bool {
    match audience {
        Some(Value::String(one)) => one == own,
        Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(own)),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
    }
}

/// Checks `exp`, `nbf` and `iat`, and returns `iat`.
fn check_times(claims: &Map<String, Value>, now: u64, leeway: u64) -> Result<u64> {
    let expires = seconds(claims, "exp")?.ok_or_else(|| reject("it has no expiry (`exp`)"))?;
    if now >= expires.saturating_add(leeway) {
        return Err(reject("it has expired (`exp`)"));
    }
    if seconds(claims, "nbf")?.is_some_and(|begins| begins > now.saturating_add(leeway)) {
        return Err(reject("it is not valid yet (`nbf`)"));
    }
    let issued_at = seconds(claims, "iat")?.ok_or_else(|| reject("it has no time of issue (`iat`)"))?;
    if issued_at > now.saturating_add(leeway) {
        return Err(reject("it was issued in the future (`iat`)"));
    }
    Ok(issued_at)
}

/// Whole seconds since 1970; a fraction, which RFC 7519 allows, is cut off.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    // Saturates.
    let whole = |number: f64| (number >= 0.0).then_some(number as u64);
    value
        .as_u64()
        .or_else(|| value.as_f64().and_then(whole))
        .map(Some)
        .ok_or_else(|| reject(format_args!("`{name}` is not a time in seconds")))
}

fn tenant(config: &IdentityConfig, claims: &Map<String, Value>) -> Result<TenantId> {
    let name = &config.tenant_claim;
    let tenant: TenantId = claims
        .get(name)
        .and_then(Value::as_str)
        .and_then(|tenant| tenant.parse().ok())
        .ok_or_else(|| reject(format_args!("its claim `{name}` must be the id of one tenant")))?;
    if !config.tenants.is_empty() && !config.tenants.contains(&tenant) {
        return Err(reject(format_args!(
            "its claim `{name}` is a tenant that its issuer may not speak for"
        )));
    }
    Ok(tenant)
}

fn role(claim: Option<&Value>, name: &str) -> Result<KeyRole> {
    let roles: Vec<KeyRole> = texts(claim)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|role| role.parse().ok())
        .collect();
    match roles.as_slice() {
        [role] => Ok(*role),
        _ => Err(reject(format_args!(
            "its claim `{name}` must have exactly one of admin, user, read-only"
        ))),
    }
}

/// Ignores unknown scopes, which are for other servers. A token that has no other scopes permits nothing.
fn scopes(claim: Option<&Value>, name: &str) -> Result<BTreeSet<Scope>> {
    if claim.is_none() {
        return Ok(Scope::ALL.into());
    }
    let words =
        texts(claim).ok_or_else(|| reject(format_args!("its claim `{name}` must be a text or a list of texts")))?;
    Ok(words
        .into_iter()
        .flat_map(str::split_whitespace)
        .filter_map(|word| word.parse().ok())
        .collect())
}

/// The text of a claim, or the texts of a list.
fn texts(claim: Option<&Value>) -> Option<Vec<&str>> {
    match claim? {
        Value::String(text) => Some(vec![text]),
        Value::Array(texts) => texts.iter().map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// The same for all tokens of one subject of one issuer.
fn key_id(issuer: &str, subject: &str) -> Result<KeyId> {
    let digest = Digest::of_parts(&[issuer.as_bytes(), subject.as_bytes()]).hex();
    format!("jwt_{}", digest.get(..SUBJECT_HEX_DIGITS).unwrap_or(&digest)).parse()
}
