//! A server whose embedding model is another server's.

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use parking_lot::Mutex;
use riad_core::Secret;
use riad_end_to_end::TestHost;
use serde_json::{Value, json};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};
use tokio::net::TcpListener;

const DIMENSIONS: usize = 64;
const KEY: &str = "the-key-of-the-embedding-server";

/// Words mean the same in it when they begin with the same four letters.
fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.01; DIMENSIONS];
    for word in text.to_lowercase().split(|letter: char| !letter.is_alphanumeric()) {
        let mut hasher = DefaultHasher::new();
        word.chars().take(4).collect::<String>().hash(&mut hasher);
        vector[hasher.finish() as usize % DIMENSIONS] += 1.0;
    }
    vector
}

#[derive(Clone, Default)]
struct Fake {
    is_down: Arc<Mutex<bool>>,
    texts: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    async fn start(&self) -> String {
        let fake = self.clone();
        let answer = move |headers: HeaderMap, Json(body): Json<Value>| {
            let answer = fake.answer(&headers, &body);
            async move { answer }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/embeddings", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn answer(&self, headers: &HeaderMap, body: &Value) -> Result<Json<Value>, StatusCode> {
        if *self.is_down.lock() {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
        let texts: Vec<String> = serde_json::from_value(body["input"].clone()).unwrap();
        let data: Vec<Value> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| json!({"index": index, "embedding": vector(text)}))
            .collect();
        let tokens: usize = texts.iter().map(|text| text.split_whitespace().count()).sum();
        self.texts.lock().extend(texts);
        Ok(Json(
            json!({"data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}),
        ))
    }
}

async fn host(fake: &Fake) -> TestHost {
    let url = fake.start().await;
    TestHost::builder()
        .config(|config| {
            config.embeddings.url = Some(url);
            config.embeddings.remote_model = Some("fake-embedder".to_owned());
            config.embeddings.dimensions = Some(DIMENSIONS);
        })
        .secrets(|secrets| secrets.embeddings_key = Some(Secret::new(KEY.to_owned())))
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_server_embeds_is_found_and_metered() {
    let fake = Fake::default();
    let host = host(&fake).await;
    let tenant = host.tenant("acme").await;
    tenant.add_document("Lamps", "A lamp costs twelve euros.").await;
    tenant.add_document("Roads", "Every road leads to the harbor.").await;
    // Only the fake embedder knows that they are the same: no word of the query is in the text.
    let query = json!({"query": "harbinger", "explain": true});
    let found = tenant.post("/v1/search", &query).await.ok();
    assert_eq!(found["data"][0]["title"], "Roads", "{found}");
    assert_eq!(found["data"][0]["explanation"]["embeddings"]["rank"], 1, "{found}");

    let models = tenant.get("/v1/models").await.ok();
    let ids = models["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap());
    let model = ids
        .clone()
        .find(|id| id.starts_with("fake-embedder-"))
        .unwrap()
        .to_owned();
    let body = json!({"model": model, "input": ["three words here", "two more"]});
    let embedded = tenant.post("/v1/embeddings", &body).await.ok();
    assert_eq!(embedded["usage"]["prompt_tokens"], 5);
    assert_eq!(embedded["data"][1]["embedding"].as_array().unwrap().len(), DIMENSIONS);
    let entries = host.entries("acme").await;
    assert_eq!(entries.last().unwrap()["embedded_tokens"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_embedding_server_is_a_503_and_nothing_is_half_there() {
    let fake = Fake::default();
    let host = host(&fake).await;
    let tenant = host.tenant("acme").await;
    tenant.add_document("Lamps", "A lamp costs twelve euros.").await;
    *fake.is_down.lock() = true;
    let body = json!({"title": "Roads", "text": "Every road leads to the harbor."});
    for (path, body) in [("/v1/documents", &body), ("/v1/search", &json!({"query": "lamp"}))] {
        let answer = tenant.post(path, body).await;
        assert_eq!(answer.status, 503, "{path}: {:?}", answer.body);
    }
    assert_eq!(host.entries("acme").await.last().unwrap()["embedded_tokens"], 0);
    let listed = tenant.get("/v1/documents").await.ok();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");

    *fake.is_down.lock() = false;
    tenant.add_document("Roads", "Every road leads to the harbor.").await;
    let found = tenant.post("/v1/search", &json!({"query": "harbor"})).await.ok();
    assert_eq!(found["data"][0]["title"], "Roads", "{found}");
}

/// What is embedded for one tenant is asked for no other: nothing is kept between them.
#[tokio::test(flavor = "multi_thread")]
async fn each_tenants_texts_are_sent_for_itself() {
    let fake = Fake::default();
    let host = host(&fake).await;
    for name in ["acme", "globex"] {
        host.tenant(name)
            .await
            .add_document("Lamps", "A lamp costs twelve euros.")
            .await;
    }
    let sent = fake
        .texts
        .lock()
        .iter()
        .filter(|text| text.contains("twelve euros"))
        .count();
    assert_eq!(sent, 2);
}
