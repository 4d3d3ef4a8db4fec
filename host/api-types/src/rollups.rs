//! `/operator/v1/rollups`.

use riad_core::usage;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::{IntoParams, ToSchema};

#[derive(Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RollupParams {
    /// Seconds since 1970-01-01 UTC.
    pub start_time: u64,
    /// Exclusive; today is in the answer if it is not given.
    pub end_time: Option<u64>,
    /// Only this tenant, and former ones with the same id.
    pub tenant: Option<String>,
    /// `json` or `csv`.
    pub format: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct RollupList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    /// By day, then by account.
    pub data: Vec<Rollup>,
}

/// A day of an account at one version of its prices: a line of an invoice.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Rollup {
    /// Midnight, seconds since 1970-01-01 UTC.
    pub day: u64,
    pub tenant: String,
    pub account: u64,
    pub plan: String,
    pub plan_version: u32,
    pub requests: u64,
    pub prompt_tokens: u64,
    /// Of `prompt_tokens`, those that the prefix cache had.
    pub cached_tokens: u64,
    pub completion_tokens: u64,
    pub embedded_tokens: u64,
    pub fuel: u64,
    pub stored_byte_hours: u64,
    pub adapter_byte_hours: u64,
    pub cost_nanos: u64,
    pub currency: String,
}

impl Rollup {
    #[must_use]
    pub fn new(rollup: usage::Rollup, currency: &str) -> Self {
        let used = rollup.used;
        Self {
            day: rollup.day,
            tenant: rollup.tenant.into(),
            account: rollup.account.number(),
            plan: rollup.plan.into(),
            plan_version: rollup.plan_version,
            requests: used.requests,
            prompt_tokens: used.prompt_tokens,
            cached_tokens: used.cached_tokens,
            completion_tokens: used.completion_tokens,
            embedded_tokens: used.embedded_tokens,
            fuel: used.fuel,
            stored_byte_hours: used.stored_byte_hours,
            adapter_byte_hours: used.adapter_byte_hours,
            cost_nanos: rollup.cost_nanos,
            currency: currency.to_owned(),
        }
    }
}
