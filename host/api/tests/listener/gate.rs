//! What is answered before the models are there. Not here: what is answered while the server ends (`drain`).

use crate::support::{Wire, listen, options};
use axum::{Router, routing::get};
use reqwest::{Client, StatusCode};
use riad_api::{Gate, serve};
use serde_json::Value;

#[tokio::test]
async fn before_the_models_are_loaded_only_health_is_well() {
    let (listener, address) = listen().await;
    let gate = Gate::default();
    let _serving = serve(listener, gate.clone(), options());
    let http = Client::new();
    let ask = async |path: &str| http.get(format!("http://{address}{path}")).send().await.unwrap();

    assert!(!gate.is_ready());
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

    gate.open(&Router::new().route("/readyz", get(async || "ready")));
    assert!(gate.is_ready());
    assert_eq!(ask("/readyz").await.text().await.unwrap(), "ready");
    assert_eq!(ask("/no/such/path").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_client_that_writes_all_before_it_reads_reads_why_it_was_refused() {
    const BYTES: usize = 20 << 20;
    let draining = Gate::default();
    draining.drain();
    for (gate, words) in [(Gate::default(), "loading the models"), (draining, "shutting down")] {
        let (listener, address) = listen().await;
        let _serving = serve(listener, gate, options());
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
async fn a_connection_that_came_while_loading_is_served_afterwards() {
    let (listener, address) = listen().await;
    let gate = Gate::default();
    let _serving = serve(listener, gate.clone(), options());
    let mut wire = Wire::open(address).await;
    wire.get("/").await;
    assert!(wire.until("models").await.starts_with("HTTP/1.1 503"));
    gate.open(&Router::new().route("/", get(async || "hello")));
    wire.get("/").await;
    wire.until("hello").await;
}

#[tokio::test]
async fn a_gate_that_drains_is_not_opened_again() {
    let gate = Gate::default();
    gate.drain();
    gate.open(&Router::new());
    assert!(!gate.is_ready());
}
