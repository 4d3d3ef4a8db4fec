//! Usage as lines of a CSV file.

use riad_core::usage::UsageBucket;
use serde::Serialize;

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
    cached_tokens: u64,
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
                cached_tokens: used.cached_tokens,
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
