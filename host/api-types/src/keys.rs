//! `/v1/keys` and `/operator/v1/tenants/{id}/keys`.

use riad_core::{grants::Scope, policy::Budget, tenant};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use utoipa::{IntoParams, ToSchema};

#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// A name for people to read.
    pub name: String,
    /// `admin` (also if it is not given), `user` or `read-only`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Any of `chat`, `documents`, `plugins`, `adapters`, `usage`; all if it is not given. An admin's key with `plugins` reads through its
    /// plugins the prompts, passages and answers of all the tenant's requests, and any key with `plugins` reads what they log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// What may be spent with this key, within the tenant's budget.
    #[schema(value_type = Option<Object>, example = json!({"monthly_tokens": 1_000_000}))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Value>,
    /// When the key expires, in seconds since 1970-01-01 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Replaces the key's budget.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Value>,
    /// When the key expires, in seconds since 1970-01-01 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// How long the old key goes on working; a day if it is not given, 0 revokes it at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap_seconds: Option<u64>,
}

#[derive(Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct KeyParams {
    /// Only keys that begin with this: finds a key that turned up somewhere.
    pub prefix: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct KeyList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    /// Oldest first.
    pub data: Vec<Key>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Key {
    pub id: String,
    pub name: String,
    /// The key's first characters, to recognize it by.
    pub prefix: String,
    #[schema(example = "admin")]
    pub role: Cow<'static, str>,
    pub scopes: Vec<Cow<'static, str>>,
    #[schema(value_type = Object)]
    pub budget: Budget,
    pub created: u64,
    pub expires: Option<u64>,
    /// When it was last used, to the minute.
    pub last_used: Option<u64>,
}

/// A key with its secret, which is shown this once.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct CreatedKey {
    #[serde(flatten)]
    pub body: Key,
    #[schema(example = "riad_sk_…")]
    pub key: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct DeletedKey {
    #[schema(example = "key.deleted")]
    pub object: Cow<'static, str>,
    pub id: String,
    pub deleted: bool,
}

impl From<tenant::Key> for Key {
    fn from(key: tenant::Key) -> Self {
        let scopes = key.grants.scopes.into_iter().map(Scope::as_str);
        Self {
            id: key.id.into(),
            name: key.name,
            prefix: key.prefix,
            role: key.grants.role.as_str().into(),
            scopes: scopes.map(Cow::Borrowed).collect(),
            budget: key.budget,
            created: key.created,
            expires: key.expires,
            last_used: key.last_used,
        }
    }
}
