//! A thin client of the server's HTTP API, used by the commands and the demo.

mod failure;
mod sse;

pub use sse::Events;

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, Url, multipart::Form, redirect::Policy};
use riad_core::{Error, Result, Secret};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::time::Duration;

/// An answer of the server.
pub struct Response<T> {
    pub body: T,
    /// The same as the server sent it, for `--json`.
    pub json: Value,
    /// 201: something was made, 200: it was there.
    pub status: u16,
}

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
        if riad_outbound::is_loopback(&parsed) {
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

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Response<T>> {
        self.answer(self.request(Method::GET, path)).await
    }

    /// As [`Client::get`], with parameters in the query; members that are `None` are left out.
    pub async fn get_with<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<Response<T>> {
        self.get(&with_query(path, query)?).await
    }

    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<Response<T>> {
        self.answer(self.request(Method::DELETE, path)).await
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<Response<T>> {
        self.answer(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<Response<T>> {
        self.answer(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<Response<T>> {
        self.answer(self.request(Method::PATCH, path).json(body)).await
    }

    /// An answer that may not be JSON.
    pub async fn get_text(&self, path: &str, query: &impl Serialize) -> Result<String> {
        let response = self.send(self.request(Method::GET, &with_query(path, query)?)).await?;
        response
            .text()
            .await
            .map_err(|error| failure::transport(&self.url, error))
    }

    pub async fn put_bytes<T: DeserializeOwned>(&self, path: &str, bytes: Bytes) -> Result<Response<T>> {
        let request = self
            .request(Method::PUT, path)
            .header("content-type", "application/wasm")
            .body(bytes);
        self.answer(request).await
    }

    pub async fn put_form<T: DeserializeOwned>(&self, path: &str, form: Form) -> Result<Response<T>> {
        self.answer(self.request(Method::PUT, path).multipart(form)).await
    }

    pub async fn post_form<T: DeserializeOwned>(&self, path: &str, form: Form) -> Result<Response<T>> {
        self.answer(self.request(Method::POST, path).multipart(form)).await
    }

    /// Posts, and reads the answer while it is generated.
    pub async fn stream(&self, path: &str, body: &impl Serialize) -> Result<Events> {
        let response = self.send(self.request(Method::POST, path).json(body)).await?;
        Ok(Events::new(response, self.url.clone()))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(self.key.reveal())
    }

    async fn send(&self, request: RequestBuilder) -> Result<reqwest::Response> {
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

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<Response<T>> {
        let response = self.send(request).await?;
        let status = response.status().as_u16();
        let body = response.bytes().await;
        let body = body.map_err(|error| failure::transport(&self.url, error))?;
        let not_riad = |error| failure::not_riad(&self.url, error);
        let json: Value = serde_json::from_slice(&body).map_err(not_riad)?;
        Ok(Response {
            body: T::deserialize(&json).map_err(not_riad)?,
            json,
            status,
        })
    }
}

fn with_query(path: &str, query: &impl Serialize) -> Result<String> {
    let query = serde_urlencoded::to_string(query).map_err(Error::internal)?;
    Ok(match query.as_str() {
        "" => path.to_owned(),
        query => format!("{path}?{query}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_api_types::audit::OperatorAuditParams;

    #[test]
    fn queries_are_encoded_and_leave_out_what_is_not_set() {
        assert_eq!(with_query("/a", &OperatorAuditParams::default()).unwrap(), "/a");
        let query = OperatorAuditParams {
            limit: Some(5),
            actor: Some("a&b=c".into()),
            ..OperatorAuditParams::default()
        };
        assert_eq!(with_query("/a", &query).unwrap(), "/a?limit=5&actor=a%26b%3Dc");
    }
}
