//! The log, as it stands on stderr: this program runs itself, with one ignored test that logs.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests; the hidden .clippy.toml relaxes only what stands inside #[test]"
)]

use riad_telemetry::{LogFormat, TelemetryConfig, start};
use std::process::Command;

const FORMAT: &str = "RIAD_TEST_LOG_FORMAT";

/// What the process that logs writes to stderr.
fn log(format: &str, rust_log: Option<&str>) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "logs_something", "--ignored", "--nocapture"])
        .env(FORMAT, format)
        .env_remove("RUST_LOG")
        .env_remove("NO_COLOR");
    if let Some(filter) = rust_log {
        command.env("RUST_LOG", filter);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
#[ignore = "run by the others, in a process of its own"]
fn logs_something() {
    let log_format = match std::env::var_os(FORMAT) {
        Some(format) if format == "json" => LogFormat::Json,
        _ => LogFormat::Text,
    };
    let config = TelemetryConfig {
        log_format,
        default_filter: "riad=info",
        otlp_endpoint: None,
        service_name: "riad",
        service_version: "0",
        sample_ratio: 1.0,
        trust_traceparent: false,
    };
    let first = start(config.clone()).unwrap();
    let second = start(config).unwrap();
    let request = tracing::info_span!(target: "riad_api", "request", id = "0199-abc", method = %"GET");
    request.in_scope(|| {
        tracing::info_span!(target: "riad_services", "queue").in_scope(|| {
            tracing::info!(target: "riad_services", status = 200, note = "a\nb", "answered");
            tracing::debug!(target: "riad_services", "detail");
        });
    });
    tracing::warn!(target: "wasmtime", "a warning of others");
    tracing::info!(target: "wasmtime", "chatter of others");
    drop((first, second));
}

#[test]
fn text_is_for_people_and_says_which_request_it_is_about() {
    let log = log("text", None);
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "once each although it was started twice: {log}");
    for part in [
        "INFO",
        "request{id=\"0199-abc\" method=GET}",
        "riad_services",
        "answered",
        "status=200",
    ] {
        assert!(lines[0].contains(part), "{part:?} in {log}");
    }
    assert!(lines[1].contains("a warning of others"), "{log}");
    assert!(!log.contains('\u{1b}'), "colors in what is no terminal: {log:?}");
}

#[test]
fn json_is_one_object_a_line_with_the_requests_id() {
    let log = log("json", None);
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{log}");
    let answered = &lines[0];
    assert_eq!(answered["message"], "answered");
    assert_eq!(answered["level"], "INFO");
    assert_eq!(answered["target"], "riad_services");
    assert_eq!(answered["status"], 200);
    assert_eq!(answered["note"], "a\nb");
    assert!(answered["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(answered["spans"][0]["name"], "request");
    assert_eq!(answered["spans"][0]["id"], "0199-abc");
    assert_eq!(answered["spans"][1]["name"], "queue");
}

#[test]
fn rust_log_overrides_the_default_filter() {
    let log = log("text", Some("wasmtime=info,riad=debug"));
    for part in ["detail", "chatter of others", "a warning of others", "answered"] {
        assert!(log.contains(part), "{part:?} in {log}");
    }
}

#[test]
fn rust_log_can_turn_all_of_it_off() {
    assert_eq!(log("text", Some("off")), "");
}
