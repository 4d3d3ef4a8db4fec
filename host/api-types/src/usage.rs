//! `/v1/usage`, `/v1/costs` and the operator's, in the shape of OpenAI's usage API.

use riad_core::usage;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::{IntoParams, ToSchema};

/// The same parameters for tenants and for the operator; only the operator may name a tenant. Flattening would hide unknown
/// parameters from `deny_unknown_fields`.
macro_rules! usage_params {
    ($name:ident { $($(#[doc = $doc:literal])+ $extra:ident: $type:ty,)* }) => {
        /// Lists are separated by commas.
        #[derive(Default, Serialize, Deserialize, IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Seconds since 1970-01-01 UTC.
            pub start_time: u64,
            /// Exclusive; the end of the current bucket if it is not given. A bucket that begins before it is counted in its
            /// full width.
            pub end_time: Option<u64>,
            /// `1m`, `1h` or `1d`; `1d` if it is not given.
            pub bucket_width: Option<String>,
            /// Any of `tenant`, `key`, `model`, `adapter`, `plugin`, `kind`.
            pub group_by: Option<String>,
            /// Ids of keys.
            pub api_key_ids: Option<String>,
            pub models: Option<String>,
            /// Any of `chat`, `embedding`, `document`, `search`, `storage`, `residency`.
            pub kinds: Option<String>,
            /// Buckets of a page, 1 to 1440; 7 days, 24 hours or 60 minutes if it is not given, as OpenAI has it.
            pub limit: Option<u32>,
            /// `next_page` of the page before.
            pub page: Option<String>,
            /// `json` or `csv`.
            pub format: Option<String>,
            $($(#[doc = $doc])+ pub $extra: $type,)*
        }
    };
}

usage_params!(UsageParams {});
usage_params!(OperatorUsageParams {
    /// Only this tenant, and former ones with the same id.
    tenant: Option<String>,
});

impl From<UsageParams> for OperatorUsageParams {
    fn from(params: UsageParams) -> Self {
        Self {
            start_time: params.start_time,
            end_time: params.end_time,
            bucket_width: params.bucket_width,
            group_by: params.group_by,
            api_key_ids: params.api_key_ids,
            models: params.models,
            kinds: params.kinds,
            limit: params.limit,
            page: params.page,
            format: params.format,
            tenant: None,
        }
    }
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct UsagePage {
    #[schema(example = "page")]
    pub object: Cow<'static, str>,
    pub data: Vec<UsageBucket>,
    pub has_more: bool,
    pub next_page: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct UsageBucket {
    #[schema(example = "bucket")]
    pub object: Cow<'static, str>,
    pub start_time: u64,
    pub end_time: u64,
    pub results: Vec<UsageResult>,
}

/// A member that was not grouped by is null.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct UsageResult {
    #[schema(example = "riad.usage.result")]
    pub object: Cow<'static, str>,
    /// Prompt and embedded tokens.
    pub input_tokens: u64,
    /// Of `input_tokens`, those of prompts that the prefix cache had.
    pub input_cached_tokens: u64,
    pub output_tokens: u64,
    /// Of `input_tokens`, those that were embedded.
    pub embedded_tokens: u64,
    pub num_model_requests: u64,
    pub fuel: u64,
    pub stored_byte_hours: u64,
    pub adapter_byte_hours: u64,
    /// Upper bound of the tokens that were spent by requests a killed process could not settle; they are not billed.
    pub abandoned_tokens: u64,
    pub tenant: Option<String>,
    pub api_key_id: Option<String>,
    pub model: Option<String>,
    pub adapter: Option<String>,
    pub plugin: Option<String>,
    pub kind: Option<Cow<'static, str>>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct CostPage {
    #[schema(example = "page")]
    pub object: Cow<'static, str>,
    pub data: Vec<CostBucket>,
    pub has_more: bool,
    pub next_page: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct CostBucket {
    #[schema(example = "bucket")]
    pub object: Cow<'static, str>,
    pub start_time: u64,
    pub end_time: u64,
    pub results: Vec<Cost>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Cost {
    #[schema(example = "riad.costs.result")]
    pub object: Cow<'static, str>,
    pub amount: Money,
    pub tenant: Option<String>,
    pub api_key_id: Option<String>,
    pub model: Option<String>,
    pub adapter: Option<String>,
    pub plugin: Option<String>,
    pub kind: Option<Cow<'static, str>>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Money {
    /// In whole units of the currency, for people; sum up `nanos`.
    pub value: f64,
    /// Nano-units (10⁻⁹ of the currency), exact.
    pub nanos: u64,
    #[schema(example = "usd")]
    pub currency: String,
}

impl From<usage::UsageBucket> for UsageBucket {
    fn from(bucket: usage::UsageBucket) -> Self {
        Self {
            object: "bucket".into(),
            start_time: bucket.start,
            end_time: bucket.end,
            results: bucket.results.into_iter().map(UsageResult::from).collect(),
        }
    }
}

impl From<usage::UsageResult> for UsageResult {
    fn from(result: usage::UsageResult) -> Self {
        let used = result.used;
        Self {
            object: "riad.usage.result".into(),
            input_tokens: used.prompt_tokens.saturating_add(used.embedded_tokens),
            input_cached_tokens: used.cached_tokens,
            output_tokens: used.completion_tokens,
            embedded_tokens: used.embedded_tokens,
            num_model_requests: used.requests,
            fuel: used.fuel,
            stored_byte_hours: used.stored_byte_hours,
            adapter_byte_hours: used.adapter_byte_hours,
            abandoned_tokens: result.abandoned_tokens,
            tenant: result.tenant,
            api_key_id: result.key,
            model: result.model,
            adapter: result.adapter,
            plugin: result.plugin,
            kind: result.kind.map(|kind| kind.as_str().into()),
        }
    }
}

impl CostBucket {
    #[must_use]
    pub fn new(bucket: usage::UsageBucket, currency: &str) -> Self {
        let results = bucket.results.into_iter();
        Self {
            object: "bucket".into(),
            start_time: bucket.start,
            end_time: bucket.end,
            results: results.map(|result| Cost::new(result, currency)).collect(),
        }
    }
}

impl Cost {
    #[must_use]
    pub fn new(result: usage::UsageResult, currency: &str) -> Self {
        Self {
            object: "riad.costs.result".into(),
            amount: Money {
                value: whole_units(result.cost_nanos),
                nanos: result.cost_nanos,
                currency: currency.to_owned(),
            },
            tenant: result.tenant,
            api_key_id: result.key,
            model: result.model,
            adapter: result.adapter,
            plugin: result.plugin,
            kind: result.kind.map(|kind| kind.as_str().into()),
        }
    }
}

/// The rounded amount for people.
#[expect(clippy::cast_precision_loss, reason = "the exact number is beside it")]
fn whole_units(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
