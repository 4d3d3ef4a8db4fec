//! What is answered before the models are there. Not here: what is answered while the server ends (`drain`).

use crate::support::{Wire, listen, options};
use axum::{Router, routing::get};
use reqwest::{Client, Method, Response, StatusCode};
use riad_api::{AllowedOrigins, Lifecycle, serve};
use serde_json::Value;

#[tokio::test]
async fn while_models_load_only_healthz_succeeds() {
    let (listener, address) = listen().await;
    let lifecycle = Lifecycle::default();
    let _serving = serve(listener, lifecycle.clone(), options()).unwrap();
    let http = Client::new();
    let ask = async |path: &str| http.get(format!("http://{address}{path}")).send().await.unwrap();

    assert!(!lifecycle.is_ready());
    assert_eq!(ask("/healthz").await.status(), StatusCode::OK);
    for path in ["/readyz", "/v1/models", "/metrics", "/no/such/path"] {
        let answer = ask(path).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(
            answer.headers()["retry-after"]
                .to_str()
                .unwrap()
                .parse::<u32>()
                .unwrap()
                > 0
        );
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["code"], "unavailable");
        assert_eq!(body["error"]["type"], "server_error");
        assert!(
            body["error"]["message"]
                .as_str()
                .unwrap()
                .contains("loading the models")
        );
    }

    lifecycle.set_ready(&Router::new().route("/readyz", get(async || "ready")));
    assert!(lifecycle.is_ready());
    assert_eq!(ask("/readyz").await.text().await.unwrap(), "ready");
    assert_eq!(ask("/no/such/path").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_page_reads_why_it_is_refused() {
    let origins = AllowedOrigins::new(["https://chat.example".to_owned()]);
    let draining = Lifecycle::new(origins.clone());
    draining.start_draining();
    for lifecycle in [Lifecycle::new(origins), draining] {
        let (listener, address) = listen().await;
        let _serving = serve(listener, lifecycle, options()).unwrap();
        let url = format!("http://{address}/v1/models");
        let ask = async |method: Method, origin: &str| {
            let request = Client::new().request(method, &url).header("origin", origin);
            let request = request.header("access-control-request-method", "GET");
            request.send().await.unwrap()
        };
        let allowed = |answer: &Response| answer.headers().get("access-control-allow-origin").cloned();
        let answer = ask(Method::GET, "https://chat.example").await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(allowed(&answer).unwrap(), "https://chat.example");
        let preflight = ask(Method::OPTIONS, "https://chat.example").await;
        assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
        assert_eq!(allowed(&preflight).unwrap(), "https://chat.example");
        assert_eq!(allowed(&ask(Method::GET, "https://other.example").await), None);
    }
}

#[tokio::test]
async fn a_client_that_writes_before_it_reads_learns_the_refusal() {
    const BYTES: usize = 20 << 20;
    let draining = Lifecycle::default();
    draining.start_draining();
    for (lifecycle, words) in [
        (Lifecycle::default(), "loading the models"),
        (draining, "shutting down"),
    ] {
        let (listener, address) = listen().await;
        let _serving = serve(listener, lifecycle, options()).unwrap();
        let mut wire = Wire::open(address).await;
        wire.write(format!(
            "PUT /x HTTP/1.1\r\nhost: riad\r\ncontent-length: {BYTES}\r\n\r\n"
        ))
        .await;
        wire.write(vec![0; BYTES]).await;
        assert!(wire.until(words).await.starts_with("HTTP/1.1 503"));
    }
}

#[tokio::test]
async fn a_connection_made_while_loading_is_served_afterwards() {
    let (listener, address) = listen().await;
    let lifecycle = Lifecycle::default();
    let _serving = serve(listener, lifecycle.clone(), options()).unwrap();
    let mut wire = Wire::open(address).await;
    wire.get("/").await;
    assert!(wire.until("models").await.starts_with("HTTP/1.1 503"));
    lifecycle.set_ready(&Router::new().route("/", get(async || "hello")));
    wire.get("/").await;
    wire.until("hello").await;
}

#[tokio::test]
async fn a_server_that_drains_does_not_become_ready_again() {
    let lifecycle = Lifecycle::default();
    lifecycle.start_draining();
    lifecycle.set_ready(&Router::new());
    assert!(!lifecycle.is_ready());
}
