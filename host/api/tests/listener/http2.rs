//! HTTP/2 by hand, frame by frame: served on the same port, drained and cut like HTTP/1.
//! Frames and HPACK are those of RFC 9113 and RFC 7541. Not here: HTTP/2's own rules, which are hyper's.

use crate::support::{A_WHILE, PATIENCE, Wire, options, start};
use axum::{Router, routing::get};
use parking_lot::Mutex;
use riad_api::ServeOptions;
use std::sync::Arc;
use tokio::{io::AsyncReadExt, sync::oneshot, time::timeout};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM_AND_HEADERS: u8 = 5;

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

struct Http2(Wire);

impl Http2 {
    async fn open(address: std::net::SocketAddr) -> Self {
        let mut wire = Wire::open(address).await;
        wire.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let mut http2 = Self(wire);
        http2.send(SETTINGS, 0, 0, &[]).await;
        http2
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write(frame).await;
    }

    async fn get(&mut self, stream: u32, path: &str) {
        // `:method: GET`, `:scheme: http` from the static table; `:path` and `:authority` with values of their own.
        let mut block = vec![0x82, 0x86];
        for (name, value) in [(4, path), (1, "riad")] {
            block.extend([name, u8::try_from(value.len()).unwrap()]);
            block.extend(value.bytes());
        }
        self.send(HEADERS, END_STREAM_AND_HEADERS, stream, &block).await;
    }

    /// The next frame, `None` when the connection has ended. Settings and pings are answered.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            self.0.0.read_exact(&mut head).await.ok()?;
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            self.0.0.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let (kind, flags) = (head[3], head[4]);
            if matches!(kind, SETTINGS | PING) && flags & ACK == 0 {
                let back = if kind == PING { payload.clone() } else { Vec::new() };
                self.send(kind, ACK, 0, &back).await;
                continue;
            }
            return Some(Frame {
                kind,
                flags,
                stream,
                payload,
            });
        }
    }

    /// Frames up to the first that `wanted` likes.
    async fn find(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        let looking = async {
            loop {
                let frame = self.next().await?;
                if wanted(&frame) {
                    return Some(frame);
                }
            }
        };
        timeout(PATIENCE, looking).await.expect("the frame does not come")
    }

    /// Whether the answer's head says 200: an indexed field of the static table.
    async fn is_ok(&mut self, stream: u32) -> bool {
        let head = self
            .find(|frame| frame.kind == HEADERS && frame.stream == stream)
            .await
            .unwrap();
        head.payload.contains(&0x88)
    }

    async fn body(&mut self, stream: u32) -> String {
        let data = self
            .find(|frame| frame.kind == DATA && frame.stream == stream)
            .await
            .unwrap();
        assert!(data.flags & 1 == 1 || data.payload.len() < 1 << 14);
        String::from_utf8(data.payload).unwrap()
    }
}

#[tokio::test]
async fn streams_share_a_connection_and_are_refused_while_draining() {
    let (release, released) = oneshot::channel::<()>();
    let released = Arc::new(Mutex::new(Some(released)));
    let router = Router::new().route("/", get(async || "hello")).route(
        "/wait",
        get(async move || {
            let released = released.lock().take().unwrap();
            released.await.unwrap();
            "at last"
        }),
    );
    let (serving, lifecycle, address) = start(&router, options()).await;
    let mut http2 = Http2::open(address).await;
    http2.get(1, "/wait").await;
    http2.get(3, "/").await;
    assert!(http2.is_ok(3).await);
    assert_eq!(http2.body(3).await, "hello");

    lifecycle.start_draining();
    let draining = tokio::spawn(serving.drain(PATIENCE));
    http2.get(5, "/").await;
    assert!(!http2.is_ok(5).await);
    assert!(http2.body(5).await.contains("shutting down"));

    release.send(()).unwrap();
    assert!(http2.is_ok(1).await);
    assert_eq!(http2.body(1).await, "at last");
    assert!(http2.find(|frame| frame.kind == GO_AWAY).await.is_some());
    assert_eq!(timeout(PATIENCE, draining).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn pings_are_no_head_that_takes_too_long() {
    let quick = ServeOptions {
        header_timeout: A_WHILE / 3,
        ..options()
    };
    let router = Router::new().route("/", get(async || "hello"));
    let (_serving, _, address) = start(&router, quick).await;
    let mut http2 = Http2::open(address).await;
    for stream in [1, 3, 5] {
        http2.get(stream, "/").await;
        assert!(http2.is_ok(stream).await);
        assert_eq!(http2.body(stream).await, "hello");
        http2.send(PING, 0, 0, &[7; 8]).await;
        tokio::time::sleep(A_WHILE).await;
    }
}

#[tokio::test]
async fn a_stream_that_does_not_end_is_dropped_with_the_server() {
    struct Dropped(Option<oneshot::Sender<()>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }
    let (notify, notified) = oneshot::channel();
    let guard = Arc::new(Mutex::new(Some(Dropped(Some(notify)))));
    let router = Router::new().route(
        "/never",
        get(async move || {
            let _guard = guard.lock().take();
            std::future::pending::<()>().await
        }),
    );
    let (serving, lifecycle, address) = start(&router, options()).await;
    let mut http2 = Http2::open(address).await;
    http2.get(1, "/never").await;
    let reached = async {
        while serving.in_flight() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, reached).await.unwrap();
    lifecycle.start_draining();
    assert_eq!(timeout(PATIENCE, serving.drain(A_WHILE)).await.unwrap(), 1);
    timeout(PATIENCE, notified).await.expect("it is not dropped").unwrap();
    // No answer, however the connection ends.
    let answer = http2.find(|frame| matches!(frame.kind, HEADERS | RESET)).await;
    assert!(answer.is_none_or(|frame| frame.kind == RESET));
}
