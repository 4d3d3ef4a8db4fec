//! Questions to the databases that all tenants share, and requests that do nothing but come.

use super::{Attack, NOTHING};
use crate::attacker::Attacker;
use reqwest::Method;
use riad_end_to_end::EMBEDDER;
use serde_json::json;

const CLIENTS: usize = 32;

pub fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "usage-questions",
            about: "1,440 minutes of usage by key, model, adapter and kind",
            clients: CLIENTS,
            shows: &["200"],
            prepare: |attacker| Box::pin(use_much(attacker)),
            strike: |attacker, _| {
                Box::pin(async move {
                    let day = riad_core::Timestamp::now().as_seconds().saturating_sub(86_000);
                    let path = format!(
                        "/v1/usage?start_time={day}&bucket_width=1m&limit=1440&group_by=key,model,adapter,kind"
                    );
                    attacker.get(&path).await;
                })
            },
        },
        Attack {
            name: "audit-questions",
            about: "500 lines of the audit log a request",
            clients: CLIENTS,
            shows: &["200"],
            prepare: |attacker| Box::pin(change_much(attacker)),
            strike: |attacker, _| {
                Box::pin(async move {
                    attacker.get("/v1/audit?limit=1000").await;
                })
            },
        },
        Attack {
            name: "receipts",
            about: "1,000 receipts a request",
            clients: CLIENTS,
            shows: &["200"],
            prepare: |attacker| Box::pin(use_much(attacker)),
            strike: |attacker, _| {
                Box::pin(async move {
                    attacker.get("/v1/receipts?limit=1000").await;
                })
            },
        },
        Attack {
            name: "key-lists",
            about: "the tenant's 300 keys a request",
            clients: CLIENTS,
            shows: &["200"],
            prepare: |attacker| {
                Box::pin(async move {
                    for number in 0..300 {
                        let body = json!({"name": format!("key {number}")});
                        attacker
                            .must(attacker.request(Method::POST, "/v1/keys").json(&body))
                            .await;
                    }
                })
            },
            strike: |attacker, _| {
                Box::pin(async move {
                    attacker.get("/v1/keys").await;
                })
            },
        },
        Attack {
            name: "small-requests",
            about: "the list of models, as fast as it goes",
            clients: 64,
            shows: &["200"],
            prepare: NOTHING,
            strike: |attacker, _| {
                Box::pin(async move {
                    attacker.get("/v1/models").await;
                })
            },
        },
        Attack {
            name: "unknown-keys",
            about: "keys that no tenant has, a new one each time",
            clients: 64,
            shows: &["401"],
            prepare: NOTHING,
            strike: |attacker, number| {
                Box::pin(async move {
                    let key = format!("riad_sk_{number:032x}");
                    let request = attacker.http().get(format!("{}/v1/models", attacker.url()));
                    attacker.send(request.bearer_auth(key)).await;
                })
            },
        },
    ]
}

/// Many entries of the ledger.
async fn use_much(attacker: Attacker) {
    let ask = |number: usize| {
        let attacker = attacker.clone();
        async move {
            let body = json!({"model": EMBEDDER, "input": format!("Text {number}.")});
            attacker
                .must(attacker.request(Method::POST, "/v1/embeddings").json(&body))
                .await;
        }
    };
    for batch in 0..40 {
        futures::future::join_all((0..25).map(|number| ask(batch * 25 + number))).await;
    }
}

/// Many lines of the audit log.
async fn change_much(attacker: Attacker) {
    for number in 0..500 {
        let settings = json!({"number": number});
        attacker
            .must(attacker.request(Method::PUT, "/v1/settings").json(&settings))
            .await;
    }
}
