//! A real model, SmolLM2-135M-Instruct in f32: its greedy answers, alone and in a batch of mixed adapters, are those of transformers and
//! peft (`smollm2/reference.json` has their versions). The model is not in the repository: `RIAD_SMOLLM2` names its folder in Hugging
//! Face's layout, which `cargo xtask model smollm2` makes. Without it the suite says that it was skipped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests fail by panicking and say what they skip"
)]

mod common;

use common::ask::{self, Answer, Engine};
use futures::future::join_all;
use riad_core::{
    adapter::AdapterSource,
    chat::{FinishReason, Message, Role, Sampling},
};
use riad_engine::Quantization;
use serde_json::Value;
use std::path::{Path, PathBuf};

const MAX_TOKENS: u32 = 48;

struct Case {
    messages: Vec<Message>,
    prompt_tokens: u32,
    adapter: Option<AdapterSource>,
    expected: Value,
}

impl Case {
    async fn ask(&self, engine: &Engine) -> Answer {
        let sampling = Sampling::greedy(MAX_TOKENS);
        ask::ask(engine, &self.messages, &sampling, self.adapter.as_ref())
            .await
            .unwrap()
    }

    fn check(&self, answer: &Answer) {
        let asked = format!(
            "{:?} with {:?}",
            self.messages,
            self.adapter.as_ref().map(|adapter| &adapter.folder)
        );
        assert_eq!(answer.text, self.expected["text"].as_str().unwrap(), "{asked}");
        assert_eq!(
            u64::from(answer.tokens()),
            self.expected["tokens"].as_u64().unwrap(),
            "{asked}"
        );
        assert_eq!(answer.end.usage.prompt_tokens, self.prompt_tokens, "{asked}");
        let finish = match self.expected["finished"].as_bool().unwrap() {
            true => FinishReason::Stop,
            false => FinishReason::Length,
        };
        assert_eq!(answer.finish(), finish, "{asked}");
    }
}

fn message(value: &Value) -> Message {
    let role = match value["role"].as_str().unwrap() {
        "system" => Role::System,
        "assistant" => Role::Assistant,
        _ => Role::User,
    };
    Message {
        role,
        content: value["content"].as_str().unwrap().to_owned(),
    }
}

fn cases() -> Vec<Case> {
    let adapters = Path::new(env!("RIAD_SOURCE")).join("host/engine/tests/smollm2");
    let reference: Value = serde_json::from_str(include_str!("smollm2/reference.json")).unwrap();
    let mut cases = Vec::new();
    for prompt in reference["prompts"].as_array().unwrap() {
        for (name, expected) in prompt["answers"].as_object().unwrap() {
            let adapter = match name.as_str() {
                "base" => None,
                _ => Some(ask::source(&adapters.join(format!("adapter-{name}")))),
            };
            cases.push(Case {
                messages: prompt["messages"].as_array().unwrap().iter().map(message).collect(),
                prompt_tokens: u32::try_from(prompt["prompt_tokens"].as_u64().unwrap()).unwrap(),
                adapter,
                expected: expected.clone(),
            });
        }
    }
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_alone_and_in_a_batch_are_those_of_transformers() {
    let Some(model) = std::env::var_os("RIAD_SMOLLM2").map(PathBuf::from) else {
        eprintln!("skipped: RIAD_SMOLLM2 names no folder");
        return;
    };
    let engine = ask::open(&model, 32).await;
    let cases = cases();
    for case in &cases {
        case.check(&case.ask(&engine).await);
    }
    // In one batch, whose prompts are read again.
    let mut config = ask::config(&model, 32);
    config.prefix_cache = false;
    let engine = riad_engine::open(config).await.unwrap();
    for (case, answer) in cases
        .iter()
        .zip(join_all(cases.iter().map(|case| case.ask(&engine))).await)
    {
        case.check(&answer);
    }
}

/// How far eight bits may be from f32: what was measured, with some room.
#[tokio::test(flavor = "multi_thread")]
async fn eight_bits_say_nearly_what_f32_says() {
    let Some(model) = std::env::var_os("RIAD_SMOLLM2").map(PathBuf::from) else {
        eprintln!("skipped: RIAD_SMOLLM2 names no folder");
        return;
    };
    let exact = ask::open(&model, 32).await;
    let mut config = ask::config(&model, 32);
    config.quantization = Quantization::Q8_0;
    let quantized = riad_engine::open(config).await.unwrap();
    let sampling = Sampling {
        logprobs: Some(50),
        ..Sampling::greedy(2)
    };
    let (mut greatest, mut alike, mut all) = (0.0_f32, 0, 0);
    for case in cases() {
        let first = async |engine: &Engine| {
            let answer = ask::ask(engine, &case.messages, &sampling, case.adapter.as_ref());
            answer.await.unwrap().logprobs.swap_remove(0).top
        };
        let (expected, got) = (first(&exact).await, first(&quantized).await);
        all += 1;
        alike += usize::from(expected[0].text == got[0].text);
        for token in &expected {
            let found = got.iter().find(|other| other.text == token.text);
            let probability = found.map_or(0.0, |found| found.logprob.exp());
            greatest = greatest.max((probability - token.logprob.exp()).abs());
        }
    }
    eprintln!("likeliest token the same for {alike} of {all} prompts, probabilities off by at most {greatest}");
    assert!(greatest > 0.0, "nothing was quantized");
    // Measured: 0.021, and 18 of 18.
    assert!(greatest < 0.1, "a probability is off by {greatest}");
    assert!(
        alike * 10 >= all * 9,
        "the likeliest token is the same for {alike} of {all} prompts"
    );
}
