//! Budgets: no burst gets past one, of a tenant or of a key, in tokens or in money.

use super::{QUESTION, assert_no_quota, short, tokens};
use futures::future::join_all;
use riad_core::price::PriceList;
use riad_end_to_end::{Caller, Chat, EMBEDDER, TestHost};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What one chat uses, and the most that it holds.
async fn measure(host: &TestHost, chat: &Chat) -> (u64, u64) {
    let sample = host.tenant("sample").await;
    sample.chat(chat).await;
    let entries = host.entries("sample").await;
    let prompt = entries[0]["prompt_tokens"].as_u64().unwrap();
    let most = chat.body(false)["max_tokens"].as_u64().unwrap();
    // A search's text is held by its bytes, before it is known how many tokens it has.
    (tokens(&entries), prompt + most + QUESTION.len() as u64 + 2)
}

/// Sends as many at once; how many were answered. The others were refused for want of budget.
async fn burst(caller: &Caller, chat: &Chat, count: usize, words: &[&str]) -> usize {
    let answers = join_all((0..count).map(|_| caller.try_chat(chat))).await;
    let mut served = 0;
    for answer in answers {
        if answer.status.is_success() {
            served += 1;
        } else {
            assert_no_quota(answer, words);
        }
    }
    served
}

/// Waits until nothing is held any more.
async fn quiet(host: &TestHost) {
    let begun = Instant::now();
    loop {
        let metrics = host.operator.get("/metrics").await;
        if metrics.body.lines().any(|line| line == "riad_held_tokens 0") {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", metrics.body);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_chats_spends_no_token_beyond_the_tenants_budget() {
    let host = TestHost::builder().max_sequences(2).start().await;
    let chat = short();
    let (uses, most) = measure(&host, &chat).await;
    let budget = 4 * most;
    let acme = host
        .tenant_with("acme", json!({"budget": {"total_tokens": budget}}))
        .await;
    let mut served = burst(&acme, &chat, 40, &["total_tokens", "tenant"]).await;
    assert!(served > 0, "a budget for four served nobody");
    quiet(&host).await;
    let billed = tokens(&host.entries("acme").await);
    assert!(billed <= budget, "{billed} of {budget}");

    // What was not used is given back: one after another they fit until the rest is too small for one.
    while acme.try_chat(&chat).await.status.is_success() {
        served += 1;
    }
    let entries = host.entries("acme").await;
    let billed = tokens(&entries);
    assert!(
        billed <= budget && billed + most > budget,
        "{billed} of {budget}, a chat holds {most} and uses {uses}"
    );
    let completed = entries.iter().filter(|entry| entry["outcome"] == "completed").count();
    assert_eq!(completed, served);

    // Nothing gets around it: streams, choices, embeddings, documents, searches.
    let request = acme
        .request(reqwest::Method::POST, "/v1/chat/completions")
        .json(&chat.body(true));
    assert_no_quota(acme.send(request).await, &[]);
    let text = "word ".repeat(most as usize);
    assert_no_quota(
        acme.post("/v1/embeddings", &json!({"model": EMBEDDER, "input": text}))
            .await,
        &["total_tokens"],
    );
    assert_no_quota(
        acme.post("/v1/documents", &json!({"title": "Long", "text": text}))
            .await,
        &["total_tokens"],
    );
    assert_eq!(
        acme.get("/v1/documents").await.ok()["data"],
        json!([]),
        "nothing was stored"
    );
    assert_no_quota(
        acme.post("/v1/search", &json!({"query": text})).await,
        &["total_tokens"],
    );

    // A neighbor is not touched, nor is the budget by a restart; more of it is more.
    host.tenant("globex").await.chat(&chat).await;
    let key = acme.key.clone();
    let host = host.restart().await;
    let acme = host.caller(&key);
    assert_no_quota(acme.try_chat(&chat).await, &["total_tokens"]);
    host.change("acme", json!({"budget": {"total_tokens": budget + most}}))
        .await;
    acme.chat(&chat).await;
    assert!(tokens(&host.entries("acme").await) <= budget + most);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_spends_its_own_budget_within_the_tenants() {
    let host = TestHost::builder().max_sequences(2).start().await;
    let chat = short();
    let (_, most) = measure(&host, &chat).await;
    let acme = host.tenant("acme").await;
    let made = acme
        .post(
            "/v1/keys",
            &json!({"name": "small", "budget": {"daily_tokens": 2 * most}}),
        )
        .await
        .ok();
    assert_eq!(made["budget"]["daily_tokens"], 2 * most);
    let (small, id) = (
        acme.with_key(made["key"].as_str().unwrap()),
        made["id"].as_str().unwrap(),
    );
    assert!(burst(&small, &chat, 20, &["daily_tokens", "key"]).await > 0);
    quiet(&host).await;
    while small.try_chat(&chat).await.status.is_success() {}
    let entries = host.entries("acme").await;
    let own: Vec<Value> = entries
        .iter()
        .filter(|entry| entry["api_key_id"] == id)
        .cloned()
        .collect();
    assert!(tokens(&own) <= 2 * most && tokens(&own) + most > 2 * most);
    let refused = assert_no_quota(small.try_chat(&chat).await, &["daily_tokens", "00:00 UTC"]);
    let wait = refused.header("retry-after").parse::<u64>().unwrap();
    assert!((1..=86_400).contains(&wait), "until the next day: {wait}");
    // The tenant's other key goes on, and so does this one with more.
    acme.chat(&chat).await;
    acme.patch(
        &format!("/v1/keys/{id}"),
        &json!({"budget": {"daily_tokens": 100 * most}}),
    )
    .await
    .ok();
    small.chat(&chat).await;

    // The tenant's budget holds for all of its keys together.
    let spent = tokens(&host.entries("acme").await);
    host.change("acme", json!({"budget": {"total_tokens": spent + 1}}))
        .await;
    assert_no_quota(small.try_chat(&chat).await, &["total_tokens", "tenant"]);
    assert_no_quota(acme.try_chat(&chat).await, &["total_tokens", "tenant"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_in_money_holds_with_the_prices_of_the_plan() {
    let host = TestHost::builder().max_sequences(2).start().await;
    let prices = PriceList {
        requests: 2_000_000,
        prompt_tokens: 1_000_000,
        completion_tokens: 3_000_000,
        ..PriceList::default()
    };
    host.operator
        .put("/operator/v1/plans/paid", &serde_json::to_value(prices).unwrap())
        .await
        .ok();
    let chat = short();
    let (_, most) = measure(&host, &chat).await;
    // A prompt token is a micro-unit, a completion token three, a request two.
    let budget = 3 * (most + 2 * 8 + 2);
    let acme = host
        .tenant_with("acme", json!({"plan": "paid", "budget": {"total_micros": budget}}))
        .await;
    assert!(burst(&acme, &chat, 20, &["total_micros", "micro-units"]).await > 0);
    while acme.try_chat(&chat).await.status.is_success() {}
    let entries = host.entries("acme").await;
    let nanos: u64 = entries.iter().map(|entry| entry["cost_nanos"].as_u64().unwrap()).sum();
    assert!(nanos <= budget * 1000 && nanos > 0, "{nanos} of {budget} micro-units");
    // A plan that is free leaves the rest as it is.
    host.change("acme", json!({"plan": "standard"})).await;
    acme.chat(&chat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_that_never_resets_promises_no_retry_time() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant_with("acme", json!({"budget": {"total_tokens": 1}})).await;
    let refused = assert_no_quota(acme.try_chat(&short()).await, &["total_tokens"]);
    assert_eq!(refused.header("retry-after"), "", "it would be tried forever");
}
