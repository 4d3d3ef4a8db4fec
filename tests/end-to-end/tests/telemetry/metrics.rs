//! `/metrics`, `/operator/v1/scale`, and request ids.

use crate::CANARY;
use reqwest::Method;
use riad_core::Secret;
use riad_end_to_end::{Caller, Chat, EMBEDDER, MODEL, Tenant, TestHost, files};
use riad_openmetrics::{Exposition, MetricType, check};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const METRICS_KEY: &str = "a-key-for-the-metrics-of-tests";

async fn scrape(caller: &Caller) -> Exposition {
    let answer = caller.get("/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(answer.status.is_success(), "{}", answer.body);
    assert!(!answer.body.contains(CANARY));
    check(&answer.body).unwrap_or_else(|faults| panic!("{faults:#?}\n{}", answer.body))
}

/// All kinds of requests, some of which fail.
async fn traffic(acme: &Tenant) {
    acme.add_document(&format!("About {CANARY}"), "The refund window is 41 days.")
        .await;
    let chat = Chat::new(&format!("What about {CANARY}?")).with("max_tokens", 8);
    acme.chat(&chat).await;
    acme.stream(&chat.clone().with("n", 2)).await.rest().await;
    acme.post("/v1/embeddings", &json!({"model": EMBEDDER, "input": CANARY}))
        .await
        .ok();
    acme.search(&json!({"query": CANARY})).await;
    acme.put_adapter("legal", &files::Adapter::acme()).await;
    acme.chat(&chat.clone().adapter("legal")).await;
    acme.deploy("trap", files::TRAP_IN_STREAM, &["postprocessing"]).await;
    acme.try_chat(&Chat::new("What is the refund window?"))
        .await
        .refused(422, "plugin_failed");
    acme.reset_pipeline().await;
    let mut stream = acme
        .stream(&chat.with("max_tokens", 300).with("temperature", 1.9))
        .await;
    stream.next_json().await;
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_say_what_the_ledger_says_and_pass_the_check() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    scrape(&host.operator).await;
    traffic(&acme).await;
    let entries = host.entries_when("acme", 8).await;
    let begun = Instant::now();
    let quiet = loop {
        let now = scrape(&host.operator).await;
        let idle = ["riad_held_tokens", "riad_sequences_running", "riad_engine_sequences"];
        if idle.iter().all(|name| now.sum(name, &[]) == Some(0.0)) {
            break now;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "something is never settled");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };

    // Ledger and engine agree, and each counter is a recount of the entries.
    let column = |name: &str, of: &dyn Fn(&Value) -> bool| -> f64 {
        let of = entries.iter().filter(|entry| of(entry));
        of.map(|entry| entry[name].as_u64().unwrap()).sum::<u64>() as f64
    };
    for (kind, name) in [
        ("prompt", "prompt_tokens"),
        ("completion", "completion_tokens"),
        ("embedded", "embedded_tokens"),
    ] {
        let labels = [("type", kind)];
        assert_eq!(quiet.sum("riad_ledger_drift_tokens", &labels), Some(0.0), "{kind}");
        let expected = column(name, &|_| true);
        for metric in [
            "riad_engine_tokens_total",
            "riad_ledger_tokens_total",
            "riad_tokens_total",
        ] {
            assert_eq!(quiet.sum(metric, &labels), Some(expected), "{metric} {kind}");
        }
    }
    // Every token that was billed and not cached was a row, but for the last of an answer, and nothing was computed twice.
    assert_eq!(quiet.sum("riad_ledger_drift_tokens", &[("type", "cached")]), Some(0.0));
    let rows = |phase| quiet.sum("riad_engine_rows_total", &[("phase", phase)]).unwrap();
    let computed = column("prompt_tokens", &|_| true) - column("cached_tokens", &|_| true);
    assert!(rows("prefill") > 0.0 && rows("prefill") <= computed, "{computed}");
    assert!(rows("decode") > 0.0 && rows("decode") <= computed + column("completion_tokens", &|_| true));
    assert_eq!(quiet.sum("riad_engine_preemptions_total", &[]), Some(0.0));
    assert!(quiet.sum("riad_engine_step_time_seconds_count", &[]) > Some(0.0));
    assert_eq!(quiet.sum("riad_engine_batch_tokens", &[]), Some(0.0));
    assert!(quiet.sum("riad_engine_kv_blocks", &[("state", "cached")]) > Some(0.0));
    let hits = quiet.sum("riad_engine_prefix_hit_tokens_total", &[]).unwrap();
    let lookups = quiet.sum("riad_engine_prefix_lookup_tokens_total", &[]).unwrap();
    assert!(
        hits >= column("cached_tokens", &|_| true) && lookups > hits,
        "{hits} of {lookups}"
    );
    for kind in ["chat", "embedding", "document", "search"] {
        for outcome in ["completed", "cancelled", "plugin_failed"] {
            let counted = quiet
                .sum("riad_requests_total", &[("kind", kind), ("outcome", outcome)])
                .unwrap_or(0.0);
            let expected = entries
                .iter()
                .filter(|entry| entry["kind"] == kind && entry["outcome"] == outcome)
                .count();
            assert_eq!(counted, expected as f64, "{kind} {outcome}");
        }
        let of_kind = |entry: &Value| entry["kind"] == kind;
        let fuel = quiet.sum("riad_fuel_total", &[("kind", kind)]).unwrap_or(0.0);
        assert_eq!(fuel, column("fuel", &of_kind), "{kind}");
    }
    let chats = [("gen_ai_operation_name", "chat"), ("gen_ai_response_model", MODEL)];
    let count = |name: &str| quiet.sum(name, &chats);
    let chat_entries = entries.iter().filter(|entry| entry["kind"] == "chat").count();
    assert_eq!(
        count("gen_ai_server_request_duration_seconds_count"),
        Some(chat_entries as f64)
    );
    let completed = entries
        .iter()
        .filter(|entry| entry["kind"] == "chat" && entry["outcome"] == "completed")
        .count();
    assert_eq!(
        count("gen_ai_server_time_to_first_token_seconds_count"),
        Some(completed as f64)
    );
    assert!(count("gen_ai_server_time_per_output_token_seconds_count") > Some(0.0));
    let output = [chats[0], ("gen_ai_token_type", "output")];
    assert_eq!(
        quiet.sum("gen_ai_client_token_usage_sum", &output),
        Some(column("completion_tokens", &|_| true))
    );
    assert!(quiet.sum("riad_queue_time_seconds_count", &[]) > Some(0.0));
    assert!(quiet.sum("riad_plugin_time_seconds_count", &[]) > Some(0.0));
    assert_eq!(quiet.sum("riad_adapters_resident", &[]), Some(1.0));
    assert_eq!(quiet.sum("riad_adapter_loads_total", &[]), Some(1.0));
    assert_eq!(quiet.sum("riad_sequences_max", &[]), Some(1.0));
    assert!(quiet.sum("riad_rooms_open", &[]) >= Some(1.0));
    assert_eq!(quiet.family("riad_requests").unwrap().kind, MetricType::Counter);
    // Nobody is named if it is not wanted.
    let labels = quiet
        .families
        .iter()
        .flat_map(|family| &family.samples)
        .flat_map(|sample| &sample.labels);
    assert!(
        labels
            .into_iter()
            .all(|(name, value)| name != "tenant" && value != "acme")
    );

    let scale = host.operator.get("/operator/v1/scale").await.ok();
    assert_eq!(
        (&scale["object"], &scale["max_sequences"], &scale["running_sequences"]),
        (&"scale".into(), &1.into(), &0.into())
    );
    assert_eq!(
        (&scale["queue_requests"], &scale["queue_tokens"], &scale["shed"]),
        (&0.into(), &0.into(), &0.into())
    );
    assert_eq!(scale["batch_tokens"], 0);
    assert!(scale["kv_cache_tokens"].as_u64() > Some(0), "{scale}");
    assert_eq!(scale["target_ttft_ms"], 10_000);
    assert!(
        scale["estimated_ttft_ms"].is_u64() && scale["tokens_per_second"].as_f64() > Some(0.0),
        "{scale}"
    );
    assert!(
        scale["pressure"]
            .as_f64()
            .is_some_and(|pressure| (0.0..1.0).contains(&pressure)),
        "{scale}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scale_endpoint_shows_a_queue_while_it_lasts() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    acme.deploy("echo", files::ECHO, &["retrieval", "prompting", "postprocessing"])
        .await;
    // The small model repeats such a question for as long as it may.
    let long = Chat::new(&"x".repeat(200)).with("max_tokens", 300);
    let waiting = futures::future::join_all((0..6).map(|_| acme.try_chat(&long)));
    let watching = async {
        let begun = Instant::now();
        loop {
            let scale = host.operator.get("/operator/v1/scale").await.ok();
            if scale["queue_requests"].as_u64() >= Some(3) {
                return scale;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "no queue was seen: {scale}");
        }
    };
    let (answers, scale) = tokio::join!(waiting, watching);
    assert_eq!(scale["running_sequences"], 1, "{scale}");
    assert!(
        scale["batch_tokens"].as_u64() <= scale["kv_cache_tokens"].as_u64(),
        "{scale}"
    );
    let waits = scale["queue_requests"].as_u64().unwrap();
    assert!(scale["queue_tokens"].as_u64().unwrap() >= waits * 300, "{scale}");
    for answer in answers {
        answer.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_label_tenants_on_request_and_up_to_a_limit() {
    let host = TestHost::builder()
        .max_sequences(1)
        .config(|config| {
            config.telemetry.tenant_label = true;
            config.telemetry.max_tenants = 1;
        })
        .start()
        .await;
    let acme = host.tenant("acme").await;
    traffic(&acme).await;
    for id in ["globex", "initech"] {
        host.tenant(id)
            .await
            .chat(&Chat::new("Hello").with("max_tokens", 2))
            .await;
    }
    host.entries_when("acme", 8).await;
    let now = scrape(&host.operator).await;
    let requests = |tenant: &str| now.sum("riad_requests_total", &[("tenant", tenant)]);
    assert_eq!((requests("acme"), requests("other")), (Some(8.0), Some(2.0)));
    assert_eq!((requests("globex"), requests("initech")), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_key_reads_metrics_and_opens_nothing_else() {
    let host = TestHost::builder()
        .max_sequences(1)
        .secrets(|secrets| secrets.metrics_key = Some(Secret::new(METRICS_KEY.to_owned())))
        .start()
        .await;
    let acme = host.tenant("acme").await;
    let scraper = host.caller(METRICS_KEY);
    scrape(&scraper).await;
    scrape(&host.operator).await;
    for caller in [
        host.caller(""),
        acme.with_key(&acme.key),
        host.caller("a-key-for-the-metrics-of-testz"),
    ] {
        caller.get("/metrics").await.refused(401, "invalid_api_key");
    }
    for path in [
        "/operator/v1/tenants",
        "/operator/v1/scale",
        "/operator/v1/ledger/verify",
        "/v1/models",
        "/v1/usage?start_time=1",
    ] {
        scraper.get(path).await.refused(401, "invalid_api_key");
    }
    let open = TestHost::builder()
        .max_sequences(1)
        .config(|config| config.telemetry.open_metrics = true)
        .start()
        .await;
    scrape(&open.caller("")).await;
    open.caller("")
        .get("/operator/v1/scale")
        .await
        .refused(401, "invalid_api_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_a_request_id_the_clients_if_valid() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let ask = async |caller: &Caller, path: &str, id: &str| {
        let request = caller.request(Method::GET, path).header("x-request-id", id);
        caller.send(request).await.header("x-request-id").to_owned()
    };
    for (caller, path) in [
        (&*acme, "/v1/models"),
        (&*acme, "/v1/nothing"),
        (&host.caller(""), "/v1/models"),
        (&host.operator, "/metrics"),
        (&host.caller(""), "/healthz"),
    ] {
        assert_eq!(ask(caller, path, "my-request_7.b").await, "my-request_7.b", "{path}");
        for insane in ["with space", "{\"a\":1}", &"x".repeat(129), ""] {
            let own = ask(caller, path, insane).await;
            assert!(own != insane && own.len() >= 32, "{path}: {own:?}");
        }
    }
    let (one, two) = (acme.get("/v1/models").await, acme.get("/v1/models").await);
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
    let stream = acme.stream(&Chat::new("Hello").with("max_tokens", 2)).await;
    assert!(!stream.headers["x-request-id"].is_empty());
    stream.rest().await;
}
