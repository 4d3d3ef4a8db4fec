//! A server that ends: what is in flight is finished within the deadline, what is new is refused with words that a client
//! understands, and the ledger verifies either way. And one behind TLS. Not here: connections (`riad-api`'s listener tests), signals
//! (`riad-app`).

use reqwest::StatusCode;
use riad_core::ErrorKind;
use riad_end_to_end::{Chat, Stream, TestHost, files};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// With the echo plugin the small model repeats such a question for as long as it may.
fn long(choices: u64) -> Chat {
    Chat::new(&"x".repeat(200)).with("max_tokens", 450).with("n", choices)
}

async fn assert_closes(host: &TestHost) {
    let found = host.operator.get("/operator/v1/ledger/verify").await.ok();
    assert_eq!((&found["ok"], &found["faults"]), (&true.into(), &json!([])), "{found}");
    let (_, before) = found["runs"].as_array().unwrap().split_last().unwrap();
    assert!(!before.is_empty());
    for run in before {
        assert_eq!(
            (&run["engine"], &run["abandoned"]),
            (&run["ledger"], &0.into()),
            "{run}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_finishes_old_requests_and_refuses_new_ones() {
    let mut host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    acme.deploy("echo", files::ECHO, &["retrieval", "prompting", "postprocessing"])
        .await;
    let mut stream = acme.stream(&long(2)).await;
    stream.next_json().await;
    let kept = tokio::spawn({
        let acme = acme.with_key(&acme.key);
        async move {
            acme.post_once("/v1/chat/completions", &long(1).body(false), "kept")
                .await
        }
    });
    let begun = Instant::now();
    // The stream's own second choice waits too.
    while host.operator.get("/operator/v1/scale").await.ok()["queue_requests"] != 2 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the second chat never came");
    }

    let stopping = tokio::spawn(host.stop());
    // On new connections and old ones the client is asked to try again on another connection.
    let begun = Instant::now();
    let refused = loop {
        let answer = acme.with_key(&acme.key).get("/v1/models").await;
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            break answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not drain");
    };
    let refused = refused.refused(503, "unavailable");
    assert_eq!(
        (refused.header("retry-after"), refused.header("connection")),
        ("1", "close")
    );
    assert!(refused.message().contains("shutting down"), "{}", refused.message());
    acme.try_chat(&long(1)).await.refused(503, "unavailable");
    let nobody = host.caller("");
    assert_eq!(nobody.get("/readyz").await.status, 503);
    assert_eq!(nobody.get("/healthz").await.ok()["status"], "ok");
    // The last scrape is not lost.
    assert!(host.operator.get("/metrics").await.status.is_success());
    assert!(!stopping.is_finished(), "something is in flight");

    let events = stream.rest().await;
    assert_eq!(events.last(), Some(&"[DONE]".into()));
    assert_eq!(Stream::riad(&events)["receipt"]["completion_tokens"], 900);
    let kept = kept.await.unwrap().ok();
    assert_eq!(kept["usage"]["completion_tokens"], 450);
    stopping.await.unwrap().unwrap();

    let key = acme.key.clone();
    let host = host.start_again().await;
    let again = host
        .caller(&key)
        .post_once("/v1/chat/completions", &long(1).body(false), "kept")
        .await;
    assert_eq!((again.header("idempotent-replayed"), again.json()), ("true", kept));
    let outcomes: Vec<Value> = host
        .entries("acme")
        .await
        .iter()
        .map(|entry| entry["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["completed", "completed"]);
    assert_closes(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_longer_than_the_deadline_is_cut_off_and_settled() {
    let mut host = TestHost::builder()
        .max_sequences(1)
        .limits(|limits| limits.drain_ms = 200)
        .start()
        .await;
    let acme = host.tenant("acme").await;
    acme.deploy("echo", files::ECHO, &["retrieval", "prompting", "postprocessing"])
        .await;
    let mut stream = acme.stream(&long(8)).await;
    stream.next_json().await;
    let error = host.stop().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(
        error.message().contains("limits.drain_ms") && error.message().contains('1'),
        "{error}"
    );
    drop(stream);

    let host = host.start_again().await;
    let entries = host.entries("acme").await;
    let [entry] = entries.as_slice() else {
        panic!("{entries:?}")
    };
    assert_eq!(entry["outcome"], "cancelled");
    let tokens = entry["completion_tokens"].as_u64().unwrap();
    assert!((1..8 * 450).contains(&tokens), "{entry}");
    assert_closes(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_tls_refuses_plain_http() {
    let folder = tempfile::tempdir().unwrap();
    let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, signed.cert.pem()).unwrap();
    std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
    let host = TestHost::builder()
        .max_sequences(1)
        .config(|config| {
            config.server.tls_certificate = Some(certificate);
            config.server.tls_key = Some(key);
        })
        .start()
        .await;
    let url = host.url();
    assert!(url.starts_with("https://"), "{url}");
    let root = reqwest::Certificate::from_pem(signed.cert.pem().as_bytes()).unwrap();
    let trusting = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([root])
        .build()
        .unwrap();
    let health = trusting.get(format!("{url}/healthz")).send().await.unwrap();
    assert_eq!(health.status(), 200);
    // Who does not know the certificate, and who does not speak TLS, is not served.
    let stranger = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(stranger.get(format!("{url}/healthz")).send().await.is_err());
    let plain = url.replace("https://", "http://");
    assert!(trusting.get(format!("{plain}/healthz")).send().await.is_err());
}
