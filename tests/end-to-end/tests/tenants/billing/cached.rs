//! Tokens that the prefix cache had: who gets them, what they cost, and who never gets them.

use super::{PRICES, assert_closes, number, priced, put_plan, used};
use riad_core::price::{PriceList, Usage};
use riad_end_to_end::{Chat, Tenant, files};
use serde_json::{Value, json};

/// Long enough to fill blocks of the cache.
fn question() -> Chat {
    let words: Vec<String> = (0..60).map(|number| format!("word{number}")).collect();
    Chat::new(&words.join(" ")).with("max_tokens", 4)
}

fn cached_of(answer: &Value) -> u64 {
    number(&answer["usage"]["prompt_tokens_details"], "cached_tokens")
}

async fn cached(tenant: &Tenant, chat: &Chat) -> u64 {
    cached_of(&tenant.chat(chat).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_is_reused_by_its_tenant_and_by_no_other() {
    let host = priced().await;
    let (acme, globex) = (host.tenant("acme").await, host.tenant("globex").await);
    let first = acme.chat(&question()).await;
    assert_eq!(cached_of(&first), 0);
    assert_eq!(cached(&globex, &question()).await, 0, "another tenant, the same prompt");

    let again = acme.chat(&question()).await;
    let hit = cached_of(&again);
    assert!(hit > 0 && hit < number(&again["usage"], "prompt_tokens"), "{again}");
    assert_eq!(again["choices"], first["choices"]);
    assert_eq!(again["usage"]["prompt_tokens"], first["usage"]["prompt_tokens"]);
    assert_eq!(number(&again["riad"]["receipt"], "cached_tokens"), hit);
    assert_eq!(cached(&globex, &question()).await, hit, "its own by now");

    // With an adapter the same tokens have other keys and values.
    acme.put_adapter("legal", &files::Adapter::acme()).await;
    let adapted = question().adapter("legal");
    assert_eq!(cached(&acme, &adapted).await, 0);
    assert_eq!(cached(&acme, &adapted).await, hit);

    // Streamed, and for each of two choices, of which the usage tells the first.
    let streamed = question()
        .with("stream_options", json!({"include_usage": true}))
        .with("n", 2);
    let events = acme.stream(&streamed).await.rest().await;
    let usage = events
        .iter()
        .find(|event| event["usage"].is_object())
        .expect("a chunk with the usage");
    assert_eq!(cached_of(usage), hit);
    assert_eq!(number(&usage["riad"]["receipt"], "cached_tokens"), 2 * hit);
    assert_closes(&host).await;
    // Also when the run ends, and the engine's count is compared with the entries.
    let host = host.restart().await;
    assert_closes(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cached_tokens_have_their_price_or_that_of_the_prompt() {
    let host = priced().await;
    let same = PriceList {
        cached_tokens: None,
        ..PRICES
    };
    put_plan(&host, "same", &same).await;
    for (tenant, plan, prices) in [("acme", "standard", PRICES), ("globex", "same", same)] {
        let caller = host.tenant_with(tenant, json!({"plan": plan})).await;
        for _ in 0..2 {
            caller.chat(&question()).await;
        }
        let entries = host.entries(tenant).await;
        let [first, second] = &entries[..] else {
            panic!("{entries:?}");
        };
        let hit = used(second);
        assert!(used(first).cached_tokens == 0 && hit.cached_tokens > 0);
        assert_eq!(number(second, "cost_nanos"), prices.nanos(&hit));
        let uncached = Usage {
            cached_tokens: 0,
            ..hit
        };
        let saved = prices.nanos(&uncached) - prices.nanos(&hit);
        assert_eq!(saved > 0, prices.cached_tokens.is_some(), "{saved} nano-units");
    }
    let dear = json!({"prompt_tokens": 10, "cached_tokens": 11});
    let refused = host.operator.put("/operator/v1/plans/dear", &dear).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.body.contains("cached_tokens"), "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_policy_switches_the_prefix_cache_off() {
    let host = priced().await;
    let acme = host.tenant_with("acme", json!({"prefix_cache": false})).await;
    for _ in 0..2 {
        assert_eq!(cached(&acme, &question()).await, 0, "off");
    }
    assert_eq!(
        host.change("acme", json!({"prefix_cache": true})).await["prefix_cache"],
        true
    );
    assert_eq!(cached(&acme, &question()).await, 0, "nothing was kept while it was off");
    let hit = cached(&acme, &question()).await;
    assert!(hit > 0);
    // Another tenant keeps what it has when the first one's is dropped.
    let globex = host.tenant("globex").await;
    cached(&globex, &question()).await;
    for on in [false, true] {
        host.change("acme", json!({"prefix_cache": on})).await;
    }
    assert_eq!(cached(&acme, &question()).await, 0, "dropped when it was switched off");
    assert_eq!(cached(&acme, &question()).await, hit);
    assert_eq!(cached(&globex, &question()).await, hit);
    let refused = host
        .operator
        .patch("/operator/v1/tenants/acme", &json!({"prefix_cache": "off"}))
        .await;
    assert_eq!(refused.status, 400, "{}", refused.body);
}
