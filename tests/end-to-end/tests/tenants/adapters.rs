//! Generations of an adapter's alias: listed, rolled back, pinned within what the operator allows, loaded ahead. Not here: files that do
//! not fit (`bad_input`).

use reqwest::Method;
use riad_end_to_end::{Chat, Tenant, TestHost, files::Adapter};
use serde_json::{Value, json};

const QUESTION: &str = "What is the refund window?";

async fn generations(tenant: &Tenant, alias: &str) -> Vec<Value> {
    let listed = tenant.get(&format!("/v1/adapters/{alias}/generations")).await.ok();
    listed["data"].as_array().unwrap().clone()
}

async fn ask(tenant: &Tenant) -> (Value, Value) {
    let answer = tenant.chat(&Chat::new(QUESTION).adapter("house")).await;
    let receipt = &answer["riad"]["receipt"];
    (
        answer["choices"][0]["message"]["content"].clone(),
        receipt["adapter_generation"].clone(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_changes_what_answers_say() {
    let host = TestHost::builder().max_sequences(2).start().await;
    let tenant = host.tenant("acme").await;
    tenant.add_document("Refunds", "The refund window is 41 days.").await;
    let first = tenant.put_adapter("house", &Adapter::acme()).await.ok();
    let none_before = tenant.post("/v1/adapters/house/rollback", &json!({})).await;
    assert_eq!(none_before.status, 409, "{}", none_before.body);
    let old = ask(&tenant).await;
    let second = tenant.put_adapter("house", &Adapter::globex()).await.ok();
    let new = ask(&tenant).await;
    assert_eq!((&old.1, &new.1), (&first["generation"], &second["generation"]));
    assert_ne!(old.0, new.0);
    let kept = generations(&tenant, "house").await;
    assert_eq!(
        kept.iter()
            .map(|kept| (&kept["generation"], &kept["current"]))
            .collect::<Vec<_>>(),
        [
            (&second["generation"], &json!(true)),
            (&first["generation"], &json!(false))
        ]
    );

    // The same prompt again: what was computed for the other generation is not reused.
    let back = tenant.post("/v1/adapters/house/rollback", &json!({})).await.ok();
    assert_eq!(back["generation"], first["generation"]);
    assert_eq!(ask(&tenant).await, old);
    let named = json!({"generation": second["generation"]});
    tenant.post("/v1/adapters/house/rollback", &named).await.ok();
    assert_eq!(ask(&tenant).await, new);

    let unknown = json!({"generation": format!("sha256:{}", "0".repeat(64))});
    let unknown = tenant.post("/v1/adapters/house/rollback", &unknown).await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.message().contains("/generations"), "{}", unknown.body);
    let malformed = tenant
        .post("/v1/adapters/house/rollback", &json!({"generation": "newest"}))
        .await;
    assert_eq!(malformed.status, 400, "{}", malformed.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn pins_need_the_operators_allowance() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let adapter = Adapter::acme();
    let bytes = adapter.weights.len() as u64;
    let pin = async |alias: &str, pinned: bool| {
        let path = format!("/v1/adapters/{alias}");
        tenant.patch(&path, &json!({"pinned": pinned})).await
    };
    tenant.put_adapter("house", &adapter).await.ok();
    tenant.put_adapter("other", &Adapter::globex()).await.ok();
    let refused = pin("house", true).await;
    assert_eq!(refused.status, 403);
    assert!(
        refused.message().contains("limits.pinned_adapter_bytes"),
        "{}",
        refused.body
    );

    host.change("acme", json!({"limits": {"pinned_adapter_bytes": bytes}}))
        .await;
    assert_eq!(pin("house", true).await.ok()["pinned"], true);
    assert_eq!(pin("other", true).await.status, 403, "one fits");
    let listed = tenant.get("/v1/adapters").await.ok();
    let pinned: Vec<_> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["pinned"])
        .collect();
    assert_eq!(pinned, [true, false]);
    // A pin is the alias's: a new upload keeps it, and another one may have it after it was let go.
    tenant.put_adapter("house", &Adapter::globex()).await.ok();
    assert_eq!(pin("house", false).await.ok()["pinned"], false);
    assert_eq!(pin("other", true).await.ok()["pinned"], true);
    let unknown = tenant
        .patch("/v1/adapters/other", &json!({"pinned": true, "alias": "x"}))
        .await;
    assert_eq!(unknown.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_adapters_are_not_there() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let (acme, globex) = (host.tenant("acme").await, host.tenant("globex").await);
    acme.put_adapter("house", &Adapter::acme()).await.ok();
    acme.put_adapter("house", &Adapter::globex()).await.ok();
    let before = (acme.get("/v1/adapters").await.body, generations(&acme, "house").await);
    host.change("globex", json!({"limits": {"pinned_adapter_bytes": 1 << 30}}))
        .await;
    let named = json!({"generation": before.1[1]["generation"]});
    // Nor by the name of a generation, for an alias of its own.
    let own = globex.put_adapter("own", &Adapter::globex()).await.ok();
    let answer = globex.post("/v1/adapters/own/rollback", &named).await;
    assert_eq!(answer.status, 404, "{}", answer.body);
    let listed = globex.get("/v1/adapters").await.ok();
    assert_eq!(listed["data"][0]["generation"], own["generation"]);
    for (method, path, body) in [
        (Method::GET, "/v1/adapters/house/generations", json!(null)),
        (Method::POST, "/v1/adapters/house/rollback", json!({})),
        (Method::POST, "/v1/adapters/house/rollback", named),
        (Method::PATCH, "/v1/adapters/house", json!({"pinned": true})),
        (Method::PATCH, "/v1/adapters/house", json!({"pinned": false})),
    ] {
        let answer = globex.send(globex.request(method.clone(), path).json(&body)).await;
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
    }
    let after = (acme.get("/v1/adapters").await.body, generations(&acme, "house").await);
    assert_eq!(before, after);
}
