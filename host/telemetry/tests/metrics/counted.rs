//! What requests and gauges add up to.

use super::{chat, gauges, guest_call, scrape, values};
use riad_core::{
    ErrorKind,
    ledger::{EngineTokens, Kind, Outcome},
    ports::{Gauges, GuestCallEnd, RequestRecord, Telemetry as _},
    price::Usage,
};
use riad_openmetrics::check;
use riad_telemetry::{Metrics, MetricsConfig};
use std::time::Duration;

#[test]
fn a_completed_request_is_counted_in_every_metric() {
    let metrics = Metrics::new(MetricsConfig::default());
    metrics.request(&chat("acme", Some("support"), Outcome::Completed));
    let exposition = scrape(&metrics);
    let asked = [
        ("gen_ai_operation_name", "chat"),
        ("gen_ai_provider_name", "riad"),
        ("gen_ai_request_model", "smol:support"),
        ("gen_ai_response_model", "smol"),
    ];
    for (name, expected) in [
        ("gen_ai_server_request_duration_seconds_sum", 1.5),
        ("gen_ai_server_request_duration_seconds_count", 1.0),
        ("gen_ai_server_time_to_first_token_seconds_sum", 0.25),
        ("gen_ai_server_time_per_output_token_seconds_sum", 0.05),
    ] {
        assert_eq!(exposition.sum(name, &asked), Some(expected), "{name}");
    }
    assert!(
        values(
            &exposition,
            "gen_ai_server_request_duration_seconds_count",
            "error_type"
        )
        .is_empty()
    );
    for (kind, expected) in [("input", 100.0), ("output", 20.0)] {
        let usage = exposition.sum("gen_ai_client_token_usage_sum", &[("gen_ai_token_type", kind)]);
        assert_eq!(usage, Some(expected), "{kind}");
    }
    let request = [
        ("kind", "chat"),
        ("model", "smol"),
        ("adapter", "support"),
        ("outcome", "completed"),
    ];
    assert_eq!(exposition.sum("riad_requests_total", &request), Some(1.0));
    for (kind, expected) in [("prompt", 100.0), ("completion", 20.0), ("embedded", 7.0)] {
        assert_eq!(
            exposition.sum("riad_tokens_total", &[("type", kind)]),
            Some(expected),
            "{kind}"
        );
    }
    assert_eq!(
        exposition.sum(
            "riad_cached_tokens_total",
            &[("type", "prompt"), ("adapter", "support")]
        ),
        Some(64.0)
    );
    assert_eq!(exposition.sum("riad_fuel_total", &[("kind", "chat")]), Some(1000.0));
    assert_eq!(exposition.sum("riad_queue_time_seconds_sum", &[]), Some(0.03));
    assert_eq!(exposition.sum("riad_plugin_time_seconds_sum", &[]), Some(0.004));
}

#[test]
fn other_outcomes_are_errors_without_a_time_to_first_token() {
    for outcome in Outcome::ALL.iter().filter(|outcome| **outcome != Outcome::Completed) {
        let metrics = Metrics::new(MetricsConfig::default());
        metrics.request(&chat("acme", None, *outcome));
        let exposition = scrape(&metrics);
        let failed = [("error_type", outcome.as_str())];
        assert_eq!(
            exposition.sum("gen_ai_server_request_duration_seconds_count", &failed),
            Some(1.0)
        );
        assert_eq!(
            exposition.sum("riad_requests_total", &[("outcome", outcome.as_str())]),
            Some(1.0)
        );
        assert_eq!(
            exposition.sum("gen_ai_server_time_to_first_token_seconds_count", &[]),
            None
        );
        assert_eq!(
            exposition.sum("gen_ai_server_time_per_output_token_seconds_count", &[]),
            None
        );
    }
}

#[test]
fn operations_are_named_by_the_conventions_and_storage_has_none() {
    for (kind, operation) in [
        (Kind::Chat, Some("chat")),
        (Kind::Embedding, Some("embeddings")),
        (Kind::Document, Some("index_document")),
        (Kind::Search, Some("retrieval")),
        (Kind::Tool, Some("execute_tool")),
        (Kind::Storage, None),
        (Kind::Residency, None),
    ] {
        let metrics = Metrics::new(MetricsConfig::default());
        let request = RequestRecord {
            kind,
            ..chat("acme", None, Outcome::Completed)
        };
        metrics.request(&request);
        let exposition = scrape(&metrics);
        let found = values(
            &exposition,
            "gen_ai_server_request_duration_seconds_count",
            "gen_ai_operation_name",
        );
        assert_eq!(found, operation.into_iter().map(str::to_owned).collect(), "{kind}");
        assert_eq!(
            exposition.sum("riad_requests_total", &[("kind", kind.as_str())]),
            Some(1.0)
        );
    }
}

#[test]
fn an_embedding_is_billed_what_was_embedded() {
    let metrics = Metrics::new(MetricsConfig::default());
    let request = RequestRecord {
        kind: Kind::Embedding,
        used: Usage {
            embedded_tokens: 12,
            ..Usage::default()
        },
        ..chat("acme", None, Outcome::Completed)
    };
    metrics.request(&request);
    let exposition = scrape(&metrics);
    let input = [("gen_ai_operation_name", "embeddings"), ("gen_ai_token_type", "input")];
    assert_eq!(exposition.sum("gen_ai_client_token_usage_sum", &input), Some(12.0));
    assert_eq!(
        exposition.sum("gen_ai_client_token_usage_count", &[]),
        Some(1.0),
        "no output"
    );
}

#[test]
fn gauges_are_what_they_were_given() {
    let exposition = scrape(&Metrics::new(MetricsConfig::default()));
    for (name, label, expected) in [
        ("riad_sequences_max", None, 4.0),
        ("riad_sequences_running", None, 3.0),
        ("riad_queue_requests", None, 2.0),
        ("riad_queue_tokens", None, 900.0),
        ("riad_first_token_estimated_seconds", None, 0.75),
        ("riad_first_token_target_seconds", None, 2.0),
        ("riad_tokens_per_second", None, 42.5),
        ("riad_adapters_resident", None, 5.0),
        ("riad_adapters_resident_bytes", None, 4096.0),
        ("riad_adapter_loads_total", None, 9.0),
        ("riad_adapter_evictions_total", None, 4.0),
        ("riad_model_loaded", None, 1.0),
        ("riad_model_loads_total", None, 3.0),
        ("process_resident_memory_bytes", None, 4096.0),
        ("riad_rooms_open", None, 6.0),
        ("riad_rooms_open_bytes", None, 8192.0),
        ("riad_held_tokens", None, 77.0),
        ("riad_requests_shed_total", None, 8.0),
        ("riad_unsaved_change_age_seconds", None, 90.0),
        ("riad_engine_tokens_total", Some("prompt"), 1000.0),
        ("riad_engine_tokens_total", Some("completion"), 200.0),
        ("riad_engine_tokens_total", Some("embedded"), 30.0),
        ("riad_ledger_tokens_total", Some("prompt"), 900.0),
        ("riad_ledger_tokens_total", Some("completion"), 200.0),
        ("riad_ledger_tokens_total", Some("embedded"), 31.0),
        ("riad_ledger_drift_tokens", Some("prompt"), 100.0),
        ("riad_ledger_drift_tokens", Some("cached"), 10.0),
        ("riad_ledger_drift_tokens", Some("completion"), 0.0),
        ("riad_ledger_drift_tokens", Some("embedded"), -1.0),
    ] {
        let labels: Vec<(&str, &str)> = label.map(|kind| ("type", kind)).into_iter().collect();
        let found: Vec<f64> = exposition.samples(name, &labels).map(|sample| sample.value).collect();
        assert_eq!(found, [expected], "{name} {label:?}");
    }
}

#[test]
fn the_batchs_state_is_labeled_by_state_and_phase_only() {
    let exposition = scrape(&Metrics::new(MetricsConfig::default()));
    for (name, labels, expected) in [
        ("riad_engine_sequences", vec![("state", "waiting")], 3.0),
        ("riad_engine_sequences", vec![("state", "prefilling")], 1.0),
        ("riad_engine_sequences", vec![("state", "decoding")], 2.0),
        ("riad_engine_kv_blocks", vec![("state", "used")], 20.0),
        ("riad_engine_kv_blocks", vec![("state", "cached")], 30.0),
        ("riad_engine_kv_blocks", vec![("state", "free")], 78.0),
        ("riad_engine_batch_tokens", vec![], 640.0),
        ("riad_engine_kv_cache_tokens", vec![], 4096.0),
        ("riad_engine_preemptions_total", vec![], 5.0),
        ("riad_engine_prefix_hit_tokens_total", vec![], 320.0),
        ("riad_engine_prefix_lookup_tokens_total", vec![], 1000.0),
        ("riad_engine_rows_total", vec![("phase", "prefill")], 700.0),
        ("riad_engine_rows_total", vec![("phase", "decode")], 400.0),
        ("riad_engine_step_rows_count", vec![], 3.0),
        ("riad_engine_step_rows_bucket", vec![("le", "4.0")], 1.0),
        ("riad_engine_step_rows_bucket", vec![("le", "64.0")], 2.0),
        ("riad_engine_step_time_seconds_count", vec![], 3.0),
        ("riad_engine_step_time_seconds_sum", vec![], 60.043),
        ("riad_engine_step_time_seconds_bucket", vec![("le", "0.005")], 1.0),
        ("riad_engine_step_time_seconds_bucket", vec![("le", "5.0")], 2.0),
        ("riad_engine_step_time_seconds_bucket", vec![("le", "+Inf")], 3.0),
    ] {
        let found: Vec<_> = exposition.samples(name, &labels).collect();
        let [sample] = &found[..] else {
            panic!("{name} {labels:?}: {} samples", found.len());
        };
        assert!(
            (sample.value - expected).abs() < 1e-9,
            "{name} {labels:?}: {}",
            sample.value
        );
        assert_eq!(sample.labels.len(), labels.len(), "{name}");
    }
}

#[test]
fn extreme_gauges_are_valid_numbers() {
    let metrics = Metrics::new(MetricsConfig::default());
    for rate in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
        let all = EngineTokens {
            prompt: u64::MAX,
            cached: u64::MAX,
            completion: u64::MAX,
            embedded: u64::MAX,
        };
        let text = metrics.render(&Gauges {
            tokens_per_second: rate,
            engine: all,
            held_tokens: u64::MAX,
            estimated_first_token: Some(Duration::MAX),
            ..gauges()
        });
        check(&text).unwrap_or_else(|faults| panic!("{faults:#?}\n{text}"));
    }
}

#[test]
fn calls_of_guests_are_counted_by_stage_and_result() {
    let metrics = Metrics::new(MetricsConfig::default());
    let tenant = "acme".parse().unwrap();
    for end in [
        GuestCallEnd::Returned,
        GuestCallEnd::Returned,
        GuestCallEnd::Dropped,
        GuestCallEnd::Failed(ErrorKind::PluginFailed),
        GuestCallEnd::Failed(ErrorKind::PluginLimit),
        GuestCallEnd::Failed(ErrorKind::InvalidRequest),
    ] {
        metrics.guest_call(&tenant, &guest_call(end));
    }
    let exposition = scrape(&metrics);
    let counted = |result| exposition.sum("riad_guest_calls_total", &[("stage", "retrieval"), ("result", result)]);
    for (result, calls) in [
        ("returned", 2.0),
        ("dropped", 1.0),
        ("failed", 1.0),
        ("limited", 1.0),
        ("refused", 1.0),
    ] {
        assert_eq!(counted(result), Some(calls), "{result}");
    }
    assert_eq!(exposition.sum("riad_guest_fuel_total", &[]), Some(3000.0));
    assert_eq!(
        exposition.sum("riad_guest_memory_peak_bytes", &[]),
        Some(f64::from(1 << 20))
    );
}
