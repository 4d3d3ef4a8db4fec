//! Keys that change, in a file and at an address, and a provider that does not answer.

use crate::{
    issuer::{KeyFile, Signer, config, ed25519, good_claims, refusal, verify},
    server::{Answer, Server},
};
use axum::http::StatusCode;
use riad_core::{ErrorKind, Secret, ports::Tokens as _};
use riad_outbound::{IdentityTokens, KeyRefresh};
use serde_json::json;
use std::{sync::Arc, time::Duration};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(20);

/// Nothing is fetched again unless a test says so.
const CALM: KeyRefresh = KeyRefresh {
    max_age: LONG,
    min_interval: LONG,
    retry_after: LONG,
};

fn set(keys: &[(&Signer, &str)]) -> String {
    let keys: Vec<_> = keys.iter().map(|(signer, kid)| signer.jwk(kid)).collect();
    json!({ "keys": keys }).to_string()
}

fn open(server: &Server, times: KeyRefresh) -> IdentityTokens {
    IdentityTokens::open_with(config(server.url("/keys")), times).unwrap()
}

async fn unavailable(tokens: &IdentityTokens, token: &str) {
    let error = verify(tokens, token).await.expect_err("there are no keys");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.retry_after().is_some());
}

#[tokio::test]
async fn a_file_that_changes_is_read_again() {
    let (old, new) = (ed25519(), ed25519());
    let file = KeyFile::with(&[old.jwk("old")]);
    let tokens = IdentityTokens::open(file.config()).unwrap();
    let (with_old, with_new) = (old.token("old", &good_claims()), new.token("new", &good_claims()));
    verify(&tokens, &with_old).await.unwrap();
    assert!(refusal(&tokens, &with_new).await.contains("not signed with a key"));

    file.rewrite(&set(&[(&old, "old"), (&new, "new")]));
    verify(&tokens, &with_old).await.unwrap();
    verify(&tokens, &with_new).await.unwrap();

    file.rewrite(&set(&[(&new, "new")]));
    assert!(refusal(&tokens, &with_old).await.contains("not signed with a key"));
    verify(&tokens, &with_new).await.unwrap();

    // The same name, another key.
    file.rewrite(&set(&[(&old, "new")]));
    assert!(refusal(&tokens, &with_new).await.contains("signature is wrong"));
}

#[tokio::test]
async fn a_broken_or_missing_file_keeps_the_keys_an_empty_one_not() {
    let signer = ed25519();
    let file = KeyFile::with(&[signer.jwk("k")]);
    let tokens = IdentityTokens::open(file.config()).unwrap();
    let token = signer.token("k", &good_claims());
    file.rewrite(r#"{"keys": ["#);
    verify(&tokens, &token).await.unwrap();
    std::fs::remove_file(&file.path).unwrap();
    verify(&tokens, &token).await.unwrap();
    file.write(r#"{"keys": []}"#);
    assert!(refusal(&tokens, &token).await.contains("not signed with a key"));
    file.rewrite(&set(&[(&signer, "k")]));
    verify(&tokens, &token).await.unwrap();
}

#[tokio::test]
async fn an_address_is_asked_at_first_use_and_then_not_again() {
    let signer = ed25519();
    let server = Server::start([Answer::Json(set(&[(&signer, "k")]))]).await;
    let tokens = IdentityTokens::open(config(server.url("/keys"))).unwrap();
    let token = signer.token("k", &good_claims());
    assert!(tokens.is_token(&Secret::new(token.clone())));
    assert_eq!(server.count(), 0);
    for _ in 0..50 {
        verify(&tokens, &token).await.unwrap();
    }
    assert_eq!(server.count(), 1);
    assert_eq!(server.seen()[0].path, "/keys");
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_at_the_address() {
    let (old, new) = (ed25519(), ed25519());
    let server = Server::start([Answer::Json(set(&[(&old, "old")]))]).await;
    let tokens = open(&server, CALM);
    verify(&tokens, &old.token("old", &good_claims())).await.unwrap();
    server.answer([Answer::Json(set(&[(&old, "old"), (&new, "new")]))]);
    verify(&tokens, &new.token("new", &good_claims())).await.unwrap();
    verify(&tokens, &old.token("old", &good_claims())).await.unwrap();
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn old_keys_are_fetched_again_and_withdrawn_ones_are_rejected() {
    let (old, new) = (ed25519(), ed25519());
    let server = Server::start([Answer::Json(set(&[(&old, "k")]))]).await;
    let tokens = open(&server, KeyRefresh { max_age: SHORT, ..CALM });
    let (with_old, with_new) = (old.token("k", &good_claims()), new.token("k", &good_claims()));
    verify(&tokens, &with_old).await.unwrap();
    server.answer([Answer::Json(set(&[(&new, "k")]))]);
    tokio::time::sleep(SHORT).await;
    assert!(refusal(&tokens, &with_old).await.contains("signature is wrong"));
    verify(&tokens, &with_new).await.unwrap();
}

#[tokio::test]
async fn a_flood_of_unknown_keys_makes_one_fetch() {
    let signer = ed25519();
    let server = Server::start([Answer::Json(set(&[(&signer, "k")]))]).await;
    // The server's own times: 30 seconds are longer than this test.
    let tokens = Arc::new(IdentityTokens::open(config(server.url("/keys"))).unwrap());
    let flood = async |name: &str| {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..100 {
            let token = ed25519().token(&format!("{name}{number}"), &good_claims());
            let tokens = Arc::clone(&tokens);
            tasks.spawn(async move { refusal(&tokens, &token).await });
        }
        for words in tasks.join_all().await {
            assert!(words.contains("not signed with a key"), "{words}");
        }
    };
    // They all came before the first keys did: these are as new as it gets.
    flood("a").await;
    assert_eq!(server.count(), 1);
    flood("b").await;
    assert_eq!(server.count(), 2);
    flood("c").await;
    assert_eq!(server.count(), 2);
    verify(&tokens, &signer.token("k", &good_claims())).await.unwrap();
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn tokens_that_no_key_could_verify_ask_nobody() {
    let signer = ed25519();
    let server = Server::start([Answer::Json(set(&[(&signer, "k")]))]).await;
    let tokens = open(&server, CALM);
    for header in [
        json!({"alg": "HS256", "kid": "x"}),
        json!({"alg": "none"}),
        json!({"kid": "x"}),
    ] {
        refusal(&tokens, &signer.token_with(&header, &good_claims())).await;
    }
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn tokens_are_unavailable_while_the_provider_has_sent_no_keys() {
    let signer = ed25519();
    let server = Server::start([Answer::Status(StatusCode::BAD_GATEWAY)]).await;
    let token = signer.token("k", &good_claims());
    let tokens = open(&server, CALM);
    for _ in 0..10 {
        unavailable(&tokens, &token).await;
    }
    assert_eq!(server.count(), 1, "it is not asked by every request");

    let tokens = open(
        &server,
        KeyRefresh {
            retry_after: SHORT,
            ..CALM
        },
    );
    unavailable(&tokens, &token).await;
    server.answer([Answer::Json(set(&[(&signer, "k")]))]);
    tokio::time::sleep(SHORT).await;
    verify(&tokens, &token).await.unwrap();
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_unavailable() {
    let server = Server::start([Answer::Silence]).await;
    let address = server.url("/keys");
    drop(server);
    let tokens = IdentityTokens::open(config(address)).unwrap();
    unavailable(&tokens, &ed25519().token("k", &good_claims())).await;
}

#[tokio::test]
async fn keys_that_are_there_go_on_working_while_the_provider_is_down() {
    let signer = ed25519();
    let server = Server::start([Answer::Json(set(&[(&signer, "k")]))]).await;
    let times = KeyRefresh { max_age: SHORT, ..CALM };
    let tokens = open(&server, times);
    let token = signer.token("k", &good_claims());
    verify(&tokens, &token).await.unwrap();
    server.answer([Answer::Status(StatusCode::INTERNAL_SERVER_ERROR)]);
    tokio::time::sleep(SHORT).await;
    for _ in 0..10 {
        verify(&tokens, &token).await.unwrap();
    }
    assert_eq!(
        server.count(),
        2,
        "a fetch that failed is not repeated by every request"
    );
    let words = refusal(&tokens, &ed25519().token("unknown", &good_claims())).await;
    assert!(words.contains("not signed with a key"), "{words}");
}

#[tokio::test]
async fn answers_that_are_no_key_set_change_nothing() {
    let signer = ed25519();
    let good = Answer::Json(set(&[(&signer, "k")]));
    let elsewhere = Server::start([good.clone()]).await;
    let server = Server::start([good]).await;
    let tokens = open(
        &server,
        KeyRefresh {
            max_age: Duration::ZERO,
            min_interval: Duration::ZERO,
            retry_after: Duration::ZERO,
        },
    );
    let token = signer.token("k", &good_claims());
    verify(&tokens, &token).await.unwrap();
    let padding = " ".repeat(1024 * 1024);
    for bad in [
        Answer::Json("<html>".to_owned()),
        Answer::Json(format!("{}{padding}", set(&[(&ed25519(), "k")]))),
        Answer::Redirect(elsewhere.url("/keys")),
        Answer::Status(StatusCode::NO_CONTENT),
        Answer::Failure(set(&[(&ed25519(), "k")])),
    ] {
        let before = server.count();
        server.answer([bad]);
        verify(&tokens, &token).await.unwrap();
        assert_eq!(server.count(), before + 1);
    }
    let lost = IdentityTokens::open(config(server.url("/keys"))).unwrap();
    server.answer([Answer::Redirect(elsewhere.url("/keys"))]);
    unavailable(&lost, &token).await;
    assert_eq!(elsewhere.count(), 0, "redirects are not followed");
}

#[tokio::test]
async fn a_provider_that_hangs_holds_up_nobody_who_has_a_key() {
    let signer = ed25519();
    let server = Server::start([Answer::Json(set(&[(&signer, "k")]))]).await;
    let tokens = Arc::new(open(&server, KeyRefresh { max_age: SHORT, ..CALM }));
    let token = signer.token("k", &good_claims());
    verify(&tokens, &token).await.unwrap();
    server.answer([Answer::Silence]);
    tokio::time::sleep(SHORT).await;
    let asks = tokio::spawn({
        let (tokens, token) = (Arc::clone(&tokens), token.clone());
        async move { verify(&tokens, &token).await }
    });
    server.wait_for(2).await;
    for _ in 0..10 {
        verify(&tokens, &token).await.unwrap();
    }
    assert!(!asks.is_finished(), "the fetch is still under way");
    // It ends by its own limit.
    asks.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_end_the_fetch_of_the_others() {
    let signer = ed25519();
    let server = Server::start([Answer::Json(set(&[(&signer, "k")]))]).await;
    let tokens = open(&server, CALM);
    let token = signer.token("k", &good_claims());
    {
        let first = verify(&tokens, &token);
        tokio::pin!(first);
        // Polled until the fetch has begun, then dropped.
        tokio::select! {
            biased;
            _ = &mut first => panic!("the fetch cannot have ended"),
            () = tokio::task::yield_now() => (),
        }
    }
    server.wait_for(1).await;
    verify(&tokens, &token).await.unwrap();
    assert_eq!(server.count(), 1);
}
