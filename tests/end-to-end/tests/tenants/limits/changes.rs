//! Changes that are not billed have a rate, and keys a maximum.

use super::assert_too_fast;
use reqwest::Method;
use riad_end_to_end::TestHost;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn changes_per_minute_cover_all_that_is_not_billed_but_revoking() {
    let host = TestHost::builder()
        .limits(|limits| limits.changes_per_minute = 3)
        .start()
        .await;
    let (acme, globex) = (host.tenant("acme").await, host.tenant("globex").await);
    let document = acme.add_document("T", "The text.").await;
    acme.put("/v1/settings", &json!({"a": 1})).await.ok();
    acme.put("/v1/pipeline", &json!({"stages": {}})).await.ok();
    let made = acme.post("/v1/keys", &json!({"name": "ci"})).await.json();
    let key = format!("/v1/keys/{}", made["id"].as_str().unwrap());

    let words = ["3 changes per minute"];
    let settings = acme.put("/v1/settings", &json!({"a": 2})).await;
    assert_too_fast(settings, &words);
    for (method, path, body) in [
        (Method::PUT, "/v1/pipeline", json!({"stages": {}})),
        (Method::POST, "/v1/keys", json!({"name": "more"})),
        (Method::PATCH, &*key, json!({"name": "more"})),
        (Method::POST, &*format!("{key}/rotate"), json!({})),
        (Method::PUT, "/v1/plugins/p", json!("no component")),
        (Method::DELETE, "/v1/adapters/legal", json!(null)),
        (Method::DELETE, &*format!("/v1/documents/{document}"), json!(null)),
    ] {
        let request = acme.request(method, path).json(&body);
        assert_too_fast(acme.send(request).await, &words);
    }
    // Nothing of it has happened.
    assert_eq!(acme.get("/v1/settings").await.ok()["a"], 1);
    assert_eq!(acme.get("/v1/keys").await.ok()["data"].as_array().unwrap().len(), 2);
    acme.get(&format!("/v1/documents/{document}")).await.ok();
    // A key that was stolen can be revoked at any time, and others are not concerned.
    acme.delete(&key).await.ok();
    globex.put("/v1/settings", &json!({"a": 1})).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_beyond_the_maximum_is_refused_with_507() {
    let host = TestHost::builder().limits(|limits| limits.keys = 2).start().await;
    let (acme, globex) = (host.tenant("acme").await, host.tenant("globex").await);
    let made = acme.post("/v1/keys", &json!({"name": "ci"})).await.json();
    let refused = acme
        .post("/v1/keys", &json!({"name": "more"}))
        .await
        .refused(507, "quota_exceeded");
    assert_eq!(refused.text("/error/type"), "insufficient_quota");
    assert_eq!(refused.header("x-should-retry"), "false");
    assert!(refused.message().contains("2 keys"), "{}", refused.message());
    assert_eq!(globex.post("/v1/keys", &json!({"name": "ci"})).await.status, 201);
    acme.delete(&format!("/v1/keys/{}", made["id"].as_str().unwrap()))
        .await
        .ok();
    assert_eq!(acme.post("/v1/keys", &json!({"name": "more"})).await.status, 201);
}
