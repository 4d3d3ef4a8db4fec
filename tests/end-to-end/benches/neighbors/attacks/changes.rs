//! Changes that cost no tokens: each is a synced write to a database that tenants share.

use super::{Attack, NOTHING};
use reqwest::Method;
use riad_end_to_end::EMBEDDER;
use serde_json::json;

const CLIENTS: usize = 32;

pub fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "settings-churn",
            about: "60 KB of new settings a request",
            clients: CLIENTS,
            shows: &["200"],
            prepare: NOTHING,
            strike: |attacker, number| {
                Box::pin(async move {
                    let settings = json!({"number": number, "text": "a".repeat(60_000)});
                    attacker.put_json("/v1/settings", &settings).await;
                })
            },
        },
        Attack {
            name: "key-churn",
            about: "keys that are made, used and revoked",
            clients: CLIENTS,
            shows: &["201"],
            prepare: NOTHING,
            strike: |attacker, number| {
                Box::pin(async move {
                    let made = attacker
                        .post_json("/v1/keys", &json!({"name": format!("key {number}")}))
                        .await;
                    let (Some(key), Some(id)) = (made["key"].as_str(), made["id"].as_str()) else {
                        return;
                    };
                    let used = attacker
                        .http()
                        .get(format!("{}/v1/models", attacker.url()))
                        .bearer_auth(key);
                    attacker.send(used).await;
                    attacker
                        .send(attacker.request(Method::DELETE, &format!("/v1/keys/{id}")))
                        .await;
                })
            },
        },
        Attack {
            name: "pipeline-churn",
            about: "the pipeline set again and again",
            clients: CLIENTS,
            shows: &["200"],
            prepare: NOTHING,
            strike: |attacker, _| {
                Box::pin(async move {
                    attacker.put_json("/v1/pipeline", &json!({"stages": {}})).await;
                })
            },
        },
        Attack {
            name: "idempotency-keys",
            about: "embeddings with a new idempotency key each, whose answers are kept",
            clients: CLIENTS,
            shows: &["200"],
            prepare: NOTHING,
            strike: |attacker, number| {
                Box::pin(async move {
                    let body = json!({"model": EMBEDDER, "input": vec![format!("Text {number}."); 16]}).to_string();
                    attacker
                        .send(attacker.post("/v1/embeddings", body).header("idempotency-key", number))
                        .await;
                })
            },
        },
    ]
}
