//! Searches of a server with a BERT and a cross-encoder: tiny random ones (`host/embeddings/tests/data`), beside what the models themselves say.

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use riad_embeddings::open_reranker;
use riad_end_to_end::{Builder, Tenant, TestHost};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const TEXTS: [&str; 4] = [
    "A lamp costs 12 euros.",
    "Where is the lamp when it is late?",
    "The snow on the island and the lamp.",
    "Refunds of a lamp are possible within 30 days.",
];
const QUERY: &str = "how late is the lamp";

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../host/embeddings/tests/data")
        .join(name)
}

fn builder() -> Builder {
    TestHost::builder().config(|config| {
        config.embeddings.model = Some(model("bert"));
        config.search.rerank_model = Some(model("cross-encoder"));
        // A busy machine must not decide what is read.
        config.limits.rerank_ms = 60_000;
    })
}

async fn search(tenant: &Tenant, options: Value) -> Vec<Value> {
    let body = json!({"query": QUERY, "explain": true, "ranking_options": options});
    let found = tenant.post("/v1/search", &body).await.ok();
    found["data"].as_array().unwrap().clone()
}

fn texts(found: &[Value]) -> Vec<&str> {
    found.iter().map(|passage| passage["text"].as_str().unwrap()).collect()
}

/// Of the last request.
async fn embedded_tokens(host: &TestHost) -> u64 {
    let entries = host.entries("acme").await;
    entries.last().unwrap()["embedded_tokens"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_passages_are_in_the_order_of_the_reranker() {
    let host = builder().start().await;
    let tenant = host.tenant("acme").await;
    for text in TEXTS {
        tenant.add_document("Lamps", text).await;
    }
    let plain = search(&tenant, json!({"ranker": "none"})).await;
    assert_eq!(plain.len(), TEXTS.len());
    assert!(
        plain
            .iter()
            .all(|passage| passage["explanation"].get("reranker").is_none())
    );
    let query_tokens = embedded_tokens(&host).await;

    let read: Vec<String> = plain
        .iter()
        .map(|passage| format!("Lamps\n{}", passage["text"].as_str().unwrap()))
        .collect();
    let reranker = open_reranker(&model("cross-encoder")).unwrap();
    let (scores, tokens) = reranker.score(QUERY, &read).unwrap();
    let mut expected: Vec<_> = texts(&plain).into_iter().zip(scores).collect();
    expected.sort_by(|(_, left), (_, right)| right.total_cmp(left));
    for options in [
        json!({}),
        json!({"ranker": "auto"}),
        json!({"ranker": "default-2024-11-15"}),
    ] {
        let found = search(&tenant, options.clone()).await;
        assert_ne!(texts(&found), texts(&plain), "{options}");
        for (rank, (passage, (text, score))) in (1..).zip(found.iter().zip(&expected)) {
            let place = &passage["explanation"]["reranker"];
            assert_eq!(
                (&passage["text"], &place["rank"]),
                (&json!(text), &json!(rank)),
                "{options}"
            );
            let difference = place["score"].as_f64().unwrap() - f64::from(*score);
            assert!(difference.abs() < 1e-5, "{options}: {place} {score}");
        }
        assert_eq!(
            embedded_tokens(&host).await,
            query_tokens + u64::from(tokens),
            "{options}"
        );
    }
    // Fewer than are read: the best of all, not the first of the lists.
    let body = json!({"query": QUERY, "limit": 1});
    let best = tenant.post("/v1/search", &body).await.ok();
    assert_eq!(best["data"][0]["text"], expected[0].0);
    // What a list is for, when passages differ on purpose: the same ones in another order.
    let diverse = search(&tenant, json!({"diversity": 1})).await;
    assert_eq!(
        texts(&diverse),
        expected.iter().map(|(text, _)| *text).collect::<Vec<_>>()
    );
    // The threshold is of the reranker's score.
    let middle = f64::from(f32::midpoint(expected[1].1, expected[2].1));
    assert_eq!(search(&tenant, json!({"score_threshold": middle})).await.len(), 2);

    // What the models have counted is in the ledger.
    let host = host.restart().await;
    let verified = host.operator.get("/operator/v1/ledger/verify").await.ok();
    assert_eq!(verified["ok"], true, "{verified}");
    assert_eq!(
        verified["runs"][0]["engine"], verified["runs"][0]["ledger"],
        "{verified}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vector_store_gives_the_rerankers_score() {
    let host = builder().start().await;
    let tenant = host.tenant("acme").await;
    let store = tenant.post("/v1/vector_stores", &json!({"name": "lamps"})).await.ok();
    let store = format!("/v1/vector_stores/{}", store["id"].as_str().unwrap());
    for (number, text) in TEXTS.iter().enumerate() {
        let part = Part::bytes(text.as_bytes()).file_name(format!("{number}.txt"));
        let form = Form::new().text("purpose", "assistants").part("file", part);
        let file = tenant
            .send(tenant.request(Method::POST, "/v1/files").multipart(form))
            .await
            .ok();
        tenant
            .post(&format!("{store}/files"), &json!({"file_id": file["id"]}))
            .await
            .ok();
    }
    let search = async |ranker: &str| {
        let body = json!({"query": QUERY, "ranking_options": {"ranker": ranker}});
        tenant.post(&format!("{store}/search"), &body).await.ok()["data"]
            .as_array()
            .unwrap()
            .clone()
    };
    let (plain, found) = (search("none").await, search("auto").await);
    assert_eq!((plain.len(), found.len()), (TEXTS.len(), TEXTS.len()));
    let reranker = open_reranker(&model("cross-encoder")).unwrap();
    let mut before = 1.0;
    for passage in found {
        let title = passage["filename"].as_str().unwrap().trim_end_matches(".txt");
        let read = format!("{title}\n{}", passage["content"][0]["text"].as_str().unwrap());
        let (scores, _) = reranker.score(QUERY, &[read]).unwrap();
        let score = passage["score"].as_f64().unwrap();
        assert!((score - f64::from(scores[0])).abs() < 1e-5, "{score} {}", scores[0]);
        assert!(score <= before);
        before = score;
    }
}
