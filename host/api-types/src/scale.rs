//! `GET /operator/v1/scale`.

use riad_core::ports::Gauges;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, time::Duration};
use utoipa::ToSchema;

/// The signals that show whether the engine has enough places. KEDA's `metrics-api` scaler reads any of its numbers by name.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Scale {
    #[schema(example = "scale")]
    pub object: Cow<'static, str>,
    /// Generations that can run at the same time.
    pub max_sequences: u64,
    pub running_sequences: u64,
    /// Tokens of running generations in the KV cache, and those that fit into it: near that, generations are preempted.
    pub batch_tokens: u64,
    pub kv_cache_tokens: u64,
    /// Requests that wait for a place in the batch.
    pub queue_requests: u64,
    /// Tokens that they may need: prompt and longest completion.
    pub queue_tokens: u64,
    /// Estimated time to the first token of a new request; null before the first measurement.
    pub estimated_ttft_ms: Option<u64>,
    pub target_ttft_ms: u64,
    /// Estimated time divided by target; above 1 there are too few places. 0 before the first measurement.
    pub pressure: f64,
    /// Recent weighted tokens per second of the whole batch.
    pub tokens_per_second: f64,
    /// Whether the model is in memory (`engine.idle_unload_s`). While it is not, `estimated_ttft_ms` counts loading it.
    #[serde(default)]
    pub model_loaded: bool,
    /// How long loading it took the last time.
    #[serde(default)]
    pub model_load_ms: u64,
    /// Requests refused since the start to keep the target.
    pub shed: u64,
}

impl From<Gauges> for Scale {
    fn from(gauges: Gauges) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let target = gauges.target_first_token.as_secs_f64();
        let estimated = gauges.estimated_first_token;
        Self {
            object: "scale".into(),
            max_sequences: gauges.max_sequences,
            running_sequences: gauges.running_sequences,
            batch_tokens: gauges.batch.tokens,
            kv_cache_tokens: gauges.batch.kv_cache_tokens,
            queue_requests: gauges.queue_requests,
            queue_tokens: gauges.queue_tokens,
            estimated_ttft_ms: estimated.map(ms),
            target_ttft_ms: ms(gauges.target_first_token),
            pressure: match estimated {
                Some(estimated) if target > 0.0 => estimated.as_secs_f64() / target,
                Some(_) | None => 0.0,
            },
            tokens_per_second: gauges.tokens_per_second,
            model_loaded: gauges.batch.model_loaded,
            model_load_ms: ms(gauges.batch.model_load),
            shed: gauges.shed,
        }
    }
}
