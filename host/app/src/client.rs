//! A thin client of the server's HTTP API, used by the commands and the demo.

mod failure;
mod sse;

pub use sse::Events;

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, Response, Url, multipart::Form, redirect::Policy};
use riad_core::{Error, Result, Secret};
use serde_json::Value;
use std::time::Duration;

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: Secret<String>,
}

impl Client {
    /// # Errors
    /// `InvalidRequest` for an invalid URL.
    pub fn new(url: &str, key: Secret<String>) -> Result<Self> {
        let parsed = Url::parse(url)
            .ok()
            .filter(|parsed| matches!(parsed.scheme(), "http" | "https") && parsed.has_host())
            .ok_or_else(|| Error::invalid(format!("`{url}` is not a URL like http://127.0.0.1:8080; change --url")))?;
        // A redirect could send the key to another server. A proxy cannot reach this machine's loopback address.
        let mut builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .connect_timeout(Duration::from_secs(10));
        if is_loopback(&parsed) {
            builder = builder.no_proxy();
        }
        Ok(Self {
            http: builder.build().map_err(Error::internal)?,
            url: url.trim_end_matches('/').to_owned(),
            key,
        })
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        self.answer(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Value> {
        self.answer(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.answer(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.answer(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value> {
        self.answer(self.request(Method::PATCH, path).json(body)).await
    }

    /// An answer that is not JSON.
    pub async fn get_text(&self, path: &str) -> Result<String> {
        let response = self.send(self.request(Method::GET, path)).await?;
        response
            .text()
            .await
            .map_err(|error| failure::transport(&self.url, error))
    }

    pub async fn put_bytes(&self, path: &str, bytes: Bytes) -> Result<Value> {
        let request = self
            .request(Method::PUT, path)
            .header("content-type", "application/wasm")
            .body(bytes);
        self.answer(request).await
    }

    pub async fn put_form(&self, path: &str, form: Form) -> Result<Value> {
        self.answer(self.request(Method::PUT, path).multipart(form)).await
    }

    /// Posts, and reads the answer while it is generated.
    pub async fn stream(&self, path: &str, body: &Value) -> Result<Events> {
        let response = self.send(self.request(Method::POST, path).json(body)).await?;
        Ok(Events::new(response, self.url.clone()))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(self.key.reveal())
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request
            .send()
            .await
            .map_err(|error| failure::transport(&self.url, error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap_or_default();
        Err(failure::answered(&self.url, status, &body))
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value> {
        let body = self
            .send(request)
            .await?
            .bytes()
            .await
            .map_err(|error| failure::transport(&self.url, error))?;
        serde_json::from_slice(&body).map_err(|error| failure::not_riad(&self.url, error))
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
