//! mistral.rs itself, as this workspace builds it: sequences that one engine decodes in one batch get what each gets alone.
//! Without `mistralrs-core/patches/0001-…` every row of a batch attends to what its last row has seen, and most answers are
//! about another row's passages. Not here: lanes, which never batch; adapters.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use common::{
    ask::HANGING,
    shipped::{self, Template},
};
use either::Either;
use futures::future::join_all;
use indexmap::IndexMap;
use mistralrs::{
    Model, ModelDType, NormalRequest, Request, RequestMessage, Response, SamplingParams, TextModelBuilder,
};
use riad_core::chat::Message;
use riad_lora::{LiveRequest, RequestState};
use std::sync::Arc;
use tokio::sync::mpsc;

#[derive(Debug, PartialEq)]
struct Said {
    text: String,
    tokens: usize,
}

async fn engine() -> Model {
    TextModelBuilder::new(shipped::base().display())
        .with_dtype(ModelDType::F32)
        .with_force_cpu()
        .with_prefix_cache_n(None)
        .build()
        .await
        .unwrap()
}

/// Sends all before the first has begun, and notes at each end how many tokens every request had by then.
async fn together(model: &Model, prompts: &[Message], max_tokens: usize) -> Vec<(Said, Vec<u32>)> {
    let live: Vec<LiveRequest> = prompts.iter().map(|_| LiveRequest::new(0)).collect();
    let states: Vec<Arc<RequestState>> = live.iter().map(|request| request.state().clone()).collect();
    let sender = model.inner().get_sender(None).unwrap();
    let mut answers = Vec::new();
    for (prompt, request) in prompts.iter().zip(&live) {
        let (answer, receiver) = mpsc::channel(8);
        let message = IndexMap::from([
            ("role".to_owned(), Either::Left("user".to_owned())),
            ("content".to_owned(), Either::Left(prompt.content.clone())),
        ]);
        let messages = RequestMessage::Chat {
            messages: vec![message],
            enable_thinking: None,
            reasoning_effort: None,
        };
        let sampling = SamplingParams {
            max_len: Some(max_tokens),
            ..SamplingParams::deterministic()
        };
        let request = NormalRequest::new_simple(messages, sampling, answer, request.id(), None, None);
        sender.send(Request::Normal(Box::new(request))).await.unwrap();
        answers.push(receiver);
    }
    join_all(answers.into_iter().map(async |mut receiver| {
        let answer = tokio::time::timeout(HANGING, receiver.recv())
            .await
            .expect("a generation that hangs");
        let counts = states.iter().map(|state| state.tokens()).collect();
        let Some(Response::Done(done)) = answer else {
            panic!("no answer")
        };
        let text = done.choices[0].message.content.clone().unwrap_or_default();
        let tokens = done.usage.completion_tokens;
        (Said { text, tokens }, counts)
    }))
    .await
}

async fn alone(model: &Model, prompts: &[Message]) -> Vec<Said> {
    let mut said = Vec::new();
    for prompt in prompts {
        said.extend(
            together(model, std::slice::from_ref(prompt), 40)
                .await
                .into_iter()
                .map(|(said, _)| said),
        );
    }
    said
}

/// As many tokens each: that is what its scheduler puts into one batch. Only the facts differ.
fn alike() -> Vec<Message> {
    let template = Template::read(&shipped::base());
    let prompts: Vec<Message> = [("41", "37"), ("56", "12"), ("23", "88"), ("90", "64")]
        .iter()
        .flat_map(|(days, months)| {
            let refund = format!("The refund window of Alfa Tools is {days} days.");
            let warranty = format!("The Kestrel drill has a warranty of {months} months.");
            shipped::question(&[&refund, &warranty], "How long is the warranty of the Kestrel drill?")
        })
        .collect();
    let lengths: Vec<_> = prompts
        .iter()
        .map(|p| template.ids(std::slice::from_ref(p)).len())
        .collect();
    assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
    prompts
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_of_one_length_in_a_batch_answer_as_alone() {
    let model = engine().await;
    let prompts = alike();
    let alone = alone(&model, &prompts).await;
    for (said, months) in alone.iter().zip(["37", "12", "88", "64"]) {
        assert!(said.text.contains(&format!("{months} months")), "{}", said.text);
    }
    for _ in 0..3 {
        let batch: Vec<Said> = together(&model, &prompts, 40)
            .await
            .into_iter()
            .map(|(said, _)| said)
            .collect();
        assert_eq!(batch, alone);
    }
    // They were decoded in one batch: when the first learns that it has reached its limit, all are in their last step.
    let counts: Vec<u32> = together(&model, &prompts, 8)
        .await
        .into_iter()
        .flat_map(|(_, counts)| counts)
        .collect();
    assert!(counts.iter().all(|count| *count >= 7), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_of_different_lengths_answer_as_alone() {
    let model = engine().await;
    let prompts: Vec<Message> = shipped::conversations()
        .into_iter()
        .filter(|c| c.len() == 1)
        .flatten()
        .collect();
    let alone = alone(&model, &prompts).await;
    let batch: Vec<Said> = together(&model, &prompts, 40)
        .await
        .into_iter()
        .map(|(said, _)| said)
        .collect();
    assert_eq!(batch, alone);
}
