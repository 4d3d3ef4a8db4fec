//! The end of a server: which requests finish, which are refused, which are cut off.

use crate::support::{A_WHILE, LARGE_ANSWER, PATIENCE, Wire, options, start, start_with_small_buffers};
use axum::{Router, body::Body, routing::get};
use futures::StreamExt;
use parking_lot::Mutex;
use reqwest::StatusCode;
use riad_api::{Serving, serve};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// A body of what is sent, which ends when the sender is gone.
fn body(receiver: mpsc::Receiver<&'static str>, guard: impl Send + 'static) -> Body {
    let stream = futures::stream::unfold((receiver, guard), async |(mut receiver, guard)| {
        receiver.recv().await.map(|piece| (piece, (receiver, guard)))
    });
    Body::from_stream(stream.map(Ok::<_, Infallible>))
}

/// Sends a message when it is dropped.
struct Dropped(Option<oneshot::Sender<()>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.take().unwrap().send(());
    }
}

/// A server whose `/stream` answers what is sent here, with a signal when that answer, or `/never`, is dropped.
struct Scene {
    router: Router,
    pieces: mpsc::Sender<&'static str>,
    dropped: oneshot::Receiver<()>,
}

fn scene() -> Scene {
    let (pieces_in, receiver) = mpsc::channel(8);
    let (drop_in, dropped) = oneshot::channel();
    let parts = Arc::new(Mutex::new(Some((receiver, Dropped(Some(drop_in))))));
    let never = parts.clone();
    let router = Router::new()
        .route("/", get(async || "hello"))
        .route("/metrics", get(async || "figures"))
        .route(
            "/stream",
            get(async move || {
                let (receiver, guard) = parts.lock().take().unwrap();
                body(receiver, guard)
            }),
        )
        .route(
            "/never",
            get(async move || {
                let _parts = never.lock().take().unwrap();
                std::future::pending::<()>().await
            }),
        );
    Scene {
        router,
        pieces: pieces_in,
        dropped,
    }
}

async fn until_in_flight(serving: &Serving, count: usize) {
    let reached = async {
        while serving.in_flight() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, reached)
        .await
        .expect("the requests are not in flight");
}

#[tokio::test]
async fn a_stream_in_flight_ends_while_new_requests_are_refused() {
    let Scene {
        router,
        pieces,
        mut dropped,
    } = scene();
    let (serving, lifecycle, address) = start(&router, options()).await;
    let mut stream = Wire::open(address).await;
    stream.get("/stream").await;
    pieces.send("one").await.unwrap();
    stream.until("one").await;
    // Connections that are open and idle when it begins.
    let mut idle = Wire::open(address).await;
    idle.get("/").await;
    idle.until("hello").await;

    lifecycle.start_draining();
    let draining = tokio::spawn(serving.drain(PATIENCE));
    idle.get("/").await;
    let refused = idle.rest().await.to_lowercase();
    assert!(refused.starts_with("http/1.1 503"), "{refused}");
    assert!(
        refused.contains("connection: close") && refused.contains("retry-after: "),
        "{refused}"
    );
    assert!(refused.contains("shutting down"), "{refused}");

    let http = reqwest::Client::new();
    for (path, status) in [
        ("/readyz", StatusCode::SERVICE_UNAVAILABLE),
        ("/healthz", StatusCode::OK),
        ("/metrics", StatusCode::OK),
        ("/", StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let answer = http.get(format!("http://{address}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
    assert!(!draining.is_finished());
    assert!(dropped.try_recv().is_err());

    pieces.send("two").await.unwrap();
    drop(pieces);
    // The chunk that ends the body, and then the connection's end.
    let rest = stream.rest().await;
    assert!(rest.contains("two") && rest.ends_with("0\r\n\r\n"), "{rest}");
    assert_eq!(timeout(PATIENCE, draining).await.unwrap().unwrap(), 0);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_does_not_end_in_time_is_dropped() {
    for path in ["/stream", "/never"] {
        let Scene {
            router,
            pieces,
            dropped,
        } = scene();
        let (serving, lifecycle, address) = start(&router, options()).await;
        let mut wire = Wire::open(address).await;
        wire.get(path).await;
        until_in_flight(&serving, 1).await;

        lifecycle.start_draining();
        let cut = timeout(PATIENCE, serving.drain(A_WHILE)).await.unwrap();
        assert_eq!(cut, 1, "{path}");
        timeout(PATIENCE, dropped).await.expect("it lives on").unwrap();
        let rest = wire.rest().await;
        assert!(
            !rest.ends_with("0\r\n\r\n"),
            "a stream that is cut off looks whole: {rest}"
        );
        drop(pieces);
    }
}

#[tokio::test]
async fn idle_connections_hold_nothing_up() {
    let (serving, lifecycle, address) = start(&scene().router, options()).await;
    let mut silent = Wire::open(address).await;
    let mut idle = Wire::open(address).await;
    idle.get("/").await;
    idle.until("hello").await;
    lifecycle.start_draining();
    // The time is far longer than anybody would wait.
    let cut = timeout(PATIENCE, serving.drain(PATIENCE * 100)).await.unwrap();
    assert_eq!(cut, 0);
    assert_eq!(idle.rest().await, "");
    silent.rest().await;
}

#[tokio::test]
async fn a_client_that_leaves_is_in_flight_no_longer() {
    let Scene {
        router,
        pieces,
        dropped,
    } = scene();
    let (serving, _, address) = start(&router, options()).await;
    let mut wire = Wire::open(address).await;
    wire.get("/stream").await;
    until_in_flight(&serving, 1).await;
    drop(wire);
    timeout(PATIENCE, dropped)
        .await
        .expect("the drop was not noticed")
        .unwrap();
    until_in_flight(&serving, 0).await;
    drop(pieces);
}

#[tokio::test]
async fn a_server_that_is_dropped_ends_everything() {
    let Scene {
        router,
        pieces,
        dropped,
    } = scene();
    let (listener, address) = crate::support::listen().await;
    let serving = serve(listener, router, options()).unwrap();
    let mut wire = Wire::open(address).await;
    wire.get("/stream").await;
    until_in_flight(&serving, 1).await;
    drop(serving);
    timeout(PATIENCE, dropped).await.expect("it lives on").unwrap();
    wire.rest().await;
    drop(pieces);
}

#[tokio::test]
async fn an_answer_is_in_flight_until_it_is_written() {
    let router = Router::new().route("/large", get(async || vec![b'x'; LARGE_ANSWER]));
    let (serving, lifecycle, address) = start_with_small_buffers(&router, options());
    let mut wire = Wire::open_with_small_buffer(address).await;
    wire.get("/large").await;
    until_in_flight(&serving, 1).await;
    // The handler has ended, and nobody reads.
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(serving.in_flight(), 1);

    lifecycle.start_draining();
    let draining = tokio::spawn(serving.drain(PATIENCE));
    tokio::time::sleep(A_WHILE).await;
    assert!(!draining.is_finished(), "it did not wait for the answer");
    let answer = wire.rest().await;
    assert!(answer.len() > LARGE_ANSWER, "{} bytes", answer.len());
    assert_eq!(timeout(PATIENCE, draining).await.unwrap().unwrap(), 0);
}
