//! The shapes of usage and costs, as JSON and as lines of a CSV file. Not here: who may see them.

use riad_core::usage::{UsageBucket, UsageResult};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(crate) struct UsagePage {
    #[schema(example = "page")]
    pub object: &'static str,
    pub data: Vec<Bucket>,
    pub has_more: bool,
    pub next_page: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = UsageBucket)]
pub(crate) struct Bucket {
    #[schema(example = "bucket")]
    object: &'static str,
    start_time: u64,
    end_time: u64,
    results: Vec<Usage>,
}

/// A member that was not grouped by is null.
#[derive(Serialize, ToSchema)]
#[schema(as = UsageResult)]
pub(crate) struct Usage {
    #[schema(example = "riad.usage.result")]
    object: &'static str,
    /// Prompt and embedded tokens.
    input_tokens: u64,
    output_tokens: u64,
    /// Of `input_tokens`, those that were embedded.
    embedded_tokens: u64,
    num_model_requests: u64,
    fuel: u64,
    stored_byte_hours: u64,
    adapter_byte_hours: u64,
    /// At most so many more were spent by requests that a killed process could not settle; they are not billed.
    abandoned_tokens: u64,
    tenant: Option<String>,
    api_key_id: Option<String>,
    model: Option<String>,
    adapter: Option<String>,
    plugin: Option<String>,
    kind: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CostPage {
    #[schema(example = "page")]
    pub object: &'static str,
    pub data: Vec<CostBucket>,
    pub has_more: bool,
    pub next_page: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CostBucket {
    #[schema(example = "bucket")]
    pub object: &'static str,
    pub start_time: u64,
    pub end_time: u64,
    pub results: Vec<Cost>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Cost {
    #[schema(example = "riad.costs.result")]
    object: &'static str,
    amount: Money,
    tenant: Option<String>,
    api_key_id: Option<String>,
    model: Option<String>,
    adapter: Option<String>,
    plugin: Option<String>,
    kind: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Money {
    /// In whole units of the currency, for people; sum up `nanos`.
    value: f64,
    /// Thousandths of a millionth, exact.
    nanos: u64,
    #[schema(example = "usd")]
    currency: String,
}

impl From<UsageBucket> for Bucket {
    fn from(bucket: UsageBucket) -> Self {
        Self {
            object: "bucket",
            start_time: bucket.start,
            end_time: bucket.end,
            results: bucket.results.into_iter().map(Usage::from).collect(),
        }
    }
}

impl From<UsageResult> for Usage {
    fn from(result: UsageResult) -> Self {
        let used = result.used;
        Self {
            object: "riad.usage.result",
            input_tokens: used.prompt_tokens.saturating_add(used.embedded_tokens),
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
            kind: result.kind.map(|kind| kind.as_str()),
        }
    }
}

impl Cost {
    pub fn new(result: UsageResult, currency: &str) -> Self {
        Self {
            object: "riad.costs.result",
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
            kind: result.kind.map(|kind| kind.as_str()),
        }
    }
}

/// A line of a CSV file: a bucket and one of its results.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    start_time: u64,
    end_time: u64,
    tenant: &'a str,
    api_key_id: &'a str,
    model: &'a str,
    adapter: &'a str,
    plugin: &'a str,
    kind: &'a str,
    requests: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    embedded_tokens: u64,
    fuel: u64,
    stored_byte_hours: u64,
    adapter_byte_hours: u64,
    abandoned_tokens: u64,
    cost_nanos: u64,
}

pub(super) fn rows(buckets: &[UsageBucket]) -> Vec<Row<'_>> {
    buckets
        .iter()
        .flat_map(|bucket| bucket.results.iter().map(move |result| (bucket, result)))
        .map(|(bucket, result)| {
            let used = result.used;
            Row {
                start_time: bucket.start,
                end_time: bucket.end,
                tenant: result.tenant.as_deref().unwrap_or_default(),
                api_key_id: result.key.as_deref().unwrap_or_default(),
                model: result.model.as_deref().unwrap_or_default(),
                adapter: result.adapter.as_deref().unwrap_or_default(),
                plugin: result.plugin.as_deref().unwrap_or_default(),
                kind: result.kind.map_or("", |kind| kind.as_str()),
                requests: used.requests,
                prompt_tokens: used.prompt_tokens,
                completion_tokens: used.completion_tokens,
                embedded_tokens: used.embedded_tokens,
                fuel: used.fuel,
                stored_byte_hours: used.stored_byte_hours,
                adapter_byte_hours: used.adapter_byte_hours,
                abandoned_tokens: result.abandoned_tokens,
                cost_nanos: result.cost_nanos,
            }
        })
        .collect()
}

/// For people: the exact amount is beside it.
#[expect(clippy::cast_precision_loss, reason = "a picture of the exact number beside it")]
fn whole_units(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
