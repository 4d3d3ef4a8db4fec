//! Limits per minute and at the same time, and the headers that tell how much is left.

use super::{assert_too_fast, short};
use futures::future::join_all;
use reqwest::Method;
use riad_end_to_end::{Answer, Chat, EMBEDDER, TestHost, files};
use serde_json::json;
use std::time::Duration;

/// Limit, what is left, and when all of it is there again.
fn rate(answer: &Answer, what: &str) -> (u64, u64, Duration) {
    let number = |name: &str| {
        let text = answer.header(&format!("x-ratelimit-{name}-{what}"));
        text.trim_end_matches("ms")
            .parse::<u64>()
            .unwrap_or_else(|_| panic!("{name}: {text:?} in {:?}", answer.headers))
    };
    (
        number("limit"),
        number("remaining"),
        Duration::from_millis(number("reset")),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_per_minute_cover_all_that_spends_and_show_the_rest() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host
        .tenant_with("acme", json!({"limits": {"requests_per_minute": 4}}))
        .await;
    let first = acme.try_chat(&short()).await;
    let (limit, left, reset) = rate(&first, "requests");
    assert_eq!((limit, left), (4, 3));
    assert!(
        reset > Duration::from_secs(10) && reset <= Duration::from_secs(15),
        "{reset:?}"
    );
    let embedded = acme
        .post("/v1/embeddings", &json!({"model": EMBEDDER, "input": "x"}))
        .await;
    assert_eq!(rate(&embedded, "requests").1, 2);
    let document = acme
        .post("/v1/documents", &json!({"title": "T", "text": "The text."}))
        .await;
    assert_eq!((document.status.as_u16(), rate(&document, "requests").1), (201, 1));
    acme.search(&json!({"query": "text"})).await;

    // Reading costs nothing; what is malformed is refused before it is counted.
    acme.get("/v1/documents").await.ok();
    let malformed = acme.try_chat(&short().with("n", 0)).await;
    assert_eq!((malformed.status.as_u16(), rate(&malformed, "requests").1), (400, 0));

    let refused = assert_too_fast(acme.try_chat(&short()).await, &["4 requests per minute"]);
    assert_eq!(rate(&refused, "requests").1, 0);
    let wait = refused.header("retry-after").parse::<u64>().unwrap();
    assert!((1..=15).contains(&wait), "a quarter of a minute brings one: {wait}");
    let stream = acme
        .request(Method::POST, "/v1/chat/completions")
        .json(&short().body(true));
    assert_too_fast(acme.send(stream).await, &["per minute"]);
    assert_too_fast(
        acme.post("/v1/search", &json!({"query": "text"})).await,
        &["per minute"],
    );
    // Its neighbor is not limited, and gets no rate headers.
    let globex = host.tenant("globex").await;
    let answer = globex.try_chat(&short()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("x-ratelimit-limit-requests")),
        (200, "")
    );

    // Refused requests are not billed.
    assert_eq!(host.entries("acme").await.len(), 4);
    // A changed limit begins full.
    host.change("acme", json!({"limits": {"requests_per_minute": 600}}))
        .await;
    assert_eq!(rate(&acme.try_chat(&short()).await, "requests").0, 600);
    host.change("acme", json!({"limits": {"requests_per_minute": null}}))
        .await;
    assert_eq!(acme.try_chat(&short()).await.header("x-ratelimit-limit-requests"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_after_its_retry_after_time_is_served() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host
        .tenant_with("acme", json!({"limits": {"requests_per_minute": 30}}))
        .await;
    let text = json!({"model": EMBEDDER, "input": "x"});
    let answers = join_all((0..31).map(|_| acme.post("/v1/embeddings", &text))).await;
    let (served, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status.is_success());
    assert!(
        served.len() >= 30,
        "a minute's worth may come at once: {}",
        served.len()
    );
    let Some(refused) = refused.into_iter().next() else {
        return;
    };
    let wait = assert_too_fast(refused, &["30 requests per minute"])
        .header("retry-after")
        .parse()
        .unwrap();
    tokio::time::sleep(Duration::from_secs(wait)).await;
    acme.post("/v1/embeddings", &json!({"model": EMBEDDER, "input": "x"}))
        .await
        .ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_per_minute_are_those_that_requests_hold() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host
        .tenant_with("acme", json!({"limits": {"tokens_per_minute": 400}}))
        .await;
    let untouched = acme.try_chat(&Chat::new("Hello").with("n", 0)).await;
    assert_eq!(rate(&untouched, "tokens"), (400, 400, Duration::ZERO));
    let large = Chat::new("Hello").with("max_tokens", 300);
    let answer = acme.try_chat(&large).await;
    let (limit, left, _) = rate(&answer, "tokens");
    assert_eq!(limit, 400);
    assert!(left < 100, "300 and the prompt are held, {left} are left");
    assert_eq!(
        answer.ok()["choices"][0]["finish_reason"].as_str().map(str::is_empty),
        Some(false)
    );
    let refused = assert_too_fast(acme.try_chat(&large).await, &["400 tokens per minute"]);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 60);
    // Also where it is the search of the pipeline that finds nothing left.
    let wordy = Chat::new(&"Hello ".repeat(40)).with("max_tokens", 1);
    assert_too_fast(acme.try_chat(&wordy).await, &["400 tokens per minute"]);
    // A request for more than a minute's tokens is invalid: waiting would not help.
    let never = acme.try_chat(&Chat::new("Hello").with("max_tokens", 500)).await;
    assert_eq!(never.status, 400, "{}", never.body);
    assert!(
        never.message().contains("400 per minute") && never.message().contains("max_tokens"),
        "{}",
        never.message()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_are_limited_until_one_ends() {
    let host = TestHost::builder().max_sequences(2).start().await;
    let acme = host
        .tenant_with("acme", json!({"limits": {"concurrent_requests": 1}}))
        .await;
    acme.deploy("echo", files::ECHO, &["retrieval", "prompting", "postprocessing"])
        .await;
    // The small model repeats such a question for as long as it may.
    let long = Chat::new(&"x".repeat(200)).with("max_tokens", 400).with("n", 4);
    let mut running = acme.stream(&long).await;
    running.next_json().await;
    assert_too_fast(acme.try_chat(&short()).await, &["at the same time"]);
    assert_too_fast(
        acme.post("/v1/search", &json!({"query": "text"})).await,
        &["at the same time"],
    );
    // Its neighbor has the other place.
    host.tenant("globex").await.chat(&short()).await;
    running.rest().await;
    // When it has ended its place is free at once: the answer's last byte comes after that.
    acme.chat(&short()).await;

    // A client that hangs up frees its place as well.
    let mut running = acme.stream(&long).await;
    running.next_json().await;
    drop(running);
    host.entries_when("acme", 3).await;
    acme.chat(&short()).await;
}
