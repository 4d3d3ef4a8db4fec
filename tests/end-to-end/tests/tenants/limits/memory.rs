//! What a tenant's clients keep in the server's memory is taken from its own share: bodies that are not sent to their end, answers that
//! are not read.

use futures::future::select_all;
use reqwest::{StatusCode, Url};
use riad_end_to_end::{Answer, EMBEDDER, Tenant, TestHost};
use serde_json::json;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Duration, sleep, timeout},
};

/// Requests of a tenant that may wait for its own.
const WAITING: usize = 8;
/// Against a server that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that has sent this much of a request, and reads nothing.
async fn send(host: &TestHost, request: &str) -> TcpStream {
    let url = Url::parse(&host.url()).unwrap();
    let address: SocketAddr = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())
        .parse()
        .unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

fn head(method_and_path: &str, tenant: &Tenant, more: &str) -> String {
    format!(
        "{method_and_path} HTTP/1.1\r\nhost: riad\r\nauthorization: Bearer {}\r\n{more}\r\n",
        tenant.key
    )
}

/// The first statuses that come on these connections, in order.
async fn statuses(streams: &mut [TcpStream], count: usize) -> Vec<u16> {
    let mut reading: Vec<_> = streams.iter_mut().map(|stream| Box::pin(status(stream))).collect();
    let mut found = Vec::new();
    while found.len() < count {
        let (status, _, rest) = timeout(PATIENCE, select_all(reading))
            .await
            .expect("an answer is missing");
        found.push(status);
        reading = rest;
    }
    found.sort_unstable();
    found
}

async fn status(stream: &mut TcpStream) -> u16 {
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    std::str::from_utf8(&start[9..]).unwrap().parse().unwrap()
}

/// The first answer that is not a refusal for what is held: the server has to notice that clients have gone.
async fn when_admitted<F: Future<Output = Answer>>(ask: impl Fn() -> F) -> Answer {
    let admitted = async {
        loop {
            let answer = ask().await;
            if answer.status != StatusCode::TOO_MANY_REQUESTS {
                return answer;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, admitted)
        .await
        .expect("what was held is never given back")
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_keep_out_their_tenant_only() {
    let host = TestHost::builder()
        .limits(|limits| {
            limits.request_bytes = 1 << 20;
            limits.body_bytes = 4 << 20;
        })
        .start()
        .await;
    let (acme, globex) = host.neighbors().await;
    let request = head(
        "POST /v1/search",
        &acme,
        "content-type: application/json\r\ncontent-length: 1048576\r\n",
    );
    let mut streams = Vec::new();
    for _ in 0..1 + WAITING + 1 {
        streams.push(send(&host, &request).await);
    }
    assert_eq!(statuses(&mut streams, 1).await, [429], "one body is read, eight wait");
    let search = json!({"query": "refund"});
    globex.post("/v1/search", &search).await.ok();
    drop(streams);
    when_admitted(|| acme.post("/v1/search", &search)).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_not_read_keep_out_their_tenant_only() {
    let host = TestHost::builder()
        .limits(|limits| limits.unread_bytes = 4 << 20)
        .start()
        .await;
    let (acme, globex) = host.neighbors().await;
    // JSON has six bytes for each of these characters.
    let text = format!("words and {}", "\u{1}".repeat(2 << 20));
    let document = acme.add_document("Long", &text).await;
    let path = format!("/v1/documents/{document}");
    let mut streams = Vec::new();
    for _ in 0..2 + WAITING + 1 {
        streams.push(send(&host, &head(&format!("GET {path}"), &acme, "")).await);
    }
    assert_eq!(statuses(&mut streams, 3).await, [200, 200, 429]);
    let theirs = globex.get("/v1/documents").await.ok();
    let theirs = theirs["data"][0]["id"].as_str().unwrap();
    globex.get(&format!("/v1/documents/{theirs}")).await.ok();
    drop(streams);
    let read = when_admitted(|| acme.get(&path)).await.ok();
    assert_eq!(read["text"], text);
    assert_eq!(
        (&read["object"], &read["bytes"]),
        (&json!("document"), &json!(text.len()))
    );
}

/// Work that was done is answered; what is not read of it keeps the next request from beginning, with an `Idempotency-Key` too.
#[tokio::test(flavor = "multi_thread")]
async fn unread_answers_refuse_the_next_request_before_its_work() {
    for key in [false, true] {
        let host = TestHost::builder()
            .limits(|limits| limits.unread_bytes = 1 << 20)
            .start()
            .await;
        let (acme, globex) = host.neighbors().await;
        let inputs: Vec<_> = (0..2048).map(|number| format!("refund {number}")).collect();
        let body = json!({"model": EMBEDDER, "input": inputs}).to_string();
        let request = |number: usize| {
            let key = if key {
                format!("idempotency-key: {number}\r\n")
            } else {
                String::new()
            };
            let more = format!(
                "content-type: application/json\r\ncontent-length: {}\r\n{key}",
                body.len()
            );
            head("POST /v1/embeddings", &acme, &more) + &body
        };
        let mut streams = vec![send(&host, &request(0)).await];
        assert_eq!(statuses(&mut streams, 1).await, [200]);
        for number in 1..=WAITING + 1 {
            streams.push(send(&host, &request(number)).await);
        }
        assert_eq!(statuses(&mut streams[1..], 1).await, [429]);
        globex.post("/v1/search", &json!({"query": "refund"})).await.ok();
        drop(streams);
    }
}
