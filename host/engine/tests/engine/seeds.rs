//! A seed decides what is sampled, and nothing beside it does. Not here: the limits on the choice (`answers`).

use super::{
    common::{
        ask::{self, Engine},
        checkpoint::{Made, SMALL},
    },
    exclusive,
};
use futures::future::join_all;
use riad_core::chat::{Message, Sampling};
use std::collections::BTreeSet;

fn sampling(seed: Option<u64>) -> Sampling {
    Sampling {
        temperature: 1.0,
        top_p: Some(0.98),
        presence_penalty: 0.2,
        seed,
        ..Sampling::greedy(40)
    }
}

async fn text(engine: &Engine, words: &str, seed: Option<u64>) -> String {
    let answer = ask::ask(engine, &[Message::user(words)], &sampling(seed), None).await;
    answer.unwrap().text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_gives_the_same_tokens_whatever_runs_beside_it() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 3).await;
    let mut alone = Vec::new();
    for seed in 0..3 {
        alone.push(text(&engine, "Tell me a story.", Some(seed)).await);
    }
    let another = text(&engine, "Tell me another story.", Some(0)).await;
    assert_ne!(another, alone[0], "the prompt matters too");
    // The batch is full, each sequence has another seed or none, and the order is another than before.
    let busy = (0..24u64).map(|i| {
        let seed = (i % 4 != 3).then_some((i + i / 4) % 3);
        let engine = &engine;
        async move { (seed, text(engine, "Tell me a story.", seed).await) }
    });
    for (seed, text) in join_all(busy).await {
        match seed {
            Some(seed) => assert_eq!(text, alone[seed as usize], "seed {seed}"),
            None => assert!(!alone.contains(&text), "chance gave what a seed gives"),
        }
    }
    // An engine that was opened anew knows the seeds as well.
    let engine = ask::open(&made.model(), 1).await;
    assert_eq!(text(&engine, "Tell me a story.", Some(2)).await, alone[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn different_seeds_give_different_tokens() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 1).await;
    let seeds = [0, 1, 2, 3, 1 << 32, 1 << 63, u64::MAX - 1, u64::MAX];
    let mut texts = BTreeSet::new();
    for seed in seeds {
        texts.insert(text(&engine, "Tell me a story.", Some(seed)).await);
    }
    assert_eq!(texts.len(), seeds.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_seed_chance_decides_for_every_choice() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 3).await;
    let choices = join_all((0..3).map(|_| text(&engine, "Tell me a story.", None))).await;
    let different: BTreeSet<_> = choices.iter().collect();
    assert_eq!(
        different.len(),
        3,
        "choices of one request would all be alike: {choices:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_changes_nothing_where_nothing_is_left_to_chance() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 1).await;
    let messages = [Message::user("Tell me a story.")];
    let greedy = Sampling::greedy(40);
    let plain = ask::ask(&engine, &messages, &greedy, None).await.unwrap();
    for seed in [0, 7] {
        let seeded = Sampling {
            seed: Some(seed),
            ..greedy.clone()
        };
        assert_eq!(ask::ask(&engine, &messages, &seeded, None).await.unwrap(), plain);
    }
}
