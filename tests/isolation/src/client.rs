//! Requests with a tenant's key, and everything that came back. Not here: what is asked, and what is wrong with the answer.

use crate::wire;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use reqwest::{Method, Url, redirect::Policy};
use serde_json::Value;
use std::time::Duration;

/// Against a server that hangs; nothing is measured with it.
const PATIENCE: Duration = Duration::from_secs(300);

const URL_ENCODED: &str = "application/x-www-form-urlencoded";

pub struct Client {
    http: reqwest::Client,
    base: Url,
    key: String,
}

#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    /// With its query, from the first `/`.
    pub path: String,
    pub headers: Vec<(String, String)>,
    /// Content type and bytes.
    pub body: Option<(String, Bytes)>,
    /// Another `Authorization` than the client's own.
    pub authorization: Option<String>,
    /// Byte for byte as it is, past the client's tidying of paths.
    pub raw: bool,
}

#[derive(Debug, Clone)]
pub struct StoredResponse {
    pub status: u16,
    /// All headers, a line each.
    pub headers: String,
    pub body: String,
}

impl Request {
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: Vec::new(),
            body: None,
            authorization: None,
            raw: false,
        }
    }

    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::new(Method::POST, path).json(body)
    }

    pub fn put(path: impl Into<String>, body: &Value) -> Self {
        Self::new(Method::PUT, path).json(body)
    }

    pub fn json(self, body: &Value) -> Self {
        self.bytes("application/json", body.to_string())
    }

    /// Fields as a page's form sends them.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let fields = serde_urlencoded::to_string(fields).unwrap_or_default();
        self.bytes(URL_ENCODED, fields)
    }

    pub fn bytes(mut self, content_type: &str, bytes: impl Into<Bytes>) -> Self {
        self.body = Some((content_type.to_owned(), bytes.into()));
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn authorization(mut self, value: impl Into<String>) -> Self {
        self.authorization = Some(value.into());
        self
    }

    pub fn raw(mut self) -> Self {
        self.raw = true;
        self
    }

    /// Everything that the server was told, as text.
    pub fn text(&self) -> String {
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
        let body = self.body.as_ref().map(|(_, bytes)| String::from_utf8_lossy(bytes));
        let fields = match &self.body {
            Some((content_type, bytes)) if content_type == URL_ENCODED => serde_urlencoded::from_bytes(bytes),
            Some(_) | None => Ok(Vec::new()),
        };
        let fields: Vec<(String, String)> = fields.unwrap_or_default();
        let values = fields.into_iter().map(|(_, value)| format!("\n{value}"));
        format!(
            "{} {}\n{}{}{}{}",
            self.method,
            self.path,
            headers.collect::<String>(),
            self.authorization.as_deref().unwrap_or_default(),
            body.unwrap_or_default(),
            values.collect::<String>()
        )
    }
}

impl StoredResponse {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// The JSON of a streamed answer's events.
    pub fn events(&self) -> Vec<Value> {
        self.body
            .lines()
            .filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok())
            .collect()
    }

    /// All that was said: headers, body, and the text of a stream, which may cut a word in two.
    pub fn text(&self) -> String {
        let deltas: String = self
            .events()
            .iter()
            .filter_map(|event| {
                let text = event.pointer("/choices/0/delta/content");
                // Anthropic's.
                Some(text.or_else(|| event.pointer("/delta/text"))?.as_str()?.to_owned())
            })
            .collect();
        format!("{}\n{}\n{deltas}", self.headers, self.body)
    }
}

impl Client {
    pub fn new(base_url: &str, key: &str) -> Result<Self> {
        let base = Url::parse(base_url).with_context(|| format!("\"{base_url}\" is not a URL"))?;
        let mut http = reqwest::Client::builder().redirect(Policy::none()).timeout(PATIENCE);
        // A proxy cannot reach this machine's loopback.
        if matches!(base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
            http = http.no_proxy();
        }
        Ok(Self {
            http: http.build()?,
            base,
            key: key.to_owned(),
        })
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    pub async fn send(&self, request: &Request) -> Result<StoredResponse> {
        let authorization = match &request.authorization {
            Some(other) => other.clone(),
            None => format!("Bearer {}", self.key),
        };
        if request.raw {
            return wire::send(&self.base, request, &authorization).await;
        }
        let url = format!("{}{}", self.base.as_str().trim_end_matches('/'), request.path);
        let mut call = self
            .http
            .request(request.method.clone(), url)
            .header("authorization", authorization);
        for (name, value) in &request.headers {
            call = call.header(name, value);
        }
        if let Some((content_type, bytes)) = &request.body {
            call = call.header("content-type", content_type).body(bytes.clone());
        }
        let response = call.send().await.context("the server did not answer")?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        let body = response.bytes().await.context("the answer was cut off")?;
        Ok(StoredResponse {
            status,
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    /// What must work for the suite to mean anything.
    pub async fn expect(&self, status: u16, request: Request) -> Result<StoredResponse> {
        let reply = self.send(&request).await?;
        if reply.status != status {
            bail!(
                "{} {} answered {} and not {status}: {}",
                request.method,
                request.path,
                reply.status,
                reply.body
            );
        }
        Ok(reply)
    }
}
