//! A webhook is notified once when a threshold is passed, with a signature, and by a hard budget as well as a soft one.

use super::{assert_no_quota, short, tokens};
use aws_lc_rs::hmac;
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use parking_lot::Mutex;
use riad_core::Secret;
use riad_end_to_end::TestHost;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, time::sleep};

const SECRET: &str = "the-webhooks-secret-of-the-tests";

type ReceivedNotices = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A receiver that keeps what is sent to it; its URL comes first.
async fn receiver() -> (String, ReceivedNotices) {
    let received = ReceivedNotices::default();
    let keep = |State(received): State<ReceivedNotices>, headers: HeaderMap, body: Bytes| async move {
        received.lock().push((headers, body))
    };
    let router = Router::new()
        .route("/budget", post(keep))
        .with_state(Arc::clone(&received));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/budget", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

/// The events, when there are as many; and no more a while later.
async fn events(received: &ReceivedNotices, count: usize) -> Vec<Value> {
    let begun = Instant::now();
    while received.lock().len() < count {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", received.lock());
        sleep(Duration::from_millis(20)).await;
    }
    sleep(Duration::from_millis(300)).await;
    let received = received.lock();
    assert_eq!(received.len(), count, "{received:?}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let read = received.iter().map(|(headers, body)| {
        assert_eq!(headers["content-type"], "application/cloudevents+json");
        let signature = headers["riad-signature"]
            .to_str()
            .unwrap()
            .strip_prefix("sha256=")
            .unwrap();
        hmac::verify(&key, body, &hex::decode(signature).unwrap()).unwrap();
        let event: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(
            (&event["specversion"], &event["type"]),
            (&"1.0".into(), &"riad.budget.threshold".into())
        );
        event
    });
    read.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soft_budget_reports_each_threshold_once_and_refuses_none() {
    let (url, received) = receiver().await;
    let host = TestHost::builder()
        .max_sequences(2)
        .secrets(|secrets| secrets.webhook_secret = Some(Secret::new(SECRET.to_owned())))
        .start()
        .await;
    let sample = host.tenant("sample").await;
    sample.chat(&short()).await;
    let one = tokens(&host.entries("sample").await);

    // Four chats: a quarter each.
    let budget = json!({"total_tokens": 4 * one, "mode": "soft", "webhook": url, "thresholds": [50, 100, 300]});
    let acme = host.tenant_with("acme", json!({"budget": budget})).await;
    acme.chat(&short()).await;
    assert_eq!(events(&received, 0).await, Vec::<Value>::new());
    acme.chat(&short()).await;
    let event = events(&received, 1).await.remove(0);
    assert_eq!(event["subject"], "acme");
    let data = &event["data"];
    assert_eq!(
        (&data["tenant"], &data["budget"]),
        (&"acme".into(), &"total_tokens".into()),
        "{event}"
    );
    assert_eq!(
        (data["threshold"].as_u64(), data["limit"].as_u64()),
        (Some(50), Some(4 * one))
    );
    assert_eq!(data["spent"].as_u64(), Some(2 * one));

    // Beyond it, and many at once.
    let chat = short();
    futures::future::join_all((0..8).map(|_| acme.chat(&chat))).await;
    let both = events(&received, 2).await;
    let thresholds: Vec<_> = both
        .iter()
        .map(|event| event["data"]["threshold"].as_u64().unwrap())
        .collect();
    assert_eq!(thresholds, [50, 100]);
    let ids: BTreeSet<_> = both.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), 2);

    // The address may have a secret in it: only the operator sees it, and not in the log of changes.
    let audit = host.operator.get("/operator/v1/audit?tenant=acme").await;
    assert!(!audit.body.contains("/budget"), "{}", audit.body);
    assert!(!acme.get("/v1/audit").await.body.contains("/budget"));

    // A notice is not repeated after a restart.
    let key = acme.key.clone();
    let host = host.restart().await;
    host.caller(&key).chat(&short()).await;
    assert_eq!(events(&received, 2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keys_hard_budget_notifies_and_refuses() {
    let (url, received) = receiver().await;
    let host = TestHost::builder()
        .max_sequences(1)
        .secrets(|secrets| secrets.webhook_secret = Some(Secret::new(SECRET.to_owned())))
        .start()
        .await;
    let sample = host.tenant("sample").await;
    sample.chat(&short()).await;
    let one = tokens(&host.entries("sample").await);
    let acme = host.tenant("acme").await;
    let budget = json!({"monthly_tokens": 10 * one, "webhook": url, "thresholds": [10]});
    let made = host
        .operator
        .post(
            "/operator/v1/tenants/acme/keys",
            &json!({"name": "told", "budget": budget}),
        )
        .await
        .ok();
    let told_key = acme.with_key(made["key"].as_str().unwrap());
    acme.chat(&short()).await;
    assert_eq!(events(&received, 0).await, Vec::<Value>::new(), "another key's");
    told_key.chat(&short()).await;
    let event = events(&received, 1).await.remove(0);
    assert_eq!(
        (&event["data"]["budget"], &event["data"]["key"]),
        (&"monthly_tokens".into(), &made["id"]),
        "{event}"
    );
    let path = format!("/operator/v1/tenants/acme/keys/{}", made["id"].as_str().unwrap());
    host.operator
        .patch(&path, &json!({"budget": {"monthly_tokens": one}}))
        .await
        .ok();
    assert_no_quota(told_key.try_chat(&short()).await, &["monthly_tokens", "key"]);
}
