//! The engine's batch: what it holds now, and what its steps did. Without tenants, adapters or models: only the operator reads it.

use super::labels::Labels;
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::{Registry, Unit},
};
use riad_core::ports::{BatchState, Buckets, Histogram};
use std::fmt::Debug;

pub(super) fn register(registry: &mut Registry, batch: &BatchState) {
    let tokens = || Unit::Other("tokens".to_owned());
    registry.register(
        "riad_engine_sequences",
        "Sequences in the engine, by state: waiting for their first step or preempted, reading their prompt, generating",
        by_label(
            "state",
            [
                ("waiting", batch.waiting),
                ("prefilling", batch.prefilling),
                ("decoding", batch.decoding),
            ],
        ),
    );
    registry.register(
        "riad_engine_kv_blocks",
        "Blocks of the KV cache, by state: held by sequences, kept for prompts that may come again, free",
        by_label(
            "state",
            [
                ("used", batch.blocks_used),
                ("cached", batch.blocks_cached),
                ("free", batch.blocks_free),
            ],
        ),
    );
    for (name, help, value) in [
        (
            "riad_engine_batch",
            "Tokens of running sequences in the KV cache",
            batch.tokens,
        ),
        (
            "riad_engine_kv_cache",
            "Tokens that fit into the KV cache",
            batch.kv_cache_tokens,
        ),
    ] {
        registry.register_with_unit(name, help, tokens(), ConstGauge::new(value));
    }
    for (name, help, value) in [
        (
            "riad_engine_prefix_hit",
            "Prompt tokens that were taken from the prefix cache",
            batch.prefix_hit_tokens,
        ),
        (
            "riad_engine_prefix_lookup",
            "Prompt tokens of the sequences that looked into the prefix cache",
            batch.prefix_lookup_tokens,
        ),
    ] {
        registry.register_with_unit(name, help, tokens(), ConstCounter::new(value));
    }
    registry.register(
        "riad_model_loaded",
        "Whether the model is in memory: 1, or 0 after engine.idle_unload_s",
        ConstGauge::new(u64::from(batch.model_loaded)),
    );
    registry.register(
        "riad_model_loads",
        "Times that the model was loaded into memory",
        ConstCounter::new(batch.model_loads),
    );
    registry.register(
        "riad_engine_preemptions",
        "Times that a running sequence lost its blocks to an older one",
        ConstCounter::new(batch.preemptions),
    );
    let rows = Family::<Labels, Counter>::default();
    for (phase, amount) in [("prefill", batch.prefill_rows), ("decode", batch.decode_rows)] {
        rows.get_or_create(&vec![("phase", phase.to_owned())]).inc_by(amount);
    }
    registry.register("riad_engine_rows", "Tokens that steps computed, by phase", rows);
    registry.register(
        "riad_engine_step_rows",
        "Tokens that a step computed",
        ConstHistogram(batch.step_rows),
    );
    registry.register_with_unit(
        "riad_engine_step_time",
        "How long steps took, from the choice of their rows to the last sampled token",
        Unit::Seconds,
        ConstHistogram(batch.step_times),
    );
}

fn by_label<const N: usize>(label: &'static str, values: [(&str, u64); N]) -> Family<Labels, Gauge> {
    let gauges = Family::<Labels, Gauge>::default();
    for (name, value) in values {
        gauges
            .get_or_create(&vec![(label, name.to_owned())])
            .set(i64::try_from(value).unwrap_or(i64::MAX));
    }
    gauges
}

/// A histogram that somebody else has counted. The library has constant counters and gauges only.
#[derive(Debug)]
struct ConstHistogram<B>(Histogram<B>);

impl<B: Buckets + Debug + Send + Sync + 'static> EncodeMetric for ConstHistogram<B> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let buckets: Vec<(f64, u64)> = self.0.buckets().collect();
        encoder.encode_histogram::<NoLabelSet>(self.0.sum(), self.0.count(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
