//! Who finds a prompt's beginning again: the account that had it, with the same adapter, unless it does not want to or was forgotten.
//! Not here: that an answer out of the cache is the same (`batch_equals_alone`).

use super::{
    common::{
        ask::{self, Engine},
        checkpoint::{Made, SMALL},
    },
    exclusive,
};
use riad_core::{
    Account,
    adapter::AdapterSource,
    chat::{Message, Sampling},
    ports::{EnginePermit, Generation},
};

/// Tokens of the same prompt that the engine had.
async fn cached(engine: &Engine, account: u64, adapter: Option<&AdapterSource>, prefix_cache: bool) -> u32 {
    let messages = [Message::user("word ".repeat(200))];
    let generation = Generation {
        account: Account::new(account),
        prefix_cache,
        ..ask::generation(engine, &messages, &Sampling::greedy(2), adapter)
    };
    let stream = engine.generate(generation, EnginePermit::new(|| {})).await.unwrap();
    let usage = ask::read(stream).await.unwrap().end.usage;
    assert!(usage.cached_tokens < usage.prompt_tokens, "{usage:?}");
    usage.cached_tokens
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_same_account_and_adapter_find_a_prompt_again() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let adapters = [1, 2].map(|seed| made.adapter(&format!("adapter-{seed}"), &made.matrices(), seed));
    let engine = ask::open(&made.model(), 2).await;
    let whose = [(1, None), (2, None), (1, Some(&adapters[0])), (1, Some(&adapters[1]))];
    for (account, adapter) in whose {
        assert_eq!(cached(&engine, account, adapter, true).await, 0, "{account}");
    }
    for (account, adapter) in whose {
        assert!(cached(&engine, account, adapter, true).await > 0, "{account}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_the_cache_neither_reads_nor_fills_it() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 2).await;
    assert_eq!(cached(&engine, 1, None, false).await, 0);
    assert_eq!(cached(&engine, 1, None, true).await, 0, "nothing was kept");
    assert_eq!(cached(&engine, 1, None, false).await, 0, "what is kept is not read");
    assert!(cached(&engine, 1, None, true).await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forgotten_is_forgotten_for_its_account_only() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let adapter = made.adapter("adapter", &made.matrices(), 1);
    let engine = ask::open(&made.model(), 2).await;
    for account in [1, 2] {
        cached(&engine, account, None, true).await;
        cached(&engine, account, Some(&adapter), true).await;
    }
    engine.forget_account(Account::new(1));
    assert_eq!(cached(&engine, 1, None, true).await, 0);
    assert_eq!(cached(&engine, 1, Some(&adapter), true).await, 0);
    assert!(cached(&engine, 2, None, true).await > 0);
    assert!(cached(&engine, 2, Some(&adapter), true).await > 0);
    assert!(cached(&engine, 1, None, true).await > 0, "kept again");
}
