//! The sections for identity, scheduling, metering and telemetry. Not here: their checks (`check`).

use riad_core::TenantId;
use riad_telemetry::LogFormat;
use serde::{Deserialize, Serialize};

/// Tokens of an identity provider. Off without `jwks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// A path, or a URL with `http://` or `https://`.
    pub jwks: Option<String>,
    pub issuer: Option<String>,
    pub audience: Option<String>,
    pub tenant_claim: String,
    pub role_claim: String,
    pub scopes_claim: String,
    /// The tenants that the issuer may speak for; empty: all.
    pub tenants: Vec<TenantId>,
    pub leeway_seconds: u64,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            jwks: None,
            issuer: None,
            audience: None,
            tenant_claim: "tenant".into(),
            role_claim: "role".into(),
            scopes_claim: "scope".into(),
            tenants: Vec::new(),
            leeway_seconds: 30,
        }
    }
}

/// Who is next when a lane is free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchedulerPolicy {
    /// The tenant that has had least for its weight.
    #[default]
    Fair,
    /// Who came first.
    Fifo,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scheduler {
    pub policy: SchedulerPolicy,
    pub target_first_token_ms: u64,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self {
            policy: SchedulerPolicy::default(),
            target_first_token_ms: 10_000,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metering {
    /// Three letters of ISO 4217, in lower case as OpenAI has them.
    pub currency: String,
    /// How often what is stored and resident is written to the ledger.
    pub accrual_ms: u64,
}

impl Default for Metering {
    fn default() -> Self {
        Self {
            currency: "usd".into(),
            accrual_ms: 3_600_000,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    pub log_format: LogFormat,
    /// Base URL of a collector for OTLP over HTTP; no traces without it.
    pub otlp_endpoint: Option<String>,
    /// Share of the requests that are traced, 0 to 1.
    pub sample_ratio: f64,
    pub tenant_label: bool,
    pub max_tenants: usize,
    pub open_metrics: bool,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            log_format: LogFormat::default(),
            otlp_endpoint: None,
            sample_ratio: 1.0,
            tenant_label: false,
            max_tenants: 100,
            open_metrics: false,
        }
    }
}
