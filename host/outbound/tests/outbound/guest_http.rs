//! Requests of plugins, against a server on this machine: what is reached, and what is not whatever is granted. The server's address is
//! allowed for these tests only. Not here: the parts of a URL and of headers (tests beside them).

use crate::server::{Answer, Server};
use async_trait::async_trait;
use axum::http::StatusCode;
use bytes::Bytes;
use riad_core::{
    Account, Limits,
    http_grants::HostPattern,
    ports::{HttpFailure, HttpMethod, HttpRequest, HttpResponse, OutboundHttp},
};
use riad_outbound::{GuestHttp, LookUp, is_public};
use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{io::{AsyncReadExt, AsyncWriteExt}, net::TcpListener};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

/// As on a server, but that this machine's own address counts as public.
fn public_or_here(address: IpAddr) -> bool {
    address == HERE || is_public(address)
}

/// Answers each look-up with the next list; the last one stays.
#[derive(Default)]
struct Script {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

#[async_trait]
impl LookUp for Script {
    async fn look_up(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.get(asked).or(self.answers.last());
        answer.cloned().ok_or_else(|| io::Error::other("there is no such name"))
    }
}

fn script(answers: &[&[IpAddr]]) -> Arc<Script> {
    Arc::new(Script {
        answers: answers.iter().map(|answer| answer.to_vec()).collect(),
        asked: AtomicUsize::new(0),
    })
}

fn limits() -> Limits {
    Limits {
        http_ms: 5_000,
        http_response_bytes: 1024,
        ..Limits::default()
    }
}

fn request(url: &str) -> HttpRequest {
    HttpRequest {
        method: HttpMethod::Post,
        url: url.into(),
        headers: vec![("x-key".into(), "word".into())],
        body: Bytes::from_static(b"the body"),
    }
}

async fn send(http: &GuestHttp, granted: &str, url: &str) -> Result<HttpResponse, HttpFailure> {
    let granted: HostPattern = granted.parse().unwrap();
    http.send(Account::new(1), &[granted], request(url)).await
}

fn failed(outcome: Result<HttpResponse, HttpFailure>, words: &str) {
    let failure = outcome.unwrap_err();
    assert!(
        matches!(&failure, HttpFailure::Failed(text) if text.contains(words)),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_granted_host_is_asked_and_answers() {
    let server = Server::start([Answer::Json("{\"state\":\"packed\"}".into())]).await;
    let port = server.address.port();
    let look_up = script(&[&[HERE]]);
    let http = GuestHttp::with_addresses(&limits(), look_up.clone(), public_or_here);
    let url = format!("http://api.acme.example:{port}/orders/1?a=b");
    let answer = send(&http, &format!("http://*.acme.example:{port}"), &url)
        .await
        .unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{\"state\":\"packed\"}"[..]));
    assert!(answer.headers.iter().any(|(name, _)| name == "content-length"));
    let seen = server.seen().remove(0);
    assert_eq!((seen.path.as_str(), &seen.body[..]), ("/orders/1", &b"the body"[..]));
    assert_eq!(seen.headers["x-key"], "word");
    assert_eq!(seen.headers["host"], format!("api.acme.example:{port}"));
    assert_eq!(look_up.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_not_granted_is_not_even_looked_up() {
    let look_up = script(&[&[HERE]]);
    let http = GuestHttp::with_addresses(&limits(), look_up.clone(), public_or_here);
    let refused = send(&http, "api.acme.example", "https://evil.example/")
        .await
        .unwrap_err();
    assert!(matches!(refused, HttpFailure::NotGranted(_)), "{refused:?}");
    assert_eq!(look_up.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_of_a_private_address_is_not_reached() {
    let server = Server::start([Answer::Json("secret".into())]).await;
    let port = server.address.port();
    let granted = format!("http://api.acme.example:{port}");
    for answer in [&[HERE][..], &[METADATA], &[METADATA, HERE]] {
        let http = GuestHttp::with_addresses(&limits(), script(&[answer]), is_public);
        failed(send(&http, &granted, &format!("{granted}/")).await, "no public address");
    }
    // The server's own resolver says the same of its own name.
    let http = GuestHttp::new(&limits());
    let granted = format!("http://localhost:{port}");
    failed(send(&http, &granted, &format!("{granted}/")).await, "no public address");
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_private_address_in_the_url_is_not_reached() {
    let server = Server::start([Answer::Json("secret".into())]).await;
    let http = GuestHttp::new(&limits());
    let granted = format!("http://127.0.0.1:{}", server.address.port());
    failed(send(&http, &granted, &server.url("/")).await, "no public address");
    failed(
        send(
            &http,
            "http://169.254.169.254",
            "http://169.254.169.254/latest/meta-data/",
        )
        .await,
        "no public address",
    );
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_name_that_changes_gains_nothing() {
    let server = Server::start([Answer::Json("secret".into())]).await;
    let port = server.address.port();
    let granted = format!("http://api.acme.example:{port}");
    // There is one look-up for a request, whose answer is both checked and used: a second answer is never asked for.
    let look_up = script(&[&[HERE], &[METADATA]]);
    let http = GuestHttp::with_addresses(&limits(), look_up.clone(), public_or_here);
    send(&http, &granted, &format!("{granted}/")).await.unwrap();
    assert_eq!((server.count(), look_up.asked.load(Ordering::SeqCst)), (1, 1));
    // The next request asks anew, because no connection is kept, and what was public before helps it nothing.
    failed(send(&http, &granted, &format!("{granted}/")).await, "no public address");
    assert_eq!((server.count(), look_up.asked.load(Ordering::SeqCst)), (1, 2));
    // Of an answer with both kinds, the public address alone is used.
    let http = GuestHttp::with_addresses(&limits(), script(&[&[METADATA, HERE]]), public_or_here);
    send(&http, &granted, &format!("{granted}/")).await.unwrap();
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let server = Server::start([Answer::Redirect("http://169.254.169.254/".into())]).await;
    let granted = format!("http://api.acme.example:{}", server.address.port());
    let http = GuestHttp::with_addresses(&limits(), script(&[&[HERE]]), public_or_here);
    let answer = send(&http, &granted, &format!("{granted}/")).await.unwrap();
    assert_eq!(answer.status, 307);
    assert!(
        answer
            .headers
            .contains(&("location".into(), "http://169.254.169.254/".into()))
    );
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn an_answer_has_a_size_and_a_time() {
    let server = Server::start([
        Answer::Json("x".repeat(1024)),
        Answer::Json("x".repeat(1025)),
        Answer::Status(StatusCode::NOT_FOUND),
        Answer::Silence,
    ])
    .await;
    let granted = format!("http://api.acme.example:{}", server.address.port());
    let limits = Limits {
        http_ms: 500,
        ..limits()
    };
    let http = GuestHttp::with_addresses(&limits, script(&[&[HERE]]), public_or_here);
    let url = format!("{granted}/");
    assert_eq!(send(&http, &granted, &url).await.unwrap().body.len(), 1024);
    let refused = send(&http, &granted, &url).await.unwrap_err();
    assert!(
        matches!(&refused, HttpFailure::LimitExceeded(text) if text.contains("http_response_bytes")),
        "{refused:?}"
    );
    assert_eq!(send(&http, &granted, &url).await.unwrap().status, 404);
    assert_eq!(send(&http, &granted, &url).await, Err(HttpFailure::TimedOut));
}

#[tokio::test]
async fn an_answer_that_drips_ends_with_its_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let dripping = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // An answer that comes before its request is none.
        stream.read_u8().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            .await
            .unwrap();
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let granted = format!("http://api.acme.example:{port}");
    let limits = Limits {
        http_ms: 300,
        ..limits()
    };
    let http = GuestHttp::with_addresses(&limits, script(&[&[HERE]]), public_or_here);
    let outcome = send(&http, &granted, &format!("{granted}/")).await;
    assert_eq!(outcome, Err(HttpFailure::TimedOut));
    // The connection is closed, which ends the other side.
    dripping.await.unwrap();
}

#[tokio::test]
async fn what_does_not_answer_as_http_does_is_said_without_addresses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let granted = format!("http://api.acme.example:{port}");
    let http = GuestHttp::with_addresses(&limits(), script(&[&[HERE]]), public_or_here);
    let answering = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").await.unwrap();
    });
    failed(
        send(&http, &granted, &format!("{granted}/")).await,
        "did not answer as HTTP does",
    );
    answering.await.unwrap();
    let refused = send(&http, &granted, &format!("{granted}/")).await.unwrap_err();
    assert_eq!(
        refused,
        HttpFailure::Failed("no connection to the host could be made".into())
    );
    let unknown = GuestHttp::with_addresses(&limits(), Arc::new(Script::default()), public_or_here);
    failed(send(&unknown, &granted, &format!("{granted}/")).await, "no connection");
}

#[tokio::test]
async fn an_account_over_its_rate_is_told_at_once() {
    let server = Server::start([Answer::Json("{}".into())]).await;
    let granted: HostPattern = format!("http://api.acme.example:{}", server.address.port())
        .parse()
        .unwrap();
    let limits = Limits {
        http_per_minute: 1,
        ..limits()
    };
    let http = GuestHttp::with_addresses(&limits, script(&[&[HERE]]), public_or_here);
    let url = format!("{granted}/");
    let granted = [granted];
    http.send(Account::new(1), &granted, request(&url)).await.unwrap();
    let refused = http.send(Account::new(1), &granted, request(&url)).await.unwrap_err();
    assert!(matches!(refused, HttpFailure::LimitExceeded(_)), "{refused:?}");
    http.send(Account::new(2), &granted, request(&url)).await.unwrap();
    assert_eq!(server.count(), 2);
}
