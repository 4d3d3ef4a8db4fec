//! `/operator/v1/tenants`.

use riad_core::{
    TenantId,
    policy::{Budget, PluginGrants, TenantLimits},
    tenant,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use utoipa::ToSchema;

#[derive(Serialize, Deserialize, ToSchema)]
pub struct NewTenant {
    /// a-z, 0-9, - and _; never changes.
    #[schema(value_type = String, example = "acme")]
    pub id: TenantId,
    /// A name for people to read.
    pub name: String,
    #[serde(flatten)]
    pub policy: PolicyPatch,
}

/// What changes; null removes a budget or a limit.
#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct TenantPatch {
    /// A name for people to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(flatten)]
    pub policy: PolicyPatch,
}

/// A JSON merge patch (RFC 7396) of the tenant's policy.
#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct PolicyPatch {
    /// The plan whose prices hold; `standard` is free until it gets prices.
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub plan: Option<Value>,
    /// Share of the engine while others wait too, 1 to 1000; 1 by default.
    #[schema(value_type = Option<u32>)]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub weight: Option<Value>,
    /// Whether the tenant's requests share what the engine computed of a common beginning; true by default. When it is switched off,
    /// what the engine keeps of the tenant is dropped.
    #[schema(value_type = Option<bool>)]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub prefix_cache: Option<Value>,
    /// `total_tokens`, `monthly_tokens`, `daily_tokens`, the same with `_micros` (millionths of the currency), `mode` (`hard` or
    /// `soft`), `webhook` and `thresholds` (percent).
    #[schema(value_type = Option<Object>, example = json!({"monthly_tokens": 50_000_000, "thresholds": [80, 100]}))]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub budget: Option<Value>,
    /// `requests_per_minute`, `tokens_per_minute`, `concurrent_requests`, `context_tokens`, `completion_tokens`,
    /// `pinned_adapter_bytes`, `stored_bytes`, and `service_tier`, the best that a request may ask for.
    #[schema(value_type = Option<Object>, example = json!({"requests_per_minute": 600, "service_tier": "priority"}))]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub limits: Option<Value>,
    /// What plugins reach: `capabilities`, a list (null: all), and `http_hosts`, the hosts to which they may send requests (`api.acme.com`,
    /// `*.acme.com`, with a port `api.acme.com:8443`, without TLS `http://api.acme.com`).
    #[schema(value_type = Option<Object>, example = json!({"http_hosts": ["api.acme.com"]}))]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub plugins: Option<Value>,
    /// Unknown members, which the server refuses by name.
    #[serde(flatten)]
    #[schema(ignore)]
    pub others: Map<String, Value>,
}

/// Keeps a null apart from what is not there: in a patch it removes.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

impl PolicyPatch {
    /// The patch as one JSON object.
    #[must_use]
    pub fn into_patch(self) -> Value {
        let mut patch = self.others;
        let named = [
            ("plan", self.plan),
            ("weight", self.weight),
            ("prefix_cache", self.prefix_cache),
            ("budget", self.budget),
            ("limits", self.limits),
            ("plugins", self.plugins),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                patch.insert(name.to_owned(), value);
            }
        }
        Value::Object(patch)
    }
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct TenantList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    /// By id.
    pub data: Vec<Tenant>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    pub id: String,
    pub name: String,
    pub created: u64,
    /// The account that is billed. A tenant that is created again under the same id has another account.
    pub account: u64,
    pub plan: String,
    pub weight: u32,
    pub prefix_cache: bool,
    #[schema(value_type = Object)]
    pub budget: Budget,
    #[schema(value_type = Object)]
    pub limits: TenantLimits,
    #[schema(value_type = Object)]
    pub plugins: PluginGrants,
}

/// A tenant with its first key, which is shown this once.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct CreatedTenant {
    #[serde(flatten)]
    pub tenant: Tenant,
    #[schema(example = "riad_sk_…")]
    pub key: String,
    pub key_id: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct DeletedTenant {
    #[schema(example = "tenant.deleted")]
    pub object: Cow<'static, str>,
    pub id: String,
    pub deleted: bool,
}

impl From<tenant::Tenant> for Tenant {
    fn from(tenant: tenant::Tenant) -> Self {
        Self {
            id: tenant.id.into(),
            name: tenant.name,
            created: tenant.created,
            account: tenant.account.number(),
            plan: tenant.policy.plan.into(),
            weight: tenant.policy.weight,
            prefix_cache: tenant.policy.prefix_cache,
            budget: tenant.policy.budget,
            limits: tenant.policy.limits,
            plugins: tenant.policy.plugins,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_keeps_null_apart_from_absent() {
        let body = json!({"name": "Acme", "budget": null, "wieght": 2});
        let patch: TenantPatch = serde_json::from_value(body.clone()).unwrap();
        assert_eq!(serde_json::to_value(&patch).unwrap(), body, "written as it was read");
        assert_eq!(patch.policy.into_patch(), json!({"budget": null, "wieght": 2}));
    }
}
