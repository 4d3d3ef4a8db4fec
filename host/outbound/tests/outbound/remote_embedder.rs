//! The embedder of another server, beside scripted answers.

use crate::server::{Answer, Server};
use axum::http::StatusCode;
use riad_core::{
    Error, ErrorKind, Secret,
    ports::{Embedder as _, TextRole},
};
use riad_outbound::{RemoteEmbedder, RemoteEmbedderConfig};
use serde_json::{Value, json};
use std::sync::Arc;

const KEY: &str = "sk-of-the-operator-alone";

/// An answer with so many vectors.
fn vectors(count: usize, tokens: u64) -> Answer {
    let data: Vec<Value> = (0..count)
        .map(|index| json!({"object": "embedding", "index": index, "embedding": [3.0, 4.0]}))
        .collect();
    Answer::Json(json!({"data": data, "usage": {"prompt_tokens": tokens}}).to_string())
}

fn open(server: &Server) -> Arc<RemoteEmbedder> {
    let config = RemoteEmbedderConfig {
        url: server.url("/v1"),
        model: Some("bge-m3".to_owned()),
        dimensions: Some(2),
        query_prefix: "query: ".to_owned(),
        passage_prefix: "passage: ".to_owned(),
        key: Some(Secret::new(KEY.to_owned())),
    };
    Arc::new(RemoteEmbedder::open(config).unwrap())
}

async fn embed(embedder: &Arc<RemoteEmbedder>, texts: &[&str], role: TextRole) -> Result<(Vec<Vec<f32>>, u32), Error> {
    let (embedder, texts) = (
        Arc::clone(embedder),
        texts.iter().map(ToString::to_string).collect::<Vec<_>>(),
    );
    tokio::task::spawn_blocking(move || embedder.embed(&texts, role))
        .await
        .unwrap()
}

async fn refusal(answers: impl Into<Vec<Answer>>) -> (Error, usize) {
    let server = Server::start(answers).await;
    let error = embed(&open(&server), &["a lamp"], TextRole::Query).await.unwrap_err();
    (error, server.count())
}

#[tokio::test]
async fn texts_are_sent_with_the_key_and_the_prefix_of_their_role() {
    let server = Server::start([vectors(1, 5), vectors(2, 9), vectors(1, 3)]).await;
    let embedder = open(&server);
    assert!(embedder.waits());
    let (found, tokens) = embed(&embedder, &["a lamp"], TextRole::Query).await.unwrap();
    assert_eq!((found, tokens), (vec![vec![0.6, 0.8]], 5));
    embed(&embedder, &["one", "two"], TextRole::Passage).await.unwrap();
    embed(&embedder, &["one"], TextRole::Unknown).await.unwrap();
    assert_eq!(embedder.counted(), 17);
    let seen = server.seen();
    assert!(seen.iter().all(|request| request.path == "/v1/embeddings"));
    assert_eq!(seen[0].headers["authorization"], format!("Bearer {KEY}"));
    let inputs = seen.iter().map(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            (&body["model"], &body["encoding_format"]),
            (&json!("bge-m3"), &json!("float"))
        );
        body["input"].clone()
    });
    let expected = [
        json!(["query: a lamp"]),
        json!(["passage: one", "passage: two"]),
        json!(["one"]),
    ];
    assert_eq!(inputs.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn many_texts_are_several_requests() {
    let server = Server::start([vectors(256, 256), vectors(44, 44)]).await;
    let (found, tokens) = embed(&open(&server), &["x"; 300], TextRole::Passage).await.unwrap();
    assert_eq!((found.len(), tokens, server.count()), (300, 300, 2));
}

#[tokio::test]
async fn no_more_is_billed_than_the_texts_can_have() {
    let server = Server::start([vectors(1, 1_000_000)]).await;
    let embedder = open(&server);
    let (_, tokens) = embed(&embedder, &["a lamp"], TextRole::Query).await.unwrap();
    assert_eq!(u64::from(tokens), embedder.most_tokens("a lamp".len()));
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_once_more() {
    let failing = Answer::Status(StatusCode::INTERNAL_SERVER_ERROR);
    let server = Server::start([failing.clone(), vectors(1, 1)]).await;
    embed(&open(&server), &["a lamp"], TextRole::Query).await.unwrap();
    assert_eq!(server.count(), 2);

    let (error, asked) = refusal([failing]).await;
    assert_eq!((error.kind(), asked), (ErrorKind::Unavailable, 2));
    assert!(error.retry_after().is_some());

    let server = Server::start([vectors(1, 1)]).await;
    let embedder = open(&server);
    drop(server);
    let error = embed(&embedder, &["a lamp"], TextRole::Query).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_refusal_is_what_the_client_can_do_about_it() {
    for (status, kind) in [
        (StatusCode::BAD_REQUEST, ErrorKind::InvalidRequest),
        (StatusCode::PAYLOAD_TOO_LARGE, ErrorKind::InvalidRequest),
        (StatusCode::TOO_MANY_REQUESTS, ErrorKind::Unavailable),
        (StatusCode::UNAUTHORIZED, ErrorKind::Internal),
        (StatusCode::NOT_FOUND, ErrorKind::Internal),
    ] {
        let (error, asked) = refusal([Answer::Status(status)]).await;
        assert_eq!((error.kind(), asked), (kind, 1), "{status}");
        assert!(!error.message_for_client().contains("401"), "{error}");
    }
}

/// A redirect would take the key, and every tenant's texts, to another server.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Server::start([vectors(1, 1)]).await;
    let (error, _) = refusal([Answer::Redirect(other.url("/v1/embeddings"))]).await;
    assert_eq!((error.kind(), other.count()), (ErrorKind::Internal, 0));
}

#[tokio::test]
async fn an_answer_that_is_of_no_use_is_an_error() {
    let without_usage = json!({"data": [{"index": 0, "embedding": [1.0, 0.0]}]}).to_string();
    let endless = format!(r#"{{"data": [{}"#, " ".repeat(1 << 20));
    for answer in [vectors(2, 1), Answer::Json(without_usage), Answer::Json(endless)] {
        let (error, asked) = refusal([answer]).await;
        assert_eq!((error.kind(), asked), (ErrorKind::Internal, 1), "{error}");
    }
}
