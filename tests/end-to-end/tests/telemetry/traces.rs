//! A chat as a collector sees it.

use crate::{
    CANARY,
    collector::{Collector, attribute},
};
use opentelemetry_proto::tonic::trace::v1::Span;
use reqwest::Method;
use riad_end_to_end::{Answer, Chat, Tenant, TestHost, files};
use riad_telemetry::{ATTRIBUTES, Guard, LogFormat, SPANS, TelemetryConfig, start};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::Mutex;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A process sends its traces to one place: one test at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// As `riad serve` does it, which also reads the configuration.
fn send_to(collector: &Collector) -> Guard {
    start(TelemetryConfig {
        log_format: LogFormat::Text,
        default_filter: "riad=error",
        otlp_endpoint: Some(collector.endpoint.clone()),
        service_name: "riad",
        service_version: "0.0.0",
        sample_ratio: 1.0,
        trust_traceparent: false,
    })
    .unwrap()
}

async fn ask(tenant: &Tenant, chat: &Chat, stream: bool, headers: &[(&str, &str)]) -> Answer {
    let mut request = tenant
        .request(Method::POST, "/v1/chat/completions")
        .json(&chat.body(stream));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    tenant.send(request).await
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn names(spans: &[Span]) -> BTreeSet<String> {
    spans.iter().map(|span| span.name.clone()).collect()
}

/// The whole way of one chat, below the request.
fn assert_whole(spans: &[Span], choices: usize) {
    let one = |name: &str| {
        let found: Vec<&Span> = spans.iter().filter(|span| span.name == name).collect();
        assert_eq!(found.len(), 1, "{name} in {:?}", names(spans));
        found[0].clone()
    };
    let request = one("request");
    let mut ends = Vec::new();
    for name in ["authorize", "retrieve", "build_prompt", "count_prompt", "settle"] {
        let span = one(name);
        assert!(span.start_time_unix_nano >= request.start_time_unix_nano, "{name}");
        ends.push(span.end_time_unix_nano);
    }
    assert!(ends.is_sorted(), "stages one after another: {ends:?}");
    for name in ["queue", "generate", "postprocess"] {
        assert_eq!(spans.iter().filter(|span| span.name == name).count(), choices, "{name}");
    }
    let ids: BTreeSet<&[u8]> = spans.iter().map(|span| span.span_id.as_slice()).collect();
    for span in spans.iter().filter(|span| span.name != "request") {
        assert!(
            ids.contains(span.parent_span_id.as_slice()),
            "{} hangs in the air",
            span.name
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_one_trace_to_its_ledger_entry_without_content() {
    let _alone = ALONE.lock().await;
    let collector = Collector::listen().await;
    let guard = send_to(&collector);
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    acme.add_document(
        &format!("About {CANARY}"),
        &format!("The refund window of {CANARY} is 41 days."),
    )
    .await;
    acme.put("/v1/settings", &serde_json::json!({"motto": CANARY}))
        .await
        .ok();
    let chat = Chat::new(&format!("What is the refund window of {CANARY}?")).with("max_tokens", 24);

    let answer = ask(&acme, &chat, false, &[("x-request-id", "whole")]).await;
    let words = answer.clone().ok()["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(answer.body.contains(CANARY), "the passages have it");
    ask(&acme, &chat.clone().with("n", 2), true, &[("x-request-id", "streamed")]).await;
    ask(
        &acme,
        &chat.clone().with("temperature", 3),
        false,
        &[("x-request-id", "refused")],
    )
    .await;
    acme.deploy("trap", files::TRAP_IN_STREAM, &["postprocessing"]).await;
    ask(&acme, &chat, false, &[("x-request-id", "trapped")])
        .await
        .refused(422, "plugin_failed");
    acme.get(&format!("/v1/models/{CANARY}"))
        .await
        .refused(404, "model_not_found");
    acme.search(&serde_json::json!({"query": CANARY})).await;
    let url = host.url();
    drop(host);
    tokio::task::spawn_blocking(|| guard.shutdown()).await.unwrap();

    assert_whole(&collector.of_request("whole"), 1);
    assert_whole(&collector.of_request("streamed"), 2);
    let whole = collector.of_request("whole");
    let request = whole.iter().find(|span| span.name == "request").unwrap();
    assert_eq!(attribute(request, "http.request.method").as_deref(), Some("POST"));
    assert_eq!(
        attribute(request, "http.route").as_deref(),
        Some("/v1/chat/completions")
    );
    let refused = names(&collector.of_request("refused"));
    assert_eq!(
        refused,
        ["authorize", "request"].map(str::to_owned).into(),
        "no stage was reached"
    );
    let trapped = names(&collector.of_request("trapped"));
    assert!(
        trapped.contains("generate") && !trapped.contains("settle"),
        "{trapped:?}"
    );

    // Not a word of anybody's, nor who is at the other end.
    let first_words: String = words.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    assert!(first_words.len() > 8, "{words:?}");
    for text in [
        CANARY,
        "refund window",
        &first_words,
        &acme.key,
        &acme.key[12..],
        &url,
        "Bearer",
    ] {
        assert!(!collector.has(text), "{text:?} has left the process");
    }
    let spans = collector.spans();
    for span in &spans {
        assert!(span.events.is_empty() && span.links.is_empty(), "{span:?}");
    }
    assert_eq!(recorded(&spans), documented());
}

/// Names of spans, and of the attributes that at least one span of that name has.
type Fields = BTreeMap<String, BTreeSet<String>>;

fn recorded(spans: &[Span]) -> Fields {
    let mut fields = Fields::new();
    for span in spans {
        let attributes = span.attributes.iter().map(|attribute| attribute.key.clone());
        fields.entry(span.name.clone()).or_default().extend(attributes);
    }
    fields
}

/// Spans of requests whose room has plugins of its own.
const OF_PLUGINS: [&str; 2] = ["generate_for_guest", "call_tool"];

/// What `SPANS` says of a chat that the standard pipeline serves, in the names of the trace.
fn documented() -> Fields {
    let attribute = |field: &&str| {
        let (_, name, _) = ATTRIBUTES.iter().find(|(known, _, _)| known == field).unwrap();
        (*name).to_owned()
    };
    SPANS
        .iter()
        .filter(|(name, _)| !OF_PLUGINS.contains(name))
        .map(|(name, fields)| ((*name).to_owned(), fields.iter().map(attribute).collect()))
        .collect()
}

/// What one chat with these headers makes.
async fn spans_of(id: &str, header: (&str, &str)) -> Vec<Span> {
    let _alone = ALONE.lock().await;
    let collector = Collector::listen().await;
    let guard = send_to(&collector);
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let chat = Chat::new("Hello").with("max_tokens", 2);
    ask(&acme, &chat, false, &[("x-request-id", id), header]).await.ok();
    drop(host);
    tokio::task::spawn_blocking(|| guard.shutdown()).await.unwrap();
    collector.of_request(id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_with_an_idempotency_key_is_one_trace_too() {
    assert_whole(&spans_of("once", ("idempotency-key", "k")).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_the_caller_began_goes_on() {
    let spans = spans_of("followed", ("traceparent", &format!("00-{TRACE}-{CALLER}-01"))).await;
    assert_whole(&spans, 1);
    let request = spans.iter().find(|span| span.name == "request").unwrap();
    assert_eq!(hex(&request.trace_id), TRACE);
    assert_eq!(hex(&request.parent_span_id), CALLER);
}
