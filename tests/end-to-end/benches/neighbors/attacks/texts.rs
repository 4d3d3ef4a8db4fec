//! Texts that are embedded and searched.

use super::{Attack, NOTHING};
use crate::attacker::Attacker;
use bytes::Bytes;
use riad_end_to_end::EMBEDDER;
use serde_json::json;
use std::time::Duration;

const WORDS: [&str; 12] = [
    "order", "drill", "window", "battery", "refund", "warranty", "contract", "charger", "price", "notice", "support",
    "shipment",
];

pub fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "embeddings",
            about: "200 texts of 2,200 characters a request",
            clients: 64,
            shows: &["200"],
            prepare: NOTHING,
            strike: |attacker, _| {
                Box::pin(async move {
                    let body = embeddings(&attacker);
                    attacker.send(attacker.post("/v1/embeddings", body)).await;
                })
            },
        },
        Attack {
            name: "abandoned-embeddings",
            about: "the same, left before their answer",
            clients: 64,
            shows: &["left"],
            prepare: NOTHING,
            strike: |attacker, _| {
                Box::pin(async move {
                    let body = embeddings(&attacker);
                    attacker
                        .leave("POST", "/v1/embeddings", &body, Duration::from_millis(20))
                        .await;
                })
            },
        },
        Attack {
            name: "searches",
            about: "short questions to a room of 4,000 chunks",
            clients: 32,
            shows: &["200"],
            prepare: |attacker| Box::pin(fill(attacker)),
            strike: |attacker, number| {
                Box::pin(async move {
                    let query = format!("{} {}", WORDS[number % WORDS.len()], WORDS[number / 5 % WORDS.len()]);
                    attacker
                        .post_json("/v1/search", &json!({"query": query, "limit": 100}))
                        .await;
                })
            },
        },
        Attack {
            name: "long-searches",
            about: "questions of 1 MB, every word of which is in most of 4,000 chunks",
            clients: 16,
            shows: &["200", "400"],
            prepare: |attacker| Box::pin(fill(attacker)),
            strike: |attacker, _| {
                Box::pin(async move {
                    let body = attacker.kept("query", || {
                        let query = (0..100_000).map(|word| format!("{} w{} ", WORDS[word % WORDS.len()], word % 300));
                        json!({"query": query.collect::<String>(), "limit": 100})
                            .to_string()
                            .into()
                    });
                    attacker.send(attacker.post("/v1/search", body)).await;
                })
            },
        },
    ]
}

fn embeddings(attacker: &Attacker) -> Bytes {
    attacker.kept("embeddings", || {
        let input: Vec<String> = (0..200)
            .map(|text| {
                format!("{} {text} ", WORDS[text % WORDS.len()])
                    .repeat(220)
                    .chars()
                    .take(2200)
                    .collect()
            })
            .collect();
        json!({"model": EMBEDDER, "input": input}).to_string().into()
    })
}

/// Documents in which every chunk has nearly every word.
async fn fill(attacker: Attacker) {
    for document in 0..8 {
        let words = (0..80_000).map(|word| format!("{} w{} ", WORDS[word % WORDS.len()], word * 7 % 300));
        attacker
            .must_add(&format!("Words {document}"), &words.collect::<String>())
            .await;
    }
}
