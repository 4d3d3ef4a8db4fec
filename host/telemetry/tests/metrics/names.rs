//! Names, types, units, bounds and labels.

use super::{chat, guest_call, scrape};
use riad_core::{
    ledger::Outcome,
    ports::{Gauges, GuestCallEnd, OPENMETRICS_CONTENT_TYPE, Telemetry as _},
};
use riad_openmetrics::{MetricType, check};
use riad_telemetry::{Metrics, MetricsConfig};
use std::collections::BTreeSet;

const DURATIONS: &str = "0.01 0.02 0.04 0.08 0.16 0.32 0.64 1.28 2.56 5.12 10.24 20.48 40.96 81.92";
/// From OpenTelemetry's semantic conventions for generative AI: metric, instrument, unit, advised bounds, attributes without
/// those of the server's address.
const CONVENTIONS: &[(&str, MetricType, &str, &str, &[&str])] = &[
    (
        "gen_ai.client.token.usage",
        MetricType::Histogram,
        "{token}",
        "1 4 16 64 256 1024 4096 16384 65536 262144 1048576 4194304 16777216 67108864",
        &[
            "gen_ai.operation.name",
            "gen_ai.provider.name",
            "gen_ai.token.type",
            "gen_ai.request.model",
            "gen_ai.response.model",
        ],
    ),
    (
        "gen_ai.server.request.duration",
        MetricType::Histogram,
        "s",
        DURATIONS,
        &[
            "gen_ai.operation.name",
            "gen_ai.provider.name",
            "error.type",
            "gen_ai.request.model",
            "gen_ai.response.model",
        ],
    ),
    (
        "gen_ai.server.time_per_output_token",
        MetricType::Histogram,
        "s",
        "0.01 0.025 0.05 0.075 0.1 0.15 0.2 0.3 0.4 0.5 0.75 1.0 2.5",
        &[
            "gen_ai.operation.name",
            "gen_ai.provider.name",
            "gen_ai.request.model",
            "gen_ai.response.model",
        ],
    ),
    (
        "gen_ai.server.time_to_first_token",
        MetricType::Histogram,
        "s",
        "0.001 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.25 0.5 0.75 1.0 2.5 5.0 7.5 10.0",
        &[
            "gen_ai.operation.name",
            "gen_ai.provider.name",
            "gen_ai.request.model",
            "gen_ai.response.model",
        ],
    ),
];

/// All others: name, type, unit.
const OURS: &[(&str, MetricType, Option<&str>)] = &[
    ("riad_adapter_evictions", MetricType::Counter, None),
    ("riad_adapter_loads", MetricType::Counter, None),
    ("riad_adapters_resident", MetricType::Gauge, None),
    ("riad_adapters_resident_bytes", MetricType::Gauge, Some("bytes")),
    ("riad_cached_tokens", MetricType::Counter, Some("tokens")),
    ("riad_engine_batch_tokens", MetricType::Gauge, Some("tokens")),
    ("riad_engine_kv_blocks", MetricType::Gauge, None),
    ("riad_engine_kv_cache_tokens", MetricType::Gauge, Some("tokens")),
    ("riad_engine_preemptions", MetricType::Counter, None),
    ("riad_engine_prefix_hit_tokens", MetricType::Counter, Some("tokens")),
    ("riad_engine_prefix_lookup_tokens", MetricType::Counter, Some("tokens")),
    ("riad_engine_rows", MetricType::Counter, None),
    ("riad_engine_sequences", MetricType::Gauge, None),
    ("riad_engine_step_rows", MetricType::Histogram, None),
    ("riad_engine_step_time_seconds", MetricType::Histogram, Some("seconds")),
    ("riad_engine_tokens", MetricType::Counter, Some("tokens")),
    ("riad_first_token_estimated_seconds", MetricType::Gauge, Some("seconds")),
    ("riad_first_token_target_seconds", MetricType::Gauge, Some("seconds")),
    ("riad_fuel", MetricType::Counter, None),
    (
        "riad_guest_call_duration_seconds",
        MetricType::Histogram,
        Some("seconds"),
    ),
    ("riad_guest_calls", MetricType::Counter, None),
    ("riad_guest_fuel", MetricType::Counter, None),
    ("riad_guest_memory_peak_bytes", MetricType::Gauge, Some("bytes")),
    ("riad_held_tokens", MetricType::Gauge, Some("tokens")),
    ("riad_sequences_max", MetricType::Gauge, None),
    ("riad_sequences_running", MetricType::Gauge, None),
    ("riad_ledger_drift_tokens", MetricType::Gauge, Some("tokens")),
    ("riad_ledger_tokens", MetricType::Counter, Some("tokens")),
    ("riad_model_loaded", MetricType::Gauge, None),
    ("riad_model_loads", MetricType::Counter, None),
    ("riad_plugin_time_seconds", MetricType::Histogram, Some("seconds")),
    ("riad_queue_requests", MetricType::Gauge, None),
    ("riad_queue_time_seconds", MetricType::Histogram, Some("seconds")),
    ("riad_queue_tokens", MetricType::Gauge, Some("tokens")),
    ("riad_requests", MetricType::Counter, None),
    ("riad_requests_shed", MetricType::Counter, None),
    ("process_resident_memory_bytes", MetricType::Gauge, Some("bytes")),
    ("riad_rooms_open", MetricType::Gauge, None),
    ("riad_rooms_open_bytes", MetricType::Gauge, Some("bytes")),
    ("riad_tokens", MetricType::Counter, Some("tokens")),
    ("riad_tokens_per_second", MetricType::Gauge, None),
    ("riad_unsaved_change_age_seconds", MetricType::Gauge, Some("seconds")),
];

/// OpenTelemetry's rules for Prometheus: dots become underscores, `s` is written out, what is in braces is left out.
fn prometheus(name: &str, unit: &str) -> (String, Option<&'static str>) {
    let name = name.replace('.', "_");
    match unit {
        "s" => (format!("{name}_seconds"), Some("seconds")),
        "{token}" => (name, None),
        other => panic!("a rule for {other} is missing"),
    }
}

#[test]
fn a_scrape_has_exactly_the_metrics_with_types_and_units() {
    let metrics = Metrics::new(MetricsConfig::default());
    metrics.request(&chat("acme", Some("support"), Outcome::Completed));
    metrics.guest_call(&"acme".parse().unwrap(), &guest_call(GuestCallEnd::Returned));
    let exposition = scrape(&metrics);
    let mut expected: Vec<(String, MetricType, Option<&str>)> = OURS
        .iter()
        .map(|(name, kind, unit)| ((*name).to_owned(), *kind, *unit))
        .collect();
    expected.extend(CONVENTIONS.iter().map(|(name, kind, unit, _, _)| {
        let (name, unit) = prometheus(name, unit);
        (name, *kind, unit)
    }));
    expected.sort_by(|left, right| left.0.cmp(&right.0));
    let mut found: Vec<(String, MetricType, Option<&str>)> = exposition
        .families
        .iter()
        .map(|family| (family.name.clone(), family.kind, family.unit.as_deref()))
        .collect();
    found.sort_by(|left, right| left.0.cmp(&right.0));
    assert_eq!(found, expected);
    assert!(OPENMETRICS_CONTENT_TYPE.starts_with("application/openmetrics-text; version=1.0.0"));
}

#[test]
fn a_server_that_has_served_nothing_can_be_scraped() {
    let metrics = Metrics::new(MetricsConfig::default());
    let text = metrics.render(&Gauges::default());
    let exposition = check(&text).unwrap();
    assert!(
        exposition.family("riad_first_token_estimated_seconds").is_none(),
        "nothing was measured yet"
    );
    assert_eq!(exposition.sum("riad_sequences_max", &[]), Some(0.0));
}

#[test]
fn metrics_of_the_conventions_have_their_bounds_and_attributes() {
    let metrics = Metrics::new(MetricsConfig::default());
    metrics.request(&chat("acme", Some("support"), Outcome::Completed));
    metrics.request(&chat("acme", None, Outcome::EngineFailed));
    let exposition = scrape(&metrics);
    for (name, _, unit, bounds, attributes) in CONVENTIONS {
        let (name, _) = prometheus(name, unit);
        let family = exposition.family(&name).unwrap();
        let one = family.samples.first().unwrap();
        let found: Vec<f64> = family
            .samples
            .iter()
            .filter(|sample| sample.labels.iter().filter(|(label, _)| label != "le").eq(&one.labels))
            .filter_map(|sample| sample.label("le"))
            .filter(|bound| *bound != "+Inf")
            .map(|bound| bound.parse().unwrap())
            .collect();
        let advised: Vec<f64> = bounds.split(' ').map(|bound| bound.parse().unwrap()).collect();
        assert_eq!(found, advised, "{name}");
        let labels: BTreeSet<String> = family
            .samples
            .iter()
            .flat_map(|sample| &sample.labels)
            .map(|(label, _)| label.clone())
            .filter(|label| label != "le")
            .collect();
        let permitted: BTreeSet<String> = attributes.iter().map(|name| name.replace('.', "_")).collect();
        assert_eq!(labels, permitted, "{name}");
    }
}
