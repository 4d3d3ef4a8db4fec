//! What Prometheus reads: in the format, with the names of the conventions, and no more series than there may be.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; the hidden .clippy.toml relaxes only what stands inside #[test]"
)]

mod anything;
mod bounds;
mod counted;
mod names;

use riad_core::{
    Digest,
    ledger::{EngineTokens, Kind, Outcome},
    plugin::Stage,
    ports::{AdapterCounts, BatchState, Gauges, GuestCall, GuestCallEnd, RequestRecord, Telemetry},
    price::Usage,
};
use riad_openmetrics::{Exposition, check};
use riad_telemetry::Metrics;
use std::{collections::BTreeSet, time::Duration};

const MODEL: &str = "smol";

fn chat(tenant: &str, adapter: Option<&str>, outcome: Outcome) -> RequestRecord {
    RequestRecord {
        tenant: tenant.parse().unwrap(),
        kind: Kind::Chat,
        model: MODEL.to_owned(),
        adapter: adapter.map(|alias| alias.parse().unwrap()),
        outcome,
        used: Usage {
            requests: 1,
            prompt_tokens: 100,
            cached_tokens: 64,
            completion_tokens: 20,
            embedded_tokens: 7,
            fuel: 1000,
            ..Usage::default()
        },
        duration: Duration::from_millis(1500),
        queued: Some(Duration::from_millis(30)),
        first_token: Some(Duration::from_millis(250)),
        per_token: Some(Duration::from_millis(50)),
        plugin: Duration::from_millis(4),
    }
}

fn guest_call(end: GuestCallEnd) -> GuestCall {
    GuestCall {
        stage: Stage::Retrieval,
        component: Digest::of(b"component"),
        end,
        fuel: 500,
        time: Duration::from_micros(40),
        memory: 1 << 20,
    }
}

fn batch() -> BatchState {
    let mut batch = BatchState {
        prefilling: 1,
        decoding: 2,
        waiting: 3,
        tokens: 640,
        kv_cache_tokens: 4096,
        blocks_used: 20,
        blocks_cached: 30,
        blocks_free: 78,
        preemptions: 5,
        prefix_hit_tokens: 320,
        prefix_lookup_tokens: 1000,
        prefill_rows: 700,
        decode_rows: 400,
        model_loaded: true,
        model_loads: 3,
        ..BatchState::default()
    };
    for millis in [3, 40, 60_000] {
        batch.step_times.observe(f64::from(millis) / 1e3);
        batch.step_rows.observe(f64::from(millis));
    }
    batch
}

fn gauges() -> Gauges {
    Gauges {
        max_sequences: 4,
        running_sequences: 3,
        queue_requests: 2,
        queue_tokens: 900,
        estimated_first_token: Some(Duration::from_millis(750)),
        target_first_token: Duration::from_secs(2),
        tokens_per_second: 42.5,
        batch: batch(),
        adapters: AdapterCounts {
            resident: 5,
            resident_bytes: 4096,
            loads: 9,
            evictions: 4,
        },
        rooms_open: 6,
        resident_bytes: Some(4096),
        open_room_bytes: 8192,
        engine: EngineTokens {
            prompt: 1000,
            cached: 400,
            completion: 200,
            embedded: 30,
        },
        ledger: EngineTokens {
            prompt: 900,
            cached: 390,
            completion: 200,
            embedded: 31,
        },
        held_tokens: 77,
        shed: 8,
        unsaved: Some(Duration::from_secs(90)),
    }
}

fn scrape(metrics: &Metrics) -> Exposition {
    let text = metrics.render(&gauges());
    check(&text).unwrap_or_else(|faults| panic!("{faults:#?}\n{text}"))
}

/// Distinct values of a label in all series of a name.
fn values(exposition: &Exposition, name: &str, label: &str) -> BTreeSet<String> {
    exposition
        .samples(name, &[])
        .filter_map(|sample| sample.label(label).map(str::to_owned))
        .collect()
}
