//! The shape of errors, whichever layer writes them, and the headers with a key.

use super::{COUNT, MESSAGES, body, refused};
use reqwest::{Method, RequestBuilder, header::HeaderValue};
use riad_end_to_end::{Caller, Chat, MODEL, TestHost};
use serde_json::{Value, json};

fn short() -> Value {
    body("Hello", json!({"max_tokens": 1}))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_layers_errors_have_anthropics_shape() {
    let builder = TestHost::builder().max_sequences(1);
    let host = builder.limits(|limits| limits.request_bytes = 4096).start().await;
    let acme = host.tenant("acme").await;
    let invalid = "invalid_request_error";
    for path in [MESSAGES, COUNT] {
        let post = |caller: &Caller| caller.request(Method::POST, path);
        let nobody = host.caller("");
        let answer = refused(
            nobody.send(post(&nobody).json(&short())).await,
            401,
            "authentication_error",
            "x-api-key",
        );
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        let wrong = host.caller("riad_sk_wrong");
        refused(
            wrong.send(post(&wrong).json(&short())).await,
            401,
            "authentication_error",
            "",
        );
        for (request, status, kind, words) in [
            (post(&acme).body("{}"), 400, invalid, "application/json"),
            (
                post(&acme).header("content-type", "application/json").body("{"),
                400,
                invalid,
                "the body cannot be read",
            ),
            (
                post(&acme).header("content-type", "application/json").body("[]"),
                400,
                invalid,
                "must be a JSON object",
            ),
            (
                post(&acme).header("content-encoding", "gzip").json(&short()),
                415,
                invalid,
                "without compression",
            ),
            (
                post(&acme).json(&body(&"x".repeat(5000), json!({}))),
                413,
                "request_too_large",
                "larger than this path allows",
            ),
            (
                acme.request(Method::PUT, path),
                405,
                invalid,
                "does not have this method",
            ),
        ] {
            refused(acme.send(request).await, status, kind, words);
        }
    }
    for path in ["/v1/messages/batches", "/v1/messages/"] {
        refused(
            acme.post(path, &short()).await,
            404,
            "not_found_error",
            "does not exist",
        );
    }
    let key = acme
        .request(Method::POST, MESSAGES)
        .header("idempotency-key", HeaderValue::from_bytes(b"\xe9").unwrap());
    refused(acme.send(key.json(&short())).await, 400, invalid, "Idempotency-Key");
    acme.post_once(MESSAGES, &short(), "key").await.ok();
    let other = acme
        .post_once(MESSAGES, &body("Bye", json!({"max_tokens": 1})), "key")
        .await;
    assert!(other.status.is_client_error());
    let status = other.status.as_u16();
    refused(other, status, invalid, "");
    // Others keep theirs.
    assert_eq!(
        acme.post("/v1/chat/completions", &json!({})).await.text("/error/param"),
        "model"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_and_budgets_have_anthropics_types() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host
        .tenant_with("acme", json!({"limits": {"requests_per_minute": 2}}))
        .await;
    let served = acme.post(MESSAGES, &short()).await;
    assert_eq!(served.header("anthropic-ratelimit-requests-limit"), "2");
    assert_eq!(served.header("anthropic-ratelimit-requests-remaining"), "1");
    assert!(served.header("anthropic-ratelimit-requests-reset").ends_with('Z'));
    assert_eq!(served.header("x-ratelimit-remaining-requests"), "1");
    // Counting is counted too, and by the same rate.
    acme.post(COUNT, &short()).await.ok();
    for path in [MESSAGES, COUNT] {
        let answer = refused(
            acme.post(path, &short()).await,
            429,
            "rate_limit_error",
            "2 requests per minute",
        );
        assert!((1..=30).contains(&answer.header("retry-after").parse::<u64>().unwrap()));
    }
    assert_eq!(
        acme.get("/v1/documents")
            .await
            .header("anthropic-ratelimit-requests-limit"),
        ""
    );

    let globex = host.tenant_with("globex", json!({"budget": {"total_tokens": 1}})).await;
    let answer = refused(
        globex.post(MESSAGES, &short()).await,
        402,
        "billing_error",
        "total_tokens",
    );
    assert_eq!(answer.header("x-should-retry"), "false");
    let chat = globex.try_chat(&Chat::new("Hello").with("max_tokens", 1)).await;
    chat.refused(429, "insufficient_quota");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_the_scope_is_refused() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let made = json!({"name": "documents only", "role": "user", "scopes": ["documents"]});
    let made = host.operator.post("/operator/v1/tenants/acme/keys", &made).await.ok();
    let caller = acme.with_key(made["key"].as_str().unwrap());
    for path in [MESSAGES, COUNT] {
        refused(caller.post(path, &short()).await, 403, "permission_error", "the scope");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_key_decides() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let (acme, globex) = (host.tenant("acme").await, host.tenant("globex").await);
    let nobody = host.caller("");
    let with = |path: &str, headers: &[(&str, &str)]| -> RequestBuilder {
        let request = nobody.request(Method::POST, path).json(&short());
        headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value))
    };
    let (a, b) = (acme.key.as_str(), globex.key.as_str());
    let bearer = format!("Bearer {a}");
    let bearer = bearer.as_str();
    for path in [MESSAGES, COUNT] {
        for headers in [
            &[
                ("x-api-key", a),
                ("anthropic-version", "2023-06-01"),
                ("anthropic-beta", "anything"),
            ][..],
            &[("authorization", bearer)],
            &[("x-api-key", a), ("authorization", bearer)],
        ] {
            let answer = nobody.send(with(path, headers)).await.ok();
            if path == MESSAGES {
                assert_eq!(answer["riad"]["receipt"]["tenant"], "acme");
            }
        }
        for headers in [
            &[("x-api-key", b), ("authorization", bearer)][..],
            &[("x-api-key", a), ("x-api-key", b)],
            &[("x-api-key", "none"), ("authorization", bearer)],
        ] {
            refused(
                nobody.send(with(path, headers)).await,
                401,
                "authentication_error",
                "two keys",
            );
        }
        refused(
            nobody.send(with(path, &[("x-api-key", "none")])).await,
            401,
            "authentication_error",
            "",
        );
    }
    // Anthropic's clients list models too, and find their own members.
    let get = |path: &str| nobody.request(Method::GET, path).header("x-api-key", a);
    let models = nobody.send(get("/v1/models")).await.ok();
    let model = &models["data"][0];
    assert_eq!(
        (&models["has_more"], &models["first_id"]),
        (&json!(false), &model["id"])
    );
    assert_eq!(
        (&model["type"], &model["display_name"]),
        (&json!("model"), &json!(MODEL))
    );
    assert!(model["created_at"].as_str().unwrap().ends_with('Z'), "{model}");
    assert_eq!(nobody.send(get(&format!("/v1/models/{MODEL}"))).await.ok(), *model);
    // No other endpoint reads the header, which may be a gateway's.
    nobody.send(get("/v1/documents")).await.refused(401, "invalid_api_key");
    acme.send(acme.request(Method::GET, "/v1/models").header("x-api-key", "other"))
        .await
        .ok();
    assert_eq!(host.entries("globex").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_send_anthropics_headers() {
    let builder = TestHost::builder().max_sequences(1);
    let origins = vec!["https://chat.example".to_owned()];
    let host = builder
        .config(|config| config.server.cors_origins = origins)
        .start()
        .await;
    let headers = "anthropic-beta,anthropic-dangerous-direct-browser-access,anthropic-version,content-type,x-api-key,x-stainless-lang";
    let nobody = host.caller("");
    let request = nobody
        .request(Method::OPTIONS, MESSAGES)
        .header("origin", "https://chat.example");
    let request = request
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", headers);
    let answer = nobody.send(request).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("access-control-allow-headers")),
        (204, headers)
    );
    let request = nobody
        .request(Method::POST, MESSAGES)
        .header("origin", "https://chat.example")
        .json(&short());
    let answer = refused(nobody.send(request).await, 401, "authentication_error", "");
    assert_eq!(answer.header("access-control-allow-origin"), "https://chat.example");
}
