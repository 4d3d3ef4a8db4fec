//! Each kind of request is billed for what it used.

use super::{PRICES, QUESTION, assert_closes, number, of_kind, priced, public_key, signed, used};
use riad_core::price::Usage;
use riad_end_to_end::{Chat, EMBEDDER, MODEL, Stream, TestHost, files};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The one entry that a request made, checked against its receipt and the prices.
async fn the_entry(host: &TestHost, before: usize) -> Value {
    let entries = host.entries("acme").await;
    assert_eq!(entries.len(), before + 1, "{entries:#?}");
    let entry = entries.last().unwrap();
    signed(entry, &public_key(host).await);
    assert_eq!(number(entry, "cost_nanos"), PRICES.nanos(&used(entry)), "{entry}");
    entry.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_searches_and_embeddings_bill_embedded_tokens() {
    let host = priced().await;
    let acme = host.tenant("acme").await;

    let text = "The lighthouse keeper counts zebrafish at dawn. ".repeat(60);
    acme.add_document("Counting", &text).await;
    let entry = the_entry(&host, 0).await;
    assert_eq!(
        (&entry["kind"], &entry["model"]),
        (&"document".into(), &EMBEDDER.into())
    );
    let document = used(&entry);
    assert!(document.embedded_tokens > 500, "{document:?}");
    let only_embedded = |used: Usage| Usage {
        requests: 1,
        embedded_tokens: used.embedded_tokens,
        ..Usage::default()
    };
    // Its chunks are cut by a guest.
    assert!(document.fuel > 0, "{document:?}");
    let fuel = document.fuel;
    assert_eq!(
        document,
        Usage {
            fuel,
            ..only_embedded(document)
        }
    );

    acme.search(&json!({"query": "who counts zebrafish?"})).await;
    let entry = the_entry(&host, 1).await;
    assert_eq!(
        (&entry["kind"], &entry["outcome"]),
        (&"search".into(), &"completed".into())
    );
    let search = used(&entry);
    assert!((1..20).contains(&search.embedded_tokens), "{search:?}");
    assert_eq!(search, only_embedded(search));

    let input = json!({"model": EMBEDDER, "input": ["who counts zebrafish?", "who counts zebrafish?"]});
    let answer = acme.post("/v1/embeddings", &input).await.ok();
    let entry = the_entry(&host, 2).await;
    assert_eq!((&entry["kind"], number(&entry, "requests")), (&"embedding".into(), 1));
    assert_eq!(entry["embedded_tokens"], answer["usage"]["prompt_tokens"]);
    assert_eq!(
        number(&entry, "embedded_tokens"),
        2 * search.embedded_tokens,
        "the same text twice"
    );

    // What was refused before anything was spent costs nothing and leaves no entry.
    let refused = json!({"model": EMBEDDER, "input": []});
    assert_eq!(acme.post("/v1/embeddings", &refused).await.status, 400);
    assert_eq!(acme.post("/v1/search", &json!({"query": " "})).await.status, 400);
    assert_eq!(
        acme.post("/v1/documents", &json!({"title": "", "text": "x"}))
            .await
            .status,
        400
    );
    assert_eq!(acme.try_chat(&Chat::new(QUESTION).with("n", 0)).await.status, 400);
    assert_eq!(host.entries("acme").await.len(), 3);
    assert_closes(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_chat_costs_the_same_and_bills_every_choice() {
    let host = priced().await;
    let (acme, _globex) = host.neighbors().await;
    let chat = Chat::new(QUESTION);
    let before = host.entries("acme").await.len();
    acme.chat(&chat).await;
    let whole = used(&the_entry(&host, before).await);

    let events = acme.stream(&chat).await.rest().await;
    let streamed = the_entry(&host, before + 1).await;
    // The prompt is in the prefix cache by now, and nothing else differs.
    let cached = used(&streamed).cached_tokens;
    assert!(whole.cached_tokens == 0 && cached > 0, "{cached}");
    assert_eq!(
        used(&streamed),
        Usage {
            cached_tokens: cached,
            ..whole
        }
    );
    assert_eq!(streamed["receipt"], Stream::riad(&events)["receipt"]["jws"]);

    acme.stream(&chat.clone().with("n", 3)).await.rest().await;
    let three = used(&the_entry(&host, before + 2).await);
    assert_eq!(three.prompt_tokens, 3 * whole.prompt_tokens);
    assert_eq!(three.completion_tokens, 3 * whole.completion_tokens);
    assert_eq!((three.requests, three.embedded_tokens), (1, whole.embedded_tokens));

    let made = acme.put_adapter("legal", &files::Adapter::acme()).await;
    assert!(made.status.is_success(), "{}", made.body);
    let answer = acme.chat(&chat.adapter("legal")).await;
    let entry = the_entry(&host, before + 3).await;
    assert_eq!((&entry["model"], &entry["adapter"]), (&MODEL.into(), &"legal".into()));
    let payload = signed(&entry, &public_key(&host).await);
    assert_eq!(payload.model, format!("{MODEL}:legal"));
    let generation = payload.served_by.adapter_generation.unwrap().to_string();
    assert_eq!(generation, answer["riad"]["receipt"]["adapter_generation"]);
    assert!(payload.served_by.adapter_tensors > 0);
    assert_closes(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_and_resident_is_billed_by_the_byte_hour() {
    let host = TestHost::builder()
        .max_sequences(1)
        .config(|config| config.metering.accrual_ms = 50)
        .start()
        .await;
    super::put_plan(&host, "standard", &PRICES).await;
    let acme = host.tenant("acme").await;
    acme.add_document("Counting", &"The keeper counts. ".repeat(5000)).await;
    acme.put_adapter("legal", &files::Adapter::acme()).await;
    acme.chat(&Chat::new(QUESTION).adapter("legal")).await;

    let begun = Instant::now();
    let entries = loop {
        let entries = host.entries("acme").await;
        if !of_kind(&entries, "storage").is_empty() && !of_kind(&entries, "residency").is_empty() {
            break entries;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{entries:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let key = public_key(&host).await;
    for (kind, name) in [("storage", "stored_byte_hours"), ("residency", "adapter_byte_hours")] {
        for entry in of_kind(&entries, kind) {
            assert!(number(entry, name) > 0, "{entry}");
            assert_eq!((&entry["api_key_id"], number(entry, "requests")), (&Value::Null, 0));
            assert_eq!(number(entry, "cost_nanos"), PRICES.nanos(&used(entry)));
            assert!(number(entry, "cost_nanos") > 0);
            signed(entry, &key);
        }
    }
    assert_closes(&host).await;
}
