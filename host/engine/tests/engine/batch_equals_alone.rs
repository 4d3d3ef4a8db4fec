//! What a request gets does not depend on what else is in the batch: sequences of many lengths, of the base and of sixteen adapters,
//! get in one batch, in small steps, out of a cache that is too small and out of the prefix cache what each gets alone. Not here:
//! whether an answer is right (`reference`, `families`).

use crate::common::{
    ask::{self, Answer, Engine},
    checkpoint::{Made, SMALL},
};
use futures::future::join_all;
use riad_core::{
    adapter::AdapterSource,
    chat::{Message, Sampling},
};
use riad_engine::EngineConfig;
use std::sync::Arc;

const ADAPTERS: u64 = 16;
const REQUESTS: usize = 64;

/// Requests of 1 to 330 words over the base and all adapters.
struct Requests {
    made: Made,
    adapters: Vec<AdapterSource>,
}

impl Requests {
    fn new() -> Self {
        let made = Made::new("llama", SMALL, 3);
        let adapters = (0..ADAPTERS)
            .map(|n| made.adapter(&format!("adapter-{n}"), &made.matrices(), n))
            .collect();
        Self { made, adapters }
    }

    fn config(&self) -> EngineConfig {
        ask::config(&self.made.model(), 16)
    }

    fn adapter(&self, request: usize) -> Option<&AdapterSource> {
        (!request.is_multiple_of(5)).then(|| &self.adapters[request % self.adapters.len()])
    }

    async fn ask(&self, engine: &Engine, request: usize) -> Answer {
        let words = [1, 3, 30, 31, 70, 150, 330][request % 7];
        let text = format!("{request} {}", "word ".repeat(words));
        let sampling = Sampling::greedy(8 + request as u32 % 13);
        ask::ask(engine, &[Message::user(text)], &sampling, self.adapter(request))
            .await
            .unwrap()
    }

    /// One after another, without a prefix cache.
    async fn alone(&self) -> Vec<Answer> {
        let mut config = self.config();
        config.prefix_cache = false;
        let engine = riad_engine::open(config).await.unwrap();
        let mut answers = Vec::new();
        for request in 0..REQUESTS {
            answers.push(self.ask(&engine, request).await);
        }
        answers
    }

    async fn together(&self, config: EngineConfig) -> Vec<Answer> {
        let engine = riad_engine::open(config).await.unwrap();
        join_all((0..REQUESTS).map(|request| self.ask(&engine, request))).await
    }
}

fn assert_same(got: &[Answer], alone: &[Answer]) {
    for (request, (got, alone)) in got.iter().zip(alone).enumerate() {
        assert_eq!(got, alone, "request {request}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mixed_lengths_and_adapters_answer_as_alone() {
    let requests = Requests::new();
    let alone = requests.alone().await;
    let different: std::collections::BTreeSet<_> = alone.iter().map(|answer| &answer.text).collect();
    assert!(
        different.len() > REQUESTS / 2,
        "the requests differ too little to show anything"
    );

    assert_same(&requests.together(requests.config()).await, &alone);
    // Steps of a few rows cut every prompt into chunks.
    let mut chunked = requests.config();
    chunked.rows_per_step = 17;
    assert_same(&requests.together(chunked).await, &alone);
    // A cache for about two of the longest: sequences are preempted and computed again.
    let mut tight = requests.config();
    tight.kv_cache_tokens = 1024;
    tight.rows_per_step = 33;
    assert_same(&requests.together(tight).await, &alone);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_out_of_the_prefix_cache_is_the_same() {
    let requests = Requests::new();
    let alone = requests.alone().await;
    let engine = riad_engine::open(requests.config()).await.unwrap();
    let mut cached = Vec::new();
    for _ in 0..2 {
        let answers = join_all((0..REQUESTS).map(|request| requests.ask(&engine, request))).await;
        assert_same(&answers, &alone);
        cached.push(answers.iter().map(|answer| answer.end.usage.cached_tokens).sum::<u32>());
    }
    assert!(cached[1] > cached[0], "{cached:?} tokens came from the cache");
}

#[tokio::test(flavor = "multi_thread")]
async fn adapters_replaced_under_load_change_nothing_for_others() {
    let requests = Arc::new(Requests::new());
    let alone = requests.alone().await;
    // No adapter stays in memory when no request uses it.
    let mut config = requests.config();
    config.resident_adapter_bytes = 1;
    let engine = riad_engine::open(config).await.unwrap();
    let replacing = tokio::spawn({
        let (engine, requests) = (engine.clone(), requests.clone());
        async move {
            for generation in 0..40 {
                let made = &requests.made;
                let adapter = made.adapter("replaced", &made.matrices(), 100 + generation);
                let messages = [Message::user("word ".repeat(70))];
                let answer = ask::ask(&engine, &messages, &Sampling::greedy(3), Some(&adapter)).await;
                let usage = answer.unwrap().end.usage;
                assert_eq!(
                    usage.cached_tokens, 0,
                    "a new generation finds nothing of the one before"
                );
            }
        }
    });
    for _ in 0..2 {
        let answers = join_all((0..REQUESTS).map(|request| requests.ask(&engine, request))).await;
        assert_same(&answers, &alone);
    }
    replacing.await.unwrap();
    assert!(engine.adapter_counts().evictions >= 39);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_leave_change_nothing_for_the_others() {
    let requests = Arc::new(Requests::new());
    let alone = requests.alone().await;
    let engine = riad_engine::open(requests.config()).await.unwrap();
    let leaving = tokio::spawn({
        let (engine, requests) = (engine.clone(), requests.clone());
        async move {
            for request in (0..REQUESTS).cycle().take(200) {
                let asked = requests.ask(&engine, request);
                let patience = std::time::Duration::from_millis(request as u64 % 7);
                let _ = tokio::time::timeout(patience, asked).await;
            }
        }
    });
    let answers = join_all((0..REQUESTS).map(|request| requests.ask(&engine, request))).await;
    leaving.await.unwrap();
    assert_same(&answers, &alone);
}
