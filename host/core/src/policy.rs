//! What the operator lets a tenant use: plan, weight, prefix cache, budget, limits, what plugins reach. Not here: what was used (`ledger`), and enforcing it
//! (`services`).

use crate::{Error, ErrorKind, HttpHost, PlanName, Result, manifest::Capability};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeSet;

const WEIGHT_MAX: u32 = 1000;
const WEBHOOK_BYTES: usize = 2048;
const HTTP_HOSTS_MAX: usize = 64;

/// Absent members of budget and limits are not limited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Whose prices hold.
    pub plan: PlanName,
    /// Share of the engine while others wait too: 2 gets twice what 1 gets.
    pub weight: u32,
    /// Whether the tenant's requests share what was computed of a common beginning, if the server has a prefix cache.
    pub prefix_cache: bool,
    pub budget: Budget,
    pub limits: TenantLimits,
    pub plugins: PluginGrants,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            plan: PlanName::standard(),
            weight: 1,
            prefix_cache: true,
            budget: Budget::default(),
            limits: TenantLimits::default(),
            plugins: PluginGrants::default(),
        }
    }
}

/// What the tenant's plugins may reach. A plugin has of it what its manifest names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginGrants {
    /// Absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<BTreeSet<Capability>>,
    /// Hosts that plugins may send HTTP requests to, as [`HttpHost`] reads them. Without one, `http` is not granted.
    pub http_hosts: Vec<HttpHost>,
}

/// What a tenant or a key may spend. Days and months are UTC. Tokens are prompt, completion and embedded tokens together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily_tokens: Option<u64>,
    /// Millionths of the server's currency, as the other `micros`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_micros: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_micros: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily_micros: Option<u64>,
    pub mode: BudgetMode,
    /// Notified when a threshold is passed, once for each threshold and window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// Percent of a budget.
    pub thresholds: Vec<u32>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetMode {
    /// A request that could pass the budget is refused before it spends anything.
    #[default]
    Hard,
    /// Nothing is refused; the webhook is notified of thresholds.
    Soft,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Tokens that requests hold, per minute: prompt and `max_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_requests: Option<u32>,
    /// Tokens of prompt and completion together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u32>,
    /// Greatest `max_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u32>,
    /// Bytes of adapters that the tenant may pin in the engine's memory. Absent: the server's `limits.pinned_adapter_bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned_adapter_bytes: Option<u64>,
    /// Bytes that the tenant may store. Absent: the server's `limits.room_bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
    /// The best tier that a request may ask for.
    pub service_tier: Tier,
}

/// OpenAI's `service_tier`: how urgent a request is, and what its tokens weigh in the tenant's share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Admitted after the tenant's other requests and evicted before them; each token counts as four.
    Flex,
    #[default]
    Default,
    Priority,
}

impl Tier {
    pub const ALL: [Self; 3] = [Self::Flex, Self::Default, Self::Priority];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Default => "default",
            Self::Priority => "priority",
        }
    }
}

impl Policy {
    /// A policy with the members of a JSON merge patch (RFC 7396): null removes a member.
    ///
    /// # Errors
    /// `InvalidRequest` names the member at fault.
    pub fn patched(&self, patch: &Value) -> Result<Self> {
        let policy: Self = patched(self, patch)?;
        policy.check()?;
        Ok(policy)
    }

    /// # Errors
    /// `InvalidRequest` names the member at fault.
    pub fn check(&self) -> Result<()> {
        if !(1..=WEIGHT_MAX).contains(&self.weight) {
            return Err(Error::invalid(format!("weight must be 1 to {WEIGHT_MAX}")).with_param("weight"));
        }
        self.budget.check()?;
        self.limits.check()?;
        self.plugins.check()
    }
}

impl Budget {
    #[must_use]
    pub fn limits_something(&self) -> bool {
        [
            self.total_tokens,
            self.monthly_tokens,
            self.daily_tokens,
            self.total_micros,
            self.monthly_micros,
            self.daily_micros,
        ]
        .iter()
        .any(Option::is_some)
    }

    /// # Errors
    /// `InvalidRequest` names the member at fault.
    pub fn check(&self) -> Result<()> {
        if let Some(webhook) = &self.webhook {
            let known = webhook.starts_with("https://") || webhook.starts_with("http://");
            if !known || webhook.len() > WEBHOOK_BYTES {
                return Err(Error::invalid("a webhook is an http:// or https:// URL").with_param("budget.webhook"));
            }
        }
        if self.thresholds.len() > 10 || self.thresholds.iter().any(|percent| !(1..=1000).contains(percent)) {
            return Err(
                Error::invalid("thresholds are at most 10 percentages, each 1 to 1000").with_param("budget.thresholds")
            );
        }
        Ok(())
    }
}

impl PluginGrants {
    #[must_use]
    pub fn allows(&self, capability: Capability) -> bool {
        let is_named = self
            .capabilities
            .as_ref()
            .is_none_or(|granted| granted.contains(&capability));
        is_named && (capability != Capability::Http || !self.http_hosts.is_empty())
    }

    #[must_use]
    pub fn granted(&self) -> BTreeSet<Capability> {
        Capability::ALL
            .into_iter()
            .filter(|capability| self.allows(*capability))
            .collect()
    }

    fn check(&self) -> Result<()> {
        if self.http_hosts.len() > HTTP_HOSTS_MAX {
            return Err(
                Error::invalid(format!("a tenant may have up to {HTTP_HOSTS_MAX} hosts"))
                    .with_param("plugins.http_hosts"),
            );
        }
        Ok(())
    }
}

/// # Errors
/// `Forbidden` names the first capability that is used and not granted, and the key with which the operator grants it.
pub fn check_granted(granted: &BTreeSet<Capability>, used: &BTreeSet<Capability>) -> Result<()> {
    let Some(missing) = used.difference(granted).next() else {
        return Ok(());
    };
    let key = grant_key(*missing);
    Err(Error::new(
        ErrorKind::Forbidden,
        format!(
            "the plugin uses the capability `{missing}`, which is not granted to this tenant; its operator grants it with {key}"
        ),
    ))
}

/// The key of a tenant's policy that grants a capability.
#[must_use]
pub fn grant_key(capability: Capability) -> &'static str {
    match capability == Capability::Http {
        true => "plugins.http_hosts, and plugins.capabilities if that is set",
        false => "plugins.capabilities",
    }
}

impl TenantLimits {
    fn check(&self) -> Result<()> {
        for (name, value) in [
            ("requests_per_minute", self.requests_per_minute),
            ("tokens_per_minute", self.tokens_per_minute),
            ("concurrent_requests", self.concurrent_requests),
            ("context_tokens", self.context_tokens),
            ("completion_tokens", self.completion_tokens),
        ] {
            if value == Some(0) {
                return Err(Error::invalid(format!(
                    "{name} must be at least 1; revoke the keys to stop a tenant, or null removes the limit"
                ))
                .with_param(format!("limits.{name}")));
            }
        }
        Ok(())
    }
}

fn patched<T: Serialize + DeserializeOwned>(old: &T, patch: &Value) -> Result<T> {
    if !patch.is_object() {
        return Err(Error::invalid("a patch is a JSON object with the members that change"));
    }
    let mut new = serde_json::to_value(old).map_err(Error::internal)?;
    merge(&mut new, patch);
    serde_path_to_error::deserialize(new).map_err(|error| {
        let (path, words) = (error.path().to_string(), error.inner().to_string());
        match path.as_str() {
            // serde leaves an unknown member out of the path; its message has the name.
            "." => {
                let name = words.split('`').nth(1).unwrap_or_default().to_owned();
                Error::invalid(words).with_param(name)
            }
            _ => Error::invalid(format!("{path}: {words}")).with_param(path),
        }
    })
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(target) = target {
        for (name, value) in patch {
            if value.is_null() {
                target.remove(name);
            } else {
                merge(target.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_changes_what_it_names_and_null_removes() {
        let policy = Policy::default()
            .patched(&json!({"budget": {"total_tokens": 100, "monthly_tokens": 10}, "weight": 3}))
            .unwrap();
        assert_eq!((policy.budget.total_tokens, policy.weight), (Some(100), 3));
        let policy = policy.patched(&json!({"budget": {"monthly_tokens": null}})).unwrap();
        assert_eq!(
            (policy.budget.total_tokens, policy.budget.monthly_tokens),
            (Some(100), None)
        );
    }

    #[test]
    fn a_policy_of_an_earlier_version_has_the_prefix_cache() {
        let stored =
            r#"{"plan":"gold","weight":3,"budget":{"mode":"soft","thresholds":[]},"limits":{"service_tier":"flex"}}"#;
        let policy: Policy = serde_json::from_str(stored).unwrap();
        assert!(policy.prefix_cache);
        let off = policy.patched(&json!({"prefix_cache": false})).unwrap();
        assert!(!off.prefix_cache);
        // null takes the member away, and with it what it said.
        assert_eq!(off.patched(&json!({"prefix_cache": null})).unwrap(), policy);
    }

    #[test]
    fn an_invalid_patch_names_its_member() {
        let refused = |patch: Value| Policy::default().patched(&patch).unwrap_err();
        assert_eq!(refused(json!({"budgets": {}})).param(), Some("budgets"));
        assert!(
            refused(json!({"budget": {"total_tokens": -1}}))
                .message()
                .contains("-1")
        );
        assert_eq!(refused(json!({"weight": 0})).param(), Some("weight"));
        assert_eq!(refused(json!({"prefix_cache": "off"})).param(), Some("prefix_cache"));
        assert_eq!(
            refused(json!({"limits": {"concurrent_requests": 0}})).param(),
            Some("limits.concurrent_requests")
        );
        assert_eq!(
            refused(json!({"budget": {"webhook": "ftp://x"}})).param(),
            Some("budget.webhook")
        );
        assert!(Policy::default().patched(&json!([])).is_err());
    }
}
