//! The bytes that a tenant may store.

use riad_end_to_end::TestHost;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_document_over_stored_bytes_is_refused_and_costs_nothing() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let (acme, globex) = (host.tenant("acme").await, host.tenant("globex").await);
    let text = |word: &str| json!({"title": word, "text": format!("{word} ").repeat(20_000)});
    let made = acme.post("/v1/documents", &text("first")).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.text("/id");
    let billed = host.entries("acme").await.len();

    host.change("acme", json!({"limits": {"stored_bytes": 200_000}})).await;
    let refused = acme
        .post_once("/v1/documents", &text("second"), "key-1")
        .await
        .refused(507, "quota_exceeded");
    assert!(refused.message().contains("may store 200000"), "{}", refused.message());
    assert_eq!(refused.header("x-should-retry"), "false");
    acme.post("/v1/documents", &text("second"))
        .await
        .refused(507, "quota_exceeded");
    assert_eq!(host.entries("acme").await.len(), billed);
    assert_eq!(
        acme.get("/v1/documents").await.ok()["data"].as_array().unwrap().len(),
        1
    );
    acme.search(&json!({"query": "first"})).await;
    globex.post("/v1/documents", &text("second")).await;

    // Deleting makes room again, and so does the operator.
    acme.delete(&format!("/v1/documents/{id}")).await.ok();
    host.change("acme", json!({"limits": {"stored_bytes": 2_000_000}}))
        .await;
    let made = acme.post_once("/v1/documents", &text("second"), "key-1").await;
    assert_eq!(made.status, 201, "{}", made.body);
}
