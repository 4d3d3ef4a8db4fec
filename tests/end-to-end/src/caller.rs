//! HTTP with a key, as any client would speak it. Not here: what comes back (`answer`, `stream`).

use crate::{Answer, Chat, Stream, files::Adapter};
use bytes::Bytes;
use reqwest::{
    Method, RequestBuilder, StatusCode,
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use std::time::Duration;

/// Against a server that hangs.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Clone)]
pub struct Caller {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Caller {
    #[must_use]
    pub fn new(url: &str, key: &str) -> Self {
        Self {
            http: reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap(),
            url: url.to_owned(),
            key: key.to_owned(),
        }
    }

    /// The same server, asked with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self {
            key: key.to_owned(),
            ..self.clone()
        }
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A request with the key; without one if the key is empty.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        if self.key.is_empty() {
            return request;
        }
        request.bearer_auth(&self.key)
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        Answer::read(request.send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    /// A POST that is done once, however often it is sent.
    pub async fn post_once(&self, path: &str, body: &Value, idempotency_key: &str) -> Answer {
        let request = self.request(Method::POST, path).json(body);
        self.send(request.header("idempotency-key", idempotency_key)).await
    }

    /// An answer as a whole, which must be there.
    pub async fn chat(&self, chat: &Chat) -> Value {
        self.try_chat(chat).await.ok()
    }

    pub async fn try_chat(&self, chat: &Chat) -> Answer {
        self.post("/v1/chat/completions", &chat.body(false)).await
    }

    /// An answer as it is written.
    pub async fn stream(&self, chat: &Chat) -> Stream {
        let request = self
            .request(Method::POST, "/v1/chat/completions")
            .json(&chat.body(true));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{}", response.text().await.unwrap());
        Stream::new(response)
    }

    /// Adds a document and returns its id.
    pub async fn add_document(&self, title: &str, text: &str) -> String {
        let added = self.post("/v1/documents", &json!({"title": title, "text": text})).await;
        assert_eq!(added.status, StatusCode::CREATED, "{}", added.body);
        added.text("/id")
    }

    pub async fn put_adapter(&self, alias: &str, adapter: &Adapter) -> Answer {
        let part = |bytes: &Bytes| Part::stream(bytes.clone());
        let form = Form::new()
            .part("adapter_config.json", part(&adapter.config))
            .part("adapter_model.safetensors", part(&adapter.weights));
        self.send(
            self.request(Method::PUT, &format!("/v1/adapters/{alias}"))
                .multipart(form),
        )
        .await
    }

    pub async fn put_plugin(&self, name: &str, component: impl Into<Bytes>) -> Answer {
        let request = self
            .request(Method::PUT, &format!("/v1/plugins/{name}"))
            .header("content-type", "application/wasm")
            .body(component.into());
        self.send(request).await
    }

    /// Uploads a component and lets it serve the stages; returns its version.
    pub async fn deploy(&self, name: &str, component: impl Into<Bytes>, stages: &[&str]) -> String {
        let made = self.put_plugin(name, component).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let version = made.text("/version");
        let choice = format!("{name}@{version}");
        let stages: Value = stages.iter().map(|stage| (*stage, choice.as_str())).collect();
        self.put("/v1/pipeline", &json!({"stages": stages})).await.ok();
        version
    }

    /// Lets the standard pipeline serve again.
    pub async fn reset_pipeline(&self) {
        self.put("/v1/pipeline", &json!({"stages": {}})).await.ok();
    }

    /// Ids of the documents that a search finds, best first.
    pub async fn search(&self, body: &Value) -> Vec<String> {
        let found = self.post("/v1/search", body).await.ok();
        let passages = found["data"].as_array().unwrap();
        passages
            .iter()
            .map(|passage| passage["document"].as_str().unwrap().to_owned())
            .collect()
    }
}
