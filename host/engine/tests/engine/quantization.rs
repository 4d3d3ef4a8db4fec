//! Eight-bit weights and products of bf16 against the same model in f32, in the probabilities of the likeliest tokens. Not here: memory
//! (unit tests).

use super::{
    common::{
        ask::{self, Engine},
        shipped,
    },
    exclusive,
};
use futures::future::join_all;
use riad_core::{
    adapter::AdapterSource,
    chat::{Message, Sampling},
};
use riad_engine::{Dtype, Quantization};

async fn eight_bits() -> Engine {
    let mut config = ask::config(&shipped::base(), 8);
    config.quantization = Quantization::Q8_0;
    riad_engine::open(config).await.unwrap()
}

async fn bf16() -> Engine {
    let mut config = ask::config(&shipped::base(), 8);
    config.dtype = Dtype::Bf16;
    riad_engine::open(config).await.unwrap()
}

/// The logprobs of the 50 likeliest first tokens, by text.
async fn first_token(engine: &Engine, messages: &[Message], adapter: Option<&AdapterSource>) -> Vec<(String, f32)> {
    let sampling = Sampling {
        logprobs: Some(50),
        ..Sampling::greedy(2)
    };
    let answer = ask::ask(engine, messages, &sampling, adapter).await.unwrap();
    let top = &answer.logprobs[0].top;
    top.iter().map(|token| (token.text.clone(), token.logprob)).collect()
}

/// Whether the engine says nearly what the model says in f32: no probability is off by more than `tolerance`.
async fn check_nearly_exact(rounded: &Engine, tolerance: f32) {
    let exact = ask::open(&shipped::base(), 8).await;
    let adapters = [
        None,
        Some(ask::source(&shipped::acme())),
        Some(ask::source(&shipped::globex())),
    ];
    let (mut prompts, mut alike, mut greatest) = (0, 0, 0.0_f32);
    for adapter in &adapters {
        for messages in shipped::conversations() {
            let expected = first_token(&exact, &messages, adapter.as_ref()).await;
            let got = first_token(rounded, &messages, adapter.as_ref()).await;
            prompts += 1;
            alike += usize::from(got[0].0 == expected[0].0);
            for (text, logprob) in &expected {
                // One that is not among the likeliest any more is as good as impossible.
                let found = got.iter().find(|(other, _)| other == text);
                let probability = found.map_or(0.0, |(_, logprob)| logprob.exp());
                greatest = greatest.max((probability - logprob.exp()).abs());
            }
        }
    }
    let measured = format!("likeliest alike {alike} of {prompts}, probabilities off by at most {greatest}");
    assert!(greatest > 0.0, "nothing was rounded");
    assert!(greatest < tolerance, "{measured}");
    assert_eq!(alike, prompts, "{measured}");
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_bits_change_what_a_model_says_by_little() {
    let _exclusive = exclusive().await;
    // Measured: 0.004.
    check_nearly_exact(&eight_bits().await, 0.02).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn products_of_bf16_change_what_a_model_says_by_little() {
    let _exclusive = exclusive().await;
    check_nearly_exact(&bf16().await, 0.02).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adapters_on_eight_bits_in_a_batch_answer_as_alone() {
    let _exclusive = exclusive().await;
    check_batch_equals_alone(&eight_bits().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adapters_on_bf16_in_a_batch_answer_as_alone() {
    let _exclusive = exclusive().await;
    check_batch_equals_alone(&bf16().await).await;
}

async fn check_batch_equals_alone(engine: &Engine) {
    let adapters = [
        None,
        Some(ask::source(&shipped::acme())),
        Some(ask::source(&shipped::globex())),
    ];
    let asked = |number: usize| {
        let adapter = adapters[number % 3].as_ref();
        let messages = &shipped::conversations()[number % 7];
        let messages = messages.clone();
        async move {
            ask::ask(engine, &messages, &Sampling::greedy(24), adapter)
                .await
                .unwrap()
        }
    };
    let mut alone = Vec::new();
    for number in 0..12 {
        alone.push(asked(number).await);
    }
    assert_eq!(join_all((0..12).map(asked)).await, alone);
    assert!(alone[1].end.adapter_tensors > 0);
}
