//! Idempotency keys: a request that comes again under its key is answered with what it was answered the first time, and is billed
//! once. Not here: what anything costs (`billing`).

use futures::future::join_all;
use reqwest::Method;
use riad_end_to_end::{Answer, Caller, Chat, EMBEDDER, Stream, TestHost, files};
use serde_json::{Value, json};
use std::time::Duration;

const CHAT: &str = "/v1/chat/completions";
const QUESTION: &str = "What is the refund window?";

/// So warm that the same request is answered in another way each time.
fn warm() -> Chat {
    Chat::new(QUESTION).with("temperature", 1.9).with("max_tokens", 40)
}

fn replayed(answer: &Answer) -> bool {
    match answer.header("idempotent-replayed") {
        "true" => true,
        "" => false,
        other => panic!("idempotent-replayed: {other}"),
    }
}

/// Sends a request twice under a key: byte for byte the same answer.
async fn twice(caller: &Caller, path: &str, body: &Value, key: &str) -> Answer {
    let first = caller.post_once(path, body, key).await;
    assert!(first.status.is_success() && !replayed(&first), "{}", first.body);
    let again = caller.post_once(path, body, key).await;
    assert!(replayed(&again), "{path}: {:?}", again.headers);
    assert_eq!((again.status, &again.body), (first.status, &first.body), "{path}");
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_ne!(
        again.header("x-request-id"),
        first.header("x-request-id"),
        "each request has a name of its own"
    );
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_under_the_same_key_is_billed_once() {
    let host = TestHost::builder().max_sequences(2).start().await;
    let (acme, globex) = host.neighbors().await;
    let before = host.entries("acme").await.len();
    // Without the key it is another answer: each has an id of its own.
    let (one, two) = (acme.chat(&warm()).await, acme.chat(&warm()).await);
    assert_ne!(one["id"], two["id"]);

    let whole = twice(&acme, CHAT, &warm().body(false), "whole").await.json();
    let streamed = twice(&acme, CHAT, &warm().body(true), "streamed").await;
    assert!(
        streamed.header("content-type").starts_with("text/event-stream"),
        "{:?}",
        streamed.headers
    );
    assert!(streamed.body.ends_with("data: [DONE]\n\n"), "{}", streamed.body);
    twice(
        &acme,
        "/v1/embeddings",
        &json!({"model": EMBEDDER, "input": ["one", "two"]}),
        "embeddings",
    )
    .await;
    let document = twice(
        &acme,
        "/v1/documents",
        &json!({"title": "Once", "text": "Only once."}),
        "document",
    )
    .await;
    assert_eq!(document.status, 201);
    let listed = acme.get("/v1/documents?limit=100").await.ok();
    let titles = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|document| document["title"] == "Once");
    assert_eq!(titles.count(), 1);
    assert_eq!(host.entries("acme").await.len(), before + 2 + 4, "each was billed once");

    // A key that is used with another body or path is refused, with the reason.
    for (path, body) in [
        (CHAT, warm().with("max_tokens", 41).body(false)),
        (CHAT, warm().body(true)),
        ("/v1/embeddings", json!({"model": EMBEDDER, "input": "x"})),
        ("/v1/documents", json!({"title": "Once", "text": "Only once."})),
    ] {
        let answer = acme.post_once(path, &body, "whole").await;
        assert_eq!(
            (answer.status.as_u16(), replayed(&answer)),
            (400, false),
            "{path}: {}",
            answer.body
        );
        assert!(answer.message().contains("another request"), "{}", answer.message());
    }
    for key in ["", "with space", &"x".repeat(256)] {
        let answer = acme.post_once(CHAT, &warm().body(false), key).await;
        assert_eq!(answer.status, 400, "{key:?}: {}", answer.body);
        assert!(answer.message().contains("255 visible ASCII"), "{}", answer.message());
    }

    // A neighbor's key of the same name is its own.
    let theirs = globex.post_once(CHAT, &warm().body(false), "whole").await;
    assert!(!replayed(&theirs));
    let theirs = theirs.ok();
    assert_ne!(theirs["id"], whole["id"]);
    assert_eq!(theirs["riad"]["receipt"]["tenant"], "globex");
    let passages = theirs["riad"]["passages"].to_string();
    assert!(passages.contains("Globex") && !passages.contains("Acme"), "{passages}");

    // What was kept outlives the process.
    let entries = host.entries("acme").await;
    let key = acme.key.clone();
    let host = host.restart().await;
    let again = host.caller(&key).post_once(CHAT, &warm().body(false), "whole").await;
    assert!(replayed(&again));
    assert_eq!(again.ok(), whole);
    assert_eq!(host.entries("acme").await, entries);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_repeats_one_runs() {
    let host = TestHost::builder().max_sequences(2).start().await;
    let acme = host.tenant("acme").await;
    let body = warm().body(false);
    let answers = join_all((0..12).map(|_| acme.post_once(CHAT, &body, "burst"))).await;
    let (served, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status.is_success());
    assert!(!served.is_empty());
    assert!(
        served.iter().all(|answer| answer.body == served[0].body),
        "two answers under one key"
    );
    assert_eq!(served.iter().filter(|answer| !replayed(answer)).count(), 1);
    for answer in refused {
        let answer = answer.refused(409, "conflict");
        assert!(answer.message().contains("is being answered"), "{}", answer.message());
    }
    assert_eq!(host.entries("acme").await.len(), 1);
    assert!(replayed(&acme.post_once(CHAT, &body, "burst").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_lost_its_answer_gets_it_by_repeating() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    acme.deploy("echo", files::ECHO, &["retrieval", "prompting", "postprocessing"])
        .await;
    // The small model repeats such a question for as long as it may.
    let long = Chat::new(&"x".repeat(200)).with("max_tokens", 450).with("n", 4);
    for (number, stream) in [(1, false), (2, true)] {
        let (key, body) = (format!("lost-{number}"), long.body(stream));
        let request = acme
            .request(Method::POST, CHAT)
            .json(&body)
            .header("idempotency-key", &key);
        if stream {
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 200);
            drop(response);
        } else {
            let left = request.timeout(Duration::from_millis(150)).send().await;
            assert!(
                left.is_err_and(|error| error.is_timeout()),
                "too short to leave in the middle"
            );
        }
        // While the first request runs, a repeated one gets 409.
        let answer = loop {
            let answer = acme.post_once(CHAT, &body, &key).await;
            if answer.status != 409 {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert!(answer.status.is_success() && replayed(&answer), "{}", answer.body);
        let entries = host.entries("acme").await;
        assert_eq!(entries.len(), number, "{entries:#?}");
        let entry = entries.last().unwrap();
        assert_eq!(entry["outcome"], "completed", "it was done to its end: {entry}");
        let receipt = if stream {
            let events: Vec<Value> = answer
                .body
                .lines()
                .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
                .collect();
            Stream::riad(&events)["receipt"].clone()
        } else {
            answer.json()["riad"]["receipt"].clone()
        };
        assert_eq!(receipt["jws"], entry["receipt"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_failed_runs_again() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let body = Chat::new(QUESTION).with("max_tokens", 4).body(false);

    // Refused for its own fault.
    let wrong = Chat::new(QUESTION).with("temperature", 3).body(false);
    for _ in 0..2 {
        let answer = acme.post_once(CHAT, &wrong, "one").await;
        assert_eq!(
            (answer.status.as_u16(), replayed(&answer)),
            (400, false),
            "{}",
            answer.body
        );
    }
    // So the key is still free for the right one.
    assert!(!replayed(&acme.post_once(CHAT, &body, "one").await));

    // A plugin's fault, before the first byte and after it.
    acme.deploy("loop", files::LOOP, &["prompting"]).await;
    let failed = acme.post_once(CHAT, &body, "two").await;
    failed.refused(422, "plugin_limit_exceeded");
    acme.reset_pipeline().await;
    let mended = acme.post_once(CHAT, &body, "two").await;
    assert!(mended.status.is_success() && !replayed(&mended), "{}", mended.body);

    let streamed = Chat::new(QUESTION).body(true);
    acme.deploy("trap", files::TRAP_IN_STREAM, &["postprocessing"]).await;
    let failed = acme.post_once(CHAT, &streamed, "three").await;
    assert!(
        failed.body.contains("plugin_failed") && !failed.body.contains("[DONE]"),
        "{}",
        failed.body
    );
    acme.reset_pipeline().await;
    let mended = acme.post_once(CHAT, &streamed, "three").await;
    assert!(
        !replayed(&mended) && mended.body.ends_with("data: [DONE]\n\n"),
        "{}",
        mended.body
    );

    // A spent budget, then a rate limit.
    host.change("acme", json!({"budget": {"total_tokens": 1}})).await;
    acme.post_once(CHAT, &body, "four")
        .await
        .refused(429, "insufficient_quota");
    // A stored answer needs no budget: it costs nothing.
    assert!(replayed(&acme.post_once(CHAT, &body, "two").await));
    host.change("acme", json!({"budget": null, "limits": {"requests_per_minute": 1}}))
        .await;
    assert!(!replayed(&acme.post_once(CHAT, &body, "four").await));
    acme.post_once(CHAT, &body, "five")
        .await
        .refused(429, "rate_limit_exceeded");
    let again = acme.post_once(CHAT, &body, "four").await;
    assert!(replayed(&again));
    assert_eq!(
        again.header("x-ratelimit-limit-requests"),
        "1",
        "limits are told with every answer"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_answer_needs_the_scope_of_its_request() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let body = Chat::new(QUESTION).with("max_tokens", 4).body(false);
    acme.post_once(CHAT, &body, "mine").await.ok();
    acme.with_key("riad_sk_wrong")
        .post_once(CHAT, &body, "mine")
        .await
        .refused(401, "invalid_api_key");
    for key in [
        json!({"name": "reader", "role": "read-only"}),
        json!({"name": "clerk", "role": "user", "scopes": ["documents"]}),
    ] {
        let made = acme.post("/v1/keys", &key).await.ok();
        let caller = acme.with_key(made["key"].as_str().unwrap());
        caller.post(CHAT, &body).await.refused(403, "insufficient_permissions");
        caller
            .post_once(CHAT, &body, "mine")
            .await
            .refused(403, "insufficient_permissions");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_too_long_to_keep_is_not_billed_again() {
    let host = keeping_little().await;
    let (acme, globex) = host.neighbors().await;
    for (key, body) in [("streamed", warm().body(true)), ("metadata", embeddings())] {
        let path = if body.get("input").is_some() {
            "/v1/embeddings"
        } else {
            CHAT
        };
        let first = acme.post_once(path, &body, key).await;
        assert!(first.status.is_success() && first.body.len() > 1024, "{}", first.body);
        let entries = host.entries("acme").await.len();
        let again = acme.post_once(path, &body, key).await.refused(409, "conflict");
        assert!(again.message().contains("too long"), "{}", again.body);
        assert_eq!(host.entries("acme").await.len(), entries);
        acme.post_once(path, &warm().with("seed", 5).body(false), key)
            .await
            .refused(400, "");
        let theirs = globex.post_once(path, &body, key).await;
        assert!(theirs.status.is_success(), "{}", theirs.body);
    }
}

/// A server whose answers of more than 1 KiB are too long for their keys.
async fn keeping_little() -> TestHost {
    TestHost::builder()
        .max_sequences(1)
        .limits(|limits| limits.idempotency_bytes = 1024)
        .start()
        .await
}

fn embeddings() -> Value {
    json!({"model": EMBEDDER, "input": ["a text", "another"]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_stored_once_also_if_its_answer_was_not_kept() {
    let host = keeping_little().await;
    let (acme, globex) = host.neighbors().await;
    let before = acme.get("/v1/documents").await.ok()["data"].as_array().unwrap().len();
    // An answer that is too long to be kept, as it is missing after a kill.
    let body = json!({"title": "T", "text": "The text.", "metadata": {"note": "x".repeat(2000)}});
    let first = acme.post_once("/v1/documents", &body, "upload").await;
    assert_eq!(first.status, 201, "{}", first.body);
    let host = host.restart().await;
    let (acme, globex) = (host.caller(&acme.key), host.caller(&globex.key));
    let again = acme.post_once("/v1/documents", &body, "upload").await;
    assert_eq!((again.status, again.json()), (first.status, first.json()));
    assert!(replayed(&again) && !replayed(&first));
    let documents = acme.get("/v1/documents").await.ok();
    assert_eq!(documents["data"].as_array().unwrap().len(), before + 1, "{documents}");
    let other = json!({"title": "Other", "text": "The text."});
    acme.post_once("/v1/documents", &other, "upload").await.refused(400, "");
    // The key is the tenant's own.
    let theirs = globex.post_once("/v1/documents", &body, "upload").await;
    assert!(theirs.status == 201 && !replayed(&theirs), "{}", theirs.body);
}
