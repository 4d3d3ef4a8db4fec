//! What an attack has at hand: requests with the attacker's key, raw connections, bodies that are made once, and a count of what came
//! of each strike. Not here: the attacks (`attacks`).

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::sleep,
};

const ADDRESS: [u8; 4] = [127, 0, 0, 2];
/// After a refusal at once: a client that did nothing but ask again would measure itself.
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Clone)]
pub struct Attacker(Arc<Inner>);

struct Inner {
    url: String,
    server: SocketAddr,
    key: String,
    http: Client,
    /// Speaks HTTP/2 over one connection.
    http2: Client,
    tally: Mutex<BTreeMap<String, u64>>,
    made: Mutex<HashMap<&'static str, Bytes>>,
}

impl Attacker {
    pub fn new(url: &str, key: &str) -> Self {
        let client = || Client::builder().no_proxy().local_address(Some(ADDRESS.into()));
        Self(Arc::new(Inner {
            url: url.to_owned(),
            server: url.trim_start_matches("http://").parse().unwrap(),
            key: key.to_owned(),
            http: client().build().unwrap(),
            http2: client().http2_prior_knowledge().build().unwrap(),
            tally: Mutex::default(),
            made: Mutex::default(),
        }))
    }

    pub fn url(&self) -> &str {
        &self.0.url
    }

    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// For requests with another key.
    pub fn http(&self) -> &Client {
        &self.0.http
    }

    pub fn http2(&self) -> &Client {
        &self.0.http2
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.0
            .http
            .request(method, format!("{}{path}", self.0.url))
            .bearer_auth(&self.0.key)
    }

    pub fn post(&self, path: &str, body: impl Into<Bytes>) -> RequestBuilder {
        self.request(Method::POST, path)
            .header("content-type", "application/json")
            .body(body.into())
    }

    /// Sends a request, counts its status, and returns the body.
    pub async fn send(&self, request: RequestBuilder) -> Value {
        let answer = async {
            let response = request.send().await?;
            Ok::<_, reqwest::Error>((response.status(), response.bytes().await?))
        };
        match answer.await {
            Ok((status, body)) => {
                let body = serde_json::from_slice(&body).unwrap_or_default();
                self.count(&label(status, &body));
                if !status.is_success() {
                    sleep(PAUSE).await;
                }
                body
            }
            Err(_) => {
                self.count("cut off");
                sleep(PAUSE).await;
                Value::Null
            }
        }
    }

    pub async fn get(&self, path: &str) -> Value {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> Value {
        self.send(self.post(path, body.to_string())).await
    }

    pub async fn put_json(&self, path: &str, body: &Value) -> Value {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// A chat whose answer is read as a whole.
    pub async fn chat(&self, question: &str, more: Value) -> Value {
        self.post_json("/v1/chat/completions", &chat(question, more)).await
    }

    /// Something that must work, or the attack cannot be made.
    pub async fn must(&self, request: RequestBuilder) -> Value {
        let response = request.send().await.unwrap();
        let status = response.status();
        let body = response.text().await.unwrap();
        assert!(status.is_success(), "preparing an attack: {status} {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub async fn must_add(&self, title: &str, text: &str) -> String {
        let body = json!({"title": title, "text": text});
        let made = self.must(self.request(Method::POST, "/v1/documents").json(&body)).await;
        made["id"].as_str().unwrap().to_owned()
    }

    pub async fn must_deploy(&self, component: impl Into<Bytes>, stage: &str) {
        let put = self
            .request(Method::PUT, "/v1/plugins/hostile")
            .header("content-type", "application/wasm");
        let made = self.must(put.body(component.into())).await;
        let choice = format!("hostile@{}", made["version"].as_str().unwrap());
        let stages = json!({"stages": {stage: choice}});
        self.must(self.request(Method::PUT, "/v1/pipeline").json(&stages)).await;
    }

    /// Bytes that are made once in this process.
    pub fn kept(&self, name: &'static str, make: impl FnOnce() -> Vec<u8>) -> Bytes {
        let mut made = self.0.made.lock();
        made.entry(name).or_insert_with(|| make().into()).clone()
    }

    pub async fn connect(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((ADDRESS, 0)))?;
        socket.connect(self.0.server).await
    }

    /// The head of a request over a raw connection.
    pub fn head(&self, method: &str, path: &str, length: usize) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: neighbors\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n",
            self.0.key
        )
    }

    /// Sends a request as a whole, and closes the connection before its answer.
    pub async fn leave(&self, method: &str, path: &str, body: &[u8], stay: Duration) {
        let left = async {
            let mut stream = self.connect().await?;
            stream.write_all(self.head(method, path, body.len()).as_bytes()).await?;
            stream.write_all(body).await?;
            let mut answer = [0; 1];
            match tokio::time::timeout(stay, stream.read(&mut answer)).await {
                Err(_) => Ok("left"),
                Ok(Ok(_)) => Ok("answered"),
                Ok(Err(error)) => Err(error),
            }
        };
        self.count_held(left.await).await;
    }

    /// Counts what came of a raw connection.
    pub async fn count_held(&self, held: io::Result<&str>) {
        match held {
            Ok(what) => self.count(what),
            Err(_) => {
                self.count("cut off");
                sleep(PAUSE).await;
            }
        }
    }

    pub fn count(&self, what: &str) {
        *self.0.tally.lock().entry(what.to_owned()).or_default() += 1;
    }

    pub fn tally(&self) -> BTreeMap<String, u64> {
        self.0.tally.lock().clone()
    }
}

pub fn chat(question: &str, more: Value) -> Value {
    let mut body = riad_end_to_end::Chat::new(question).body(false);
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().cloned().unwrap_or_default());
    body
}

/// The status, with the code of an error.
fn label(status: StatusCode, body: &Value) -> String {
    match body.pointer("/error/code").and_then(Value::as_str) {
        Some(code) => format!("{} {code}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}
