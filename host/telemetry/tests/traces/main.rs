//! What a collector gets: the right spans in the right trace, and nothing that a tenant wrote.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests; the hidden .clippy.toml relaxes only what stands inside #[test]"
)]

mod collector;

use collector::{Collector, alone};
use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{span::SpanKind, status::StatusCode},
};
use riad_telemetry::{ATTRIBUTES, LogFormat, TelemetryConfig, follow, start};
use std::collections::BTreeSet;
use tracing::{Instrument as _, debug_span, error, info, info_span};

const SECRET: &str = "my doctor says that";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

fn config(otlp_endpoint: Option<String>) -> TelemetryConfig<'static> {
    TelemetryConfig {
        log_format: LogFormat::Text,
        default_filter: "riad=error",
        otlp_endpoint,
        service_name: "riad",
        service_version: "1.2.3",
        sample_ratio: 1.0,
        trust_traceparent: false,
    }
}

fn attribute<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a Value> {
    attributes
        .iter()
        .find(|attribute| attribute.key == name)
        .and_then(|attribute| attribute.value.as_ref())
        .and_then(|value| value.value.as_ref())
}

fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

/// A chat request as the server does it, with every mistake that could take content along.
async fn serve(traceparent: Option<&str>) {
    let request = info_span!(
        target: "riad_api::request_id",
        "request",
        id = "0199-abc",
        method = "POST",
        route = "/v1/chat/completions",
        prompt = SECRET,
        status = tracing::field::Empty,
    );
    follow(&request, traceparent);
    async {
        info_span!(target: "riad_services", "authorize").in_scope(|| ());
        for stage in ["retrieve", "build_prompt"] {
            let span = match stage {
                "retrieve" => info_span!(target: "riad_services", "retrieve", plugin = "price-desk", fuel = 1200_u64),
                _ => info_span!(target: "riad_services", "build_prompt", plugin = SECRET, fuel = SECRET),
            };
            tokio::task::yield_now().instrument(span).await;
        }
        let waiting =
            info_span!(target: "riad_services", "queue", queue_requests = 3_u32, otel.status_description = SECRET);
        tokio::time::sleep(std::time::Duration::from_millis(5))
            .instrument(waiting)
            .await;
        // The task that owns the request from here, as the server spawns it.
        let generate =
            info_span!(target: "riad_services", "generate", completion_tokens = 20_u64, otel.kind = "client");
        let settle = info_span!(target: "riad_services", "settle", outcome = "completed");
        let task = async {
            info!(target: "riad_services", prompt = SECRET, "an answer about {SECRET}");
            error!(target: "riad_services", error = SECRET, "{SECRET}");
            tokio::task::yield_now().await;
        };
        tokio::spawn(task.instrument(generate)).await.unwrap();
        settle.in_scope(|| ());
    }
    .instrument(request.clone())
    .await;
    request.record("status", 200_u16);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_arrives_as_one_trace_that_continues_the_callers() {
    let collector = Collector::listen().await;
    let guard = collector.start(1.0);
    serve(Some(&format!("00-{TRACE}-{CALLER}-01"))).await;
    guard.shutdown();

    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let request = collector.span("request");
    assert_eq!(hex(&request.trace_id), TRACE);
    assert_eq!(hex(&request.parent_span_id), CALLER);
    assert_eq!(request.kind(), SpanKind::Server);
    for child in ["authorize", "retrieve", "build_prompt", "queue", "generate", "settle"] {
        let child = collector.span(child);
        assert_eq!(hex(&child.trace_id), TRACE, "{}", child.name);
        assert_eq!(child.parent_span_id, request.span_id, "{}", child.name);
        assert_eq!(child.kind(), SpanKind::Internal, "{}", child.name);
        assert!(
            child.start_time_unix_nano >= request.start_time_unix_nano,
            "{}",
            child.name
        );
        assert!(child.end_time_unix_nano <= request.end_time_unix_nano, "{}", child.name);
    }
    assert_eq!(collector.spans().len(), 7, "{:?}", collector.names());
    let queue = collector.span("queue");
    assert!(queue.end_time_unix_nano - queue.start_time_unix_nano >= 5_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_is_named_and_the_body_is_protobuf() {
    let collector = Collector::listen().await;
    let guard = collector.start(1.0);
    serve(None).await;
    guard.shutdown();

    let requests = collector.requests();
    let resource = requests[0].resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(attribute(&resource.attributes, "service.name"), Some(&text("riad")));
    assert_eq!(attribute(&resource.attributes, "service.version"), Some(&text("1.2.3")));
    assert_eq!(resource.attributes.len(), 2);
    let received = collector.received.lock().unwrap();
    assert_eq!(received[0].0["content-type"], "application/x-protobuf");
}

#[tokio::test(flavor = "multi_thread")]
async fn content_in_spans_does_not_leave_the_process() {
    let collector = Collector::listen().await;
    let guard = collector.start(1.0);
    serve(None).await;
    info_span!(target: "riad_services", "named", otel.name = SECRET).in_scope(|| ());
    let long = "x".repeat(129);
    info_span!(target: "riad_services", "values", id = SECRET, method = %long, route = "", status = "three")
        .in_scope(|| ());
    info_span!(target: "riad_services", "beside", id = SECRET, method = "GET", status = "200").in_scope(|| ());
    guard.shutdown();

    assert_eq!(collector.spans().len(), 7 + 3, "{:?}", collector.names());
    assert!(!collector.has(SECRET), "the secret has left");
    assert!(!collector.has("prompt\""), "a field named prompt has left");
    let permitted: BTreeSet<&str> = ATTRIBUTES.iter().map(|(_, name, _)| *name).collect();
    for span in collector.spans() {
        for attribute in &span.attributes {
            assert!(
                permitted.contains(attribute.key.as_str()),
                "{} of {}",
                attribute.key,
                span.name
            );
        }
        assert!(span.events.is_empty() && span.links.is_empty(), "{}", span.name);
        assert_eq!(span.status.unwrap_or_default().message, "", "{}", span.name);
    }
    collector.span("renamed");
    let values = collector.span("values").attributes;
    assert!(values.is_empty(), "{values:?}");
    let beside = collector.span("beside").attributes;
    assert_eq!(attribute(&beside, "http.request.method"), Some(&text("GET")));
    assert_eq!(
        attribute(&beside, "http.response.status_code"),
        Some(&Value::IntValue(200))
    );
    assert_eq!(beside.len(), 2, "{beside:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_have_the_names_of_the_conventions() {
    let collector = Collector::listen().await;
    let guard = collector.start(1.0);
    serve(None).await;
    info_span!(target: "riad_api", "failed", otel.status_code = "ERROR", otel.status_message = SECRET, status = 429_u16)
        .in_scope(|| ());
    guard.shutdown();

    let request = collector.span("request").attributes;
    assert_eq!(attribute(&request, "riad.request.id"), Some(&text("0199-abc")));
    assert_eq!(attribute(&request, "http.request.method"), Some(&text("POST")));
    assert_eq!(attribute(&request, "http.route"), Some(&text("/v1/chat/completions")));
    assert_eq!(
        attribute(&request, "http.response.status_code"),
        Some(&Value::IntValue(200))
    );
    assert_eq!(request.len(), 4, "{request:?}");
    for other in ["retrieve", "build_prompt", "queue", "generate", "settle"] {
        let attributes = collector.span(other).attributes;
        assert!(attributes.is_empty(), "{other}: {attributes:?}");
    }

    let failed = collector.span("failed");
    assert_eq!(
        attribute(&failed.attributes, "http.response.status_code"),
        Some(&Value::IntValue(429))
    );
    let status = failed.status.unwrap();
    assert_eq!(status.code(), StatusCode::Error);
    assert_eq!(status.message, "", "a description is text");
    assert_eq!(
        collector.span("request").status.unwrap_or_default().code(),
        StatusCode::Unset
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_a_trusted_caller_does_not_record_is_not_sent() {
    let collector = Collector::listen().await;
    let guard = collector.start_trusting(1.0);
    serve(Some(&format!("00-{TRACE}-{CALLER}-00"))).await;
    guard.shutdown();
    assert_eq!(collector.names(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_traceparent_begins_a_trace_of_its_own() {
    let collector = Collector::listen().await;
    let guard = collector.start(1.0);
    let wrong = [
        "",
        "-",
        "00",
        "00-0-0-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-0af7651916cd43dd8448eb211c80319ü-b7ad6b7169203331-01",
    ];
    for header in wrong {
        let span = info_span!(target: "riad_api", "request");
        follow(&span, Some(header));
    }
    guard.shutdown();
    let spans = collector.spans();
    assert_eq!(spans.len(), wrong.len());
    assert!(spans.iter().all(|span| span.parent_span_id.is_empty()));
    let traces: BTreeSet<Vec<u8>> = spans.into_iter().map(|span| span.trace_id).collect();
    assert_eq!(traces.len(), wrong.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_spans_of_some_weight_are_sent() {
    let collector = Collector::listen().await;
    let guard = collector.start(1.0);
    let outer = info_span!(target: "hyper::proto", "foreign");
    outer.in_scope(|| {
        debug_span!(target: "riad_engine", "detail").in_scope(|| {
            info_span!(target: "riad_engine", "ours").in_scope(|| ());
        });
    });
    drop(outer);
    guard.shutdown();
    assert_eq!(collector.names(), ["ours"]);
    assert!(collector.span("ours").parent_span_id.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_do_not_decide_whether_their_traces_are_sent() {
    let collector = Collector::listen().await;
    let guard = collector.start(0.0);
    for traceparent in [None, Some(format!("00-{TRACE}-{CALLER}-01"))] {
        serve(traceparent.as_deref()).await;
    }
    assert!(guard.flush());
    assert_eq!(collector.names(), Vec::<String>::new());
    guard.shutdown();
    let guard = collector.start(1.0);
    serve(Some(&format!("00-{TRACE}-{CALLER}-00"))).await;
    guard.shutdown();
    assert_eq!(collector.spans().len(), 7);
    let request = collector.span("request");
    let hex: String = request.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, TRACE, "it is a part of the caller's trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_is_trusted_decides_whether_its_traces_are_sent() {
    let collector = Collector::listen().await;
    let guard = collector.start_trusting(0.0);
    serve(None).await;
    assert!(guard.flush());
    assert_eq!(collector.names(), Vec::<String>::new());
    serve(Some(&format!("00-{TRACE}-{CALLER}-01"))).await;
    guard.shutdown();
    assert_eq!(collector.spans().len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_go_where_the_last_start_said_and_end_with_its_guard() {
    let first = Collector::listen().await;
    let second = Collector::beside().await;
    let guard = first.start(1.0);
    serve(None).await;
    assert!(guard.flush());
    assert_eq!(first.spans().len(), 7);

    // A server beside it without traces takes nothing away.
    start(config(None)).unwrap().shutdown();
    serve(None).await;
    assert!(guard.flush());
    assert_eq!(first.spans().len(), 14);

    let last = second.start(1.0);
    serve(None).await;
    // The first one's end does not end the second.
    guard.shutdown();
    serve(None).await;
    assert!(last.flush());
    assert_eq!((first.spans().len(), second.spans().len()), (14, 14));

    last.shutdown();
    serve(None).await;
    assert_eq!(
        (first.spans().len(), second.spans().len()),
        (14, 14),
        "nothing is sent after the end"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_collector_does_not_delay_shutdown() {
    let _alone = alone().await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", taken.local_addr().unwrap());
    drop(taken);
    let guard = start(config(Some(endpoint))).unwrap();
    serve(None).await;
    assert!(!guard.flush());
    serve(None).await;
    let ended = tokio::time::timeout(
        std::time::Duration::from_secs(60),
        tokio::task::spawn_blocking(|| guard.shutdown()),
    );
    ended.await.expect("it hangs").unwrap();
}

#[tokio::test]
async fn unusable_settings_are_refused_with_what_to_change() {
    let _alone = alone().await;
    let Err(error) = start(config(Some("127.0.0.1:4318".to_owned()))) else {
        panic!("an address without a scheme was taken");
    };
    assert!(error.to_string().contains("http://127.0.0.1:4318"), "{error}");
    for sample_ratio in [-0.1, 1.1, f64::NAN] {
        let wrong = TelemetryConfig {
            sample_ratio,
            ..config(Some("http://127.0.0.1:9".to_owned()))
        };
        let Err(error) = start(wrong) else {
            panic!("{sample_ratio} was taken");
        };
        assert!(error.to_string().contains("from 0 to 1"), "{error}");
    }
}
