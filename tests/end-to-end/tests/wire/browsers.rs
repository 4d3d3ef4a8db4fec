//! Browsers, and the proxies between clients and server: other origins, silence in streams, methods and protocols.

use futures::StreamExt;
use reqwest::{Method, StatusCode, Version};
use riad_end_to_end::{Answer, Caller, Chat, MODEL, TestHost, files};
use serde_json::json;

const PATH: &str = "/v1/chat/completions";
const PAGE: &str = "https://chat.example";

/// It never ends by itself: the model may not write the token that ends an answer.
fn endless() -> Chat {
    let end = json!({"5": -100});
    Chat::new(&"x".repeat(200))
        .with("max_tokens", 450)
        .with("logit_bias", end)
}

async fn host_for(origins: &[&str]) -> TestHost {
    let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    let builder = TestHost::builder().max_sequences(1);
    builder
        .config(|config| config.server.cors_origins = origins)
        .start()
        .await
}

/// As a browser asks before a page may send JSON and a key.
async fn preflight(caller: &Caller, origin: &str) -> Answer {
    let request = caller
        .request(Method::OPTIONS, PATH)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type,x-stainless-lang",
        );
    caller.send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_named_origin_may_ask() {
    let host = host_for(&[PAGE, "http://localhost:3000"]).await;
    let tenant = host.tenant("acme").await;
    for origin in [PAGE, "http://localhost:3000"] {
        let before = preflight(&host.caller(""), origin).await;
        assert_eq!(before.status, StatusCode::NO_CONTENT);
        assert_eq!(before.header("access-control-allow-origin"), origin);
        assert!(before.header("access-control-allow-methods").contains("POST"));
        assert_eq!(
            before.header("access-control-allow-headers"),
            "authorization,content-type,x-stainless-lang"
        );
        assert!(before.header("vary").contains("origin"));
        // Of what fails too, or the page could not tell why.
        for (caller, status) in [(&*tenant, 200), (&host.caller("riad_sk_wrong"), 401)] {
            let request = caller.request(Method::POST, PATH).header("origin", origin);
            let answer = caller
                .send(request.json(&Chat::new("Hello").with("max_tokens", 1).body(false)))
                .await;
            assert_eq!(answer.status.as_u16(), status);
            assert_eq!(answer.header("access-control-allow-origin"), origin);
            assert_eq!(answer.header("access-control-expose-headers"), "*");
            assert_eq!(answer.header("access-control-allow-credentials"), "");
        }
    }
    let stranger = preflight(&host.caller(""), "https://evil.example").await;
    assert_eq!(stranger.header("access-control-allow-origin"), "");
    assert_eq!(stranger.header("access-control-allow-methods"), "");
    let request = tenant
        .request(Method::GET, "/v1/models")
        .header("origin", "https://chat.example.evil.example");
    assert_eq!(tenant.send(request).await.header("access-control-allow-origin"), "");
    // A page cannot ask what it may without the headers of a preflight.
    let options = host.caller("").request(Method::OPTIONS, PATH);
    tenant.send(options).await.refused(405, "method_not_allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_origin_or_none_may_ask_as_configured() {
    let host = host_for(&["*"]).await;
    let before = preflight(&host.caller(""), PAGE).await;
    assert_eq!(
        (before.status.as_u16(), before.header("access-control-allow-origin")),
        (204, "*")
    );
    let host = host_for(&[]).await;
    let before = preflight(&host.caller(""), PAGE)
        .await
        .refused(405, "method_not_allowed");
    assert_eq!(before.header("access-control-allow-origin"), "");
    let request = host
        .operator
        .request(Method::GET, "/operator/v1/plans")
        .header("origin", PAGE);
    assert_eq!(
        host.operator.send(request).await.header("access-control-allow-origin"),
        ""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_waits_is_not_silent() {
    let builder = TestHost::builder().max_sequences(1);
    let host = builder.limits(|limits| limits.stream_silence_ms = 50).start().await;
    let tenant = host.tenant("acme").await;
    tenant
        .deploy("echo", files::ECHO, &["retrieval", "prompting", "postprocessing"])
        .await;
    // The one place is taken as long as this goes on.
    let long = endless();
    let mut first = tenant.stream(&long).await;
    assert_eq!(first.headers["x-accel-buffering"], "no");
    first.next_json().await;

    let request = tenant
        .request(Method::POST, PATH)
        .json(&Chat::new("Hello").with("max_tokens", 2).body(true));
    let response = request.send().await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["x-accel-buffering"]),
        (StatusCode::OK, &"no".parse().unwrap())
    );
    let mut waiting = response.bytes_stream();
    let comment = waiting.next().await.unwrap().unwrap();
    let comment = String::from_utf8(comment.to_vec()).unwrap();
    assert!(
        comment.starts_with(": waiting in the queue") && comment.lines().count() == 2,
        "a comment, and nothing of an answer: {comment:?}"
    );
    drop(first);
    let mut rest = Vec::new();
    while let Some(bytes) = waiting.next().await {
        rest.extend_from_slice(&bytes.unwrap());
    }
    let rest = String::from_utf8(rest).unwrap();
    let first = rest.split("\n\n").find(|event| event.starts_with("data: ")).unwrap();
    assert!(
        first.contains("\"role\":\"assistant\"") && rest.ends_with("data: [DONE]\n\n"),
        "{rest}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_waited_in_vain_says_why() {
    let builder = TestHost::builder().max_sequences(1);
    let host = builder
        .limits(|limits| (limits.stream_silence_ms, limits.queue_ms) = (20, 200))
        .start()
        .await;
    let tenant = host.tenant("acme").await;
    let long = endless();
    let mut first = tenant.stream(&long).await;
    first.next_json().await;
    let events = tenant.stream(&Chat::new("Hello")).await.rest().await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["error"]["code"], "timeout");
    // What is wrong from the start still has its status.
    let bad = Chat::new("Hello").with("temperature", 9).body(true);
    assert_eq!(tenant.post(PATH, &bad).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_a_body() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    for (caller, path, status) in [
        (&*tenant, "/v1/models".to_owned(), 200),
        (&*tenant, format!("/v1/models/{MODEL}"), 200),
        (&*tenant, "/v1/models/absent".to_owned(), 404),
        (&host.caller(""), "/healthz".to_owned(), 200),
        (&host.caller(""), "/v1/models".to_owned(), 401),
        (&*tenant, PATH.to_owned(), 405),
    ] {
        let answer = caller.send(caller.request(Method::HEAD, &path)).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (status, ""), "{path}");
        if status == 200 {
            let length = answer.header("content-length").parse::<usize>().unwrap();
            assert_eq!(length, caller.get(&path).await.body.len(), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_spoken_without_tls_too() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let request = client.post(format!("{}{PATH}", host.url())).bearer_auth(&tenant.key);
    let response = request
        .json(&Chat::new("Hello").with("max_tokens", 2).body(true))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (response.status(), response.version()),
        (StatusCode::OK, Version::HTTP_2)
    );
    assert!(response.text().await.unwrap().ends_with("data: [DONE]\n\n"));
}
