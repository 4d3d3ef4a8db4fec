//! Notices as their receivers see them.

use crate::server::{Answer, Server};
use aws_lc_rs::hmac;
use axum::http::StatusCode;
use riad_core::{
    Secret,
    ports::{BudgetNotice, Webhooks as _},
};
use riad_outbound::HttpWebhooks;
use serde_json::{Value, json};
use std::{collections::HashSet, time::Duration};

const SHORT: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(20)];

fn fine() -> Answer {
    Answer::Status(StatusCode::ACCEPTED)
}

fn failing() -> Answer {
    Answer::Status(StatusCode::INTERNAL_SERVER_ERROR)
}

fn webhooks() -> HttpWebhooks {
    HttpWebhooks::with_pauses(None, SHORT)
}

fn notice(tenant: &str) -> BudgetNotice {
    BudgetNotice {
        tenant: tenant.parse().unwrap(),
        key: Some("key_1".to_owned()),
        budget: "monthly_tokens",
        limit: 1000,
        spent: 812,
        threshold: 80,
        window: 1_767_225_600,
    }
}

/// Long enough for what must not happen.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

#[tokio::test]
async fn a_notice_is_a_cloud_event() {
    let server = Server::start([fine()]).await;
    let webhooks = HttpWebhooks::new(None);
    webhooks.notify(&server.url("/budgets"), notice("acme"));
    webhooks.notify(&server.url("/budgets"), notice("acme"));
    server.wait_for(2).await;
    let mut ids = HashSet::new();
    for seen in server.seen() {
        assert_eq!(seen.path, "/budgets");
        assert_eq!(seen.headers["content-type"], "application/cloudevents+json");
        assert!(!seen.headers.contains_key("riad-signature"));
        let mut event: Value = serde_json::from_slice(&seen.body).unwrap();
        let members = event.as_object_mut().unwrap();
        assert!(ids.insert(members.remove("id").unwrap().as_str().unwrap().to_owned()));
        let time = members.remove("time").unwrap();
        let time = time.as_str().unwrap();
        assert!(
            time.len() == 24 && time.starts_with("20") && time.ends_with('Z'),
            "{time}"
        );
        assert_eq!(
            event,
            json!({
                "specversion": "1.0", "source": "riad", "type": "riad.budget.threshold", "subject": "acme",
                "datacontenttype": "application/json",
                "data": {
                    "tenant": "acme", "key": "key_1", "budget": "monthly_tokens", "limit": 1000, "spent": 812,
                    "threshold": 80, "window": 1_767_225_600,
                },
            })
        );
    }
}

#[tokio::test]
async fn the_signature_is_of_the_body_with_the_secret() {
    let server = Server::start([fine()]).await;
    let webhooks = HttpWebhooks::new(Some(Secret::new("only we two know".to_owned())));
    webhooks.notify(&server.url("/"), notice("acme"));
    server.wait_for(1).await;
    let seen = &server.seen()[0];
    let signature = seen.headers["riad-signature"].to_str().unwrap();
    let signature = hex::decode(signature.strip_prefix("sha256=").unwrap()).unwrap();
    let verify =
        |secret: &[u8], body: &[u8]| hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), body, &signature).is_ok();
    assert!(verify(b"only we two know", &seen.body));
    assert!(!verify(b"somebody else's", &seen.body));
    assert!(!verify(b"only we two know", b"{}"));
}

#[tokio::test]
async fn an_empty_secret_signs_nothing() {
    let server = Server::start([fine()]).await;
    let webhooks = HttpWebhooks::new(Some(Secret::new(String::new())));
    webhooks.notify(&server.url("/"), notice("acme"));
    server.wait_for(1).await;
    assert!(!server.seen()[0].headers.contains_key("riad-signature"));
}

#[tokio::test]
async fn a_notice_is_sent_until_it_is_taken_and_is_the_same_each_time() {
    let server = Server::start([failing(), failing(), fine()]).await;
    let webhooks = webhooks();
    webhooks.notify(&server.url("/"), notice("acme"));
    server.wait_for(3).await;
    a_while().await;
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|one| one.body == seen[0].body));
}

#[tokio::test]
async fn a_notice_is_given_up_after_three_tries_and_the_next_is_sent() {
    let server = Server::start([failing()]).await;
    let webhooks = webhooks();
    webhooks.notify(&server.url("/bad"), notice("acme"));
    server.wait_for(3).await;
    a_while().await;
    assert_eq!(server.count(), 3);
    server.answer([fine()]);
    webhooks.notify(&server.url("/good"), notice("acme"));
    server.wait_for(4).await;
    a_while().await;
    assert_eq!(server.count(), 4);
    assert_eq!(server.seen()[3].path, "/good");
}

#[tokio::test]
async fn redirects_are_not_followed_and_are_no_success() {
    let elsewhere = Server::start([fine()]).await;
    let server = Server::start([Answer::Redirect(elsewhere.url("/stolen"))]).await;
    let webhooks = HttpWebhooks::with_pauses(Some(Secret::new("s".to_owned())), SHORT);
    webhooks.notify(&server.url("/"), notice("acme"));
    server.wait_for(3).await;
    a_while().await;
    assert_eq!((server.count(), elsewhere.count()), (3, 0));
}

#[tokio::test]
async fn bad_urls_and_dead_receivers_do_not_stop_other_notices() {
    let gone = Server::start([fine()]).await;
    let gone_url = gone.url("/");
    drop(gone);
    let server = Server::start([fine()]).await;
    let webhooks = webhooks();
    for url in [
        "",
        "nonsense",
        "http://",
        "mailto:a@example.org",
        &gone_url,
        &server.url("/"),
    ] {
        webhooks.notify(url, notice("acme"));
    }
    server.wait_for(1).await;
}

#[tokio::test]
async fn a_receiver_that_hangs_does_not_hold_up_another() {
    let hanging = Server::start([Answer::Silence]).await;
    let server = Server::start([fine()]).await;
    let webhooks = webhooks();
    // More than are sent at the same time.
    for _ in 0..12 {
        webhooks.notify(&hanging.url("/"), notice("slow"));
    }
    hanging.wait_for(2).await;
    webhooks.notify(&server.url("/"), notice("quick"));
    server.wait_for(1).await;
    assert_eq!(hanging.count(), 2, "the first two still wait for their answers");
}

#[tokio::test]
async fn a_full_queue_drops_notices_and_makes_nobody_wait() {
    let server = Server::start([fine()]).await;
    let webhooks = webhooks();
    // The task cannot run before this test waits for something.
    for number in 0..100 {
        webhooks.notify(&server.url(&format!("/{number}")), notice("acme"));
    }
    webhooks.notify(&server.url("/other"), notice("other"));
    server.wait_for(65).await;
    a_while().await;
    let paths: HashSet<String> = server.seen().into_iter().map(|seen| seen.path).collect();
    let expected = (0..64).map(|number| format!("/{number}"));
    assert_eq!(paths, expected.chain(["/other".to_owned()]).collect());
}

#[tokio::test]
async fn dropping_ends_the_tries_and_forgets_what_waits() {
    let server = Server::start([failing()]).await;
    let webhooks = HttpWebhooks::with_pauses(None, [Duration::from_millis(100); 2]);
    webhooks.notify(&server.url("/"), notice("acme"));
    server.wait_for(1).await;
    drop(webhooks);
    a_while().await;
    assert_eq!(server.count(), 1);

    let webhooks = HttpWebhooks::new(None);
    for _ in 0..50 {
        webhooks.notify(&server.url("/"), notice("acme"));
    }
    drop(webhooks);
    a_while().await;
    assert_eq!(server.count(), 1);
}
