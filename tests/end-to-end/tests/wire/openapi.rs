//! The HTTP surface is a committed snapshot: a change of it is a change of that file, seen in review. And the endpoints for load
//! balancers. To update it: `INSTA_UPDATE=always cargo test --release --workspace --test wire openapi`.

use riad_end_to_end::{Caller, TestHost};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const SNAPSHOT: &str = concat!(
    env!("RIAD_SOURCE"),
    "/tests/end-to-end/tests/wire/snapshots/wire__openapi__http_surface.snap"
);

/// What clients depend on: without the words for people, and by name, so that the order in which the code names things is not
/// part of it.
fn surface(value: &Value) -> Value {
    let words = |name: &str, value: &Value| matches!(name, "description" | "summary") && value.is_string();
    match value {
        Value::Object(members) => {
            let members: BTreeMap<_, _> = members
                .iter()
                .filter(|(name, value)| !words(name, value))
                .map(|(name, value)| (name, surface(value)))
                .collect();
            json!(members)
        }
        Value::Array(items) => items.iter().map(surface).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// What is answered without a key.
const OPEN: [&str; 3] = ["/healthz", "/readyz", "/v1/receipts/keys"];

/// The operations of the committed document, so that a loop that visits fewer of the server's fails.
fn committed_operations() -> Vec<Value> {
    let snapshot = fs::read_to_string(SNAPSHOT).unwrap();
    // Insta's metadata come first, between two lines of dashes.
    let document = snapshot.splitn(3, "---\n").nth(2).unwrap();
    let committed: Value = serde_json::from_str(document).unwrap();
    let items = committed["paths"].as_object().unwrap().values();
    items
        .flat_map(|item| item.as_object().unwrap().values().cloned())
        .collect()
}

#[test]
fn the_http_surface_is_the_committed_one() {
    let mut document = serde_json::to_value(riad_api::openapi()).unwrap();
    // Changes at each release.
    document["info"].as_object_mut().unwrap().remove("version");
    insta::assert_snapshot!("http_surface", format!("{:#}", surface(&document)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_serves_that_document_and_every_path_of_it() {
    let host = TestHost::start().await;
    let nobody = Caller::new(&host.url(), "");
    let served = nobody.get("/openapi.json").await.ok();
    assert_eq!(served, serde_json::to_value(riad_api::openapi()).unwrap());

    let mut operations = 0;
    for (path, item) in served["paths"].as_object().unwrap() {
        let filled = path
            .split('/')
            .map(|part| if part.starts_with('{') { "x" } else { part });
        let filled = filled.collect::<Vec<_>>().join("/");
        for (method, operation) in item.as_object().unwrap() {
            operations += 1;
            let method = method.to_uppercase().parse().unwrap();
            let answer = nobody.send(nobody.request(method, &filled)).await;
            let open = OPEN.contains(&path.as_str());
            let expected = if open { 200 } else { 401 };
            assert_eq!(answer.status.as_u16(), expected, "{path}: {}", answer.body);
            assert_eq!(operation["security"].is_null(), open, "{path}");
        }
    }
    assert_eq!(operations, committed_operations().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn load_balancers_are_answered_without_a_key() {
    let host = TestHost::start().await;
    let nobody = Caller::new(&host.url(), "");
    for path in ["/healthz", "/readyz"] {
        let answer = nobody.get(path).await;
        assert!(answer.headers.contains_key("x-request-id"));
        assert_eq!(answer.ok(), json!({"status": "ok"}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_without_a_key_is_refused_before_its_body_arrives() {
    let host = TestHost::start().await;
    let url = host.url();
    let address = url.trim_start_matches("http://");
    let document = serde_json::to_value(riad_api::openapi()).unwrap();
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["requestBody"].is_null() {
                continue;
            }
            operations += 1;
            let mut socket = TcpStream::connect(address).await.unwrap();
            let (method, path) = (method.to_uppercase(), path.replace(['{', '}'], ""));
            // The head announces a body that never comes.
            let head = format!(
                "{method} {path} HTTP/1.1\r\nhost: riad\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
            );
            socket.write_all(head.as_bytes()).await.unwrap();
            let mut status = [0; 12];
            let answer = timeout(Duration::from_secs(20), socket.read_exact(&mut status)).await;
            answer
                .unwrap_or_else(|_| panic!("{method} {path} waits for the body"))
                .unwrap();
            assert_eq!(&status, b"HTTP/1.1 401", "{method} {path}");
        }
    }
    let committed = committed_operations();
    let with_body = committed.iter().filter(|operation| !operation["requestBody"].is_null());
    assert_eq!(operations, with_body.count());
}
