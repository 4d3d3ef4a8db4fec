//! Heads, bodies and answers that take too much or too long. Not here: how many connections there are (`connections`), the end of the
//! server (`drain`).

use crate::support::{LARGE_ANSWER, Wire, options, start, start_with_small_buffers};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::ConnectInfo,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use futures::StreamExt;
use parking_lot::Mutex;
use riad_api::ServeOptions;
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    sync::oneshot,
    time::{sleep, timeout},
};

const SHORT: Duration = Duration::from_millis(200);

fn router() -> Router {
    Router::new()
        .route("/", get(async || "hello"))
        .route(
            "/peer",
            get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()),
        )
        .route("/length", post(async |body: Bytes| body.len().to_string()))
        .route(
            "/unread",
            post(async || {
                sleep(SHORT * 4).await;
                "the body was not read"
            }),
        )
        .route(
            "/slow",
            get(async || {
                let pieces = futures::stream::iter(["one ", "two ", "three"]);
                Body::from_stream(pieces.then(async |piece| {
                    sleep(SHORT).await;
                    Ok::<_, Infallible>(piece)
                }))
            }),
        )
}

fn quick() -> ServeOptions {
    ServeOptions {
        header_timeout: SHORT,
        body_timeout: SHORT,
        ..options()
    }
}

#[tokio::test]
async fn a_request_carries_its_peers_address() {
    let (_serving, _, address) = start(&router(), options()).await;
    let mut wire = Wire::open(address).await;
    wire.get("/peer").await;
    let ours = wire.0.local_addr().unwrap().to_string();
    assert!(wire.until(&ours).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_that_asks_nothing_is_closed() {
    let (_serving, _, address) = start(&router(), quick()).await;
    for beginning in ["", "G", "GET / HTTP/1.1\r\nhost: riad\r\n", "PRI * HTTP/2.0\r\n"] {
        let mut wire = Wire::open(address).await;
        wire.write(beginning).await;
        wire.rest().await;
    }
}

#[tokio::test]
async fn silence_between_requests_may_outlast_the_head_timeout() {
    let (_serving, _, address) = start(&router(), quick()).await;
    let mut wire = Wire::open(address).await;
    for _ in 0..3 {
        wire.get("/").await;
        wire.until("hello").await;
        sleep(SHORT * 3).await;
    }
}

#[tokio::test]
async fn a_head_that_trickles_is_cut_off() {
    head_that_trickles(async |_| {}).await;
}

#[tokio::test]
async fn a_second_head_that_trickles_is_cut_off() {
    head_that_trickles(async |wire| {
        wire.get("/peer").await;
        let ours = wire.0.local_addr().unwrap().to_string();
        wire.until(&ours).await;
    })
    .await;
}

async fn head_that_trickles(before: impl AsyncFnOnce(&mut Wire)) {
    let (_serving, _, address) = start(&router(), quick()).await;
    let mut wire = Wire::open(address).await;
    before(&mut wire).await;
    let (mut reading, mut writing) = wire.0.into_split();
    let trickle = async {
        let _ = writing.write_all(b"GET / HTTP/1.1\r\n").await;
        while writing.write_all(b"x: y\r\n").await.is_ok() {
            sleep(SHORT / 10).await;
        }
    };
    timeout(crate::support::PATIENCE, trickle)
        .await
        .expect("the head may trickle on forever");
    let mut answer = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let head = |bytes: usize| format!("GET / HTTP/1.1\r\nhost: riad\r\nx: {}\r\n\r\n", "y".repeat(bytes));
    let bound = ServeOptions {
        max_header_bytes: 16 << 10,
        ..options()
    };
    let (_serving, _, address) = start(&router(), bound).await;
    let mut wire = Wire::open(address).await;
    wire.write(head(15 << 10)).await;
    assert!(wire.until("hello").await.starts_with("HTTP/1.1 200"));
    // Not all of it may find a reader.
    let _ = wire.0.write_all(head(64 << 10).as_bytes()).await;
    assert!(wire.rest().await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn a_body_that_trickles_is_cut_off_with_408() {
    let (_serving, _, address) = start(&router(), quick()).await;
    let mut wire = Wire::open(address).await;
    wire.write("POST /length HTTP/1.1\r\nhost: riad\r\ncontent-length: 1000\r\n\r\n")
        .await;
    let (mut reading, mut writing) = wire.0.into_split();
    let trickle = tokio::spawn(async move {
        while writing.write_all(b"x").await.is_ok() {
            sleep(SHORT / 10).await
        }
    });
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut answer);
    let _ = timeout(crate::support::PATIENCE, read).await.expect("no answer");
    trickle.abort();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(
        answer.contains("request_timeout") && answer.to_lowercase().contains("connection: close"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_that_comes_in_time_is_read_whole() {
    let (_serving, _, address) = start(&router(), quick()).await;
    let http = reqwest::Client::new();
    let asked = http.post(format!("http://{address}/length")).body(vec![7; 1 << 20]);
    assert_eq!(asked.send().await.unwrap().text().await.unwrap(), (1 << 20).to_string());
}

#[tokio::test]
async fn slow_answers_and_handlers_do_not_count_as_slow_bodies() {
    let (_serving, _, address) = start(&router(), quick()).await;
    let http = reqwest::Client::new();
    let slow = http.get(format!("http://{address}/slow")).body("x");
    assert_eq!(slow.send().await.unwrap().text().await.unwrap(), "one two three");
    let unread = http.post(format!("http://{address}/unread")).body("x");
    let answer = unread.send().await.unwrap();
    assert_eq!(
        (answer.status(), answer.text().await.unwrap().as_str()),
        (StatusCode::OK, "the body was not read")
    );
}

#[tokio::test]
async fn a_refusal_for_another_reason_keeps_its_message() {
    let router = Router::new().route("/", post(async |_: HeaderMap, _: Bytes| (StatusCode::CONFLICT, "mine")));
    let (_serving, _, address) = start(&router, quick()).await;
    let answer = reqwest::Client::new()
        .post(format!("http://{address}/"))
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() {
    struct Dropped(Option<oneshot::Sender<()>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }
    let (notify, notified) = oneshot::channel();
    let guard = Arc::new(Mutex::new(Some(Dropped(Some(notify)))));
    let endless = move || {
        let guard = guard.lock().take();
        let zeros = futures::stream::repeat_with(move || {
            let _ = &guard;
            Ok::<_, Infallible>(Bytes::from_static(&[0; 65536]))
        });
        std::future::ready(Body::from_stream(zeros))
    };
    let router = Router::new().route("/endless", get(endless));
    let bound = ServeOptions {
        read_timeout: SHORT,
        header_timeout: SHORT,
        ..options()
    };
    let (_serving, _, address) = start(&router, bound).await;
    let mut wire = Wire::open(address).await;
    wire.get("/endless").await;
    timeout(crate::support::PATIENCE, notified)
        .await
        .expect("it waits for the client forever")
        .unwrap();
}

#[tokio::test]
async fn a_client_that_reads_slowly_and_steadily_gets_it_all() {
    let router = Router::new().route("/large", get(async || vec![b'x'; LARGE_ANSWER]));
    let bound = ServeOptions {
        read_timeout: SHORT * 5,
        header_timeout: SHORT,
        ..options()
    };
    let (_serving, _, address) = start_with_small_buffers(&router, bound);
    let mut wire = Wire::open_with_small_buffer(address).await;
    wire.write("GET /large HTTP/1.1\r\nhost: riad\r\nconnection: close\r\n\r\n")
        .await;
    // It takes more than twice as long as a client may read nothing.
    let (mut read, mut piece) = (0, [0; 8192]);
    while let Ok(count @ 1..) = tokio::io::AsyncReadExt::read(&mut wire.0, &mut piece).await {
        read += count;
        sleep(SHORT / 20).await;
    }
    assert!(read > LARGE_ANSWER, "{read} bytes");
}
