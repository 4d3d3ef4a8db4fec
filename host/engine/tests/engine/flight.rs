//! Requests in flight: never more than the batch has places, ended when their caller has gone, and permits are given back.

use super::{
    common::{
        ask::{self, Answer, Engine, HANGING, ReportedUsage},
        checkpoint::{Made, SMALL},
    },
    exclusive,
};
use futures::{FutureExt, StreamExt, future::join_all};
use riad_core::{
    chat::{FinishReason, Message, Sampling, TokenUsage},
    ports::{EnginePermit, GenerationEvent, GenerationStream},
};
use std::sync::Arc;
use tokio::{sync::Semaphore, task::unconstrained};

/// What a scheduler does: gives out permits and learns when they come back.
struct Permits(Arc<Semaphore>);

impl Permits {
    fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    fn take(&self) -> EnginePermit {
        let permit = self.0.clone().try_acquire_owned().expect("a permit is left");
        EnginePermit::new(move || drop(permit))
    }

    async fn all_back(&self, count: usize) {
        let back = self.0.acquire_many(count as u32);
        let _permits = tokio::time::timeout(HANGING, back)
            .await
            .expect("a permit that never comes back");
    }
}

fn say(words: &str) -> Vec<Message> {
    vec![Message::user(words)]
}

/// Whether the stream has ended, from what has arrived; never waits. Unconstrained, because tokio lets a task read only so
/// much before it says that nothing is there.
fn has_ended(stream: &mut GenerationStream) -> bool {
    while let Some(event) = unconstrained(stream.next()).now_or_never() {
        match event.expect("read beyond the end").unwrap() {
            GenerationEvent::Reasoning(_) | GenerationEvent::Piece(_) | GenerationEvent::ToolCall(_) => {}
            GenerationEvent::End(_) => return true,
        }
    }
    false
}

async fn start(engine: &Engine, permits: &Permits, sampling: &Sampling) -> (GenerationStream, ReportedUsage) {
    let (generation, reported) = ask::reporting_generation(engine, &say("Tell me a long story."), sampling, None);
    let stream = engine.generate(generation, permits.take()).await.unwrap();
    (stream, reported)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_sequences_run_than_the_batch_has_places() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 2).await;
    assert_eq!(engine.max_sequences(), 2);
    let permits = Permits::new(7);
    // No scheduler and seven permits: the engine alone must hold back what has no place.
    let mut running = Vec::new();
    for _ in 0..7 {
        running.push(start(&engine, &permits, &Sampling::greedy(400)).await);
    }
    let mut most = 0;
    while permits.0.available_permits() < 7 {
        let between = |(_, reported): &&(GenerationStream, ReportedUsage)| {
            let tokens = reported.progress.completion_tokens();
            (1..400).contains(&tokens)
        };
        // The newest first: once it has begun, an older one has ended, whatever happens between two looks.
        most = most.max(running.iter().rev().filter(between).count());
        tokio::task::yield_now().await;
    }
    assert_eq!(most, 2, "sequences that had begun and not ended");
    for (stream, _) in running {
        assert_eq!(ask::read(stream).await.unwrap().tokens(), 400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_wait_for_a_place_are_answered_as_alone() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 2).await;
    let sampling = Sampling::greedy(60);
    let words = [
        "One",
        "Two and a bit",
        "Three, which is a longer one",
        "Four",
        "Five?",
        "Six.",
        "Seven",
        "Eight",
    ];
    let prompts = words.map(say);
    let mut alone = Vec::new();
    for prompt in &prompts {
        alone.push(ask::ask(&engine, prompt, &sampling, None).await.unwrap());
    }
    assert!(
        alone.windows(2).any(|pair| pair[0].text != pair[1].text),
        "the prompts matter"
    );
    let together = join_all(prompts.iter().map(|prompt| ask::ask(&engine, prompt, &sampling, None))).await;
    let together: Vec<Answer> = together.into_iter().map(Result::unwrap).collect();
    assert_eq!(together, alone);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_stream_gives_back_place_and_permit() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 1).await;
    let permits = Permits::new(1);
    let alone = ask::ask(&engine, &say("Hello"), &Sampling::greedy(20), None)
        .await
        .unwrap();

    let (mut stream, reported) = start(&engine, &permits, &Sampling::greedy(3000)).await;
    assert!(matches!(stream.next().await, Some(Ok(GenerationEvent::Piece(_)))));
    drop(stream);
    permits.all_back(1).await;
    let progress = reported.progress.clone();
    let tokens = reported.wait().await.completion_tokens;
    assert!(
        (1..1500).contains(&tokens),
        "{tokens} tokens for a caller who left after the first"
    );

    // The engine works, and no longer generates what was dropped.
    assert_eq!(
        ask::ask(&engine, &say("Hello"), &Sampling::greedy(20), None)
            .await
            .unwrap(),
        alone
    );
    assert_eq!(progress.completion_tokens(), tokens);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_dropped_unread_ends_too() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 1).await;
    let permits = Permits::new(1);
    let (stream, reported) = start(&engine, &permits, &Sampling::greedy(3000)).await;
    drop(stream);
    permits.all_back(1).await;
    let tokens = reported.wait().await.completion_tokens;
    assert!(tokens < 1500, "{tokens} tokens for nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_dropped_while_it_waits_gives_its_permit_back() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 1).await;
    let (first, second) = (Permits::new(1), Permits::new(1));
    let (mut running, reported) = start(&engine, &first, &Sampling::greedy(1500)).await;
    let (waiting, unread) = start(&engine, &second, &Sampling::greedy(5)).await;
    drop(waiting);
    second.all_back(1).await;
    assert_eq!(unread.wait().await, TokenUsage::default(), "the only place is taken");
    assert!(!has_ended(&mut running), "the other one was not disturbed");
    assert_eq!(ask::read(running).await.unwrap().tokens(), 1500);
    assert_eq!(reported.wait().await.completion_tokens, 1500);
    first.all_back(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_does_not_read_holds_nobody_up() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 1).await;
    let permits = Permits::new(1);
    let (unread, _) = start(&engine, &permits, &Sampling::greedy(400)).await;
    permits.all_back(1).await;
    let next = ask::ask(&engine, &say("Hello"), &Sampling::greedy(20), None)
        .await
        .unwrap();
    assert_eq!((next.tokens(), next.finish()), (20, FinishReason::Length));
    // What was not read is still all there.
    assert_eq!(ask::read(unread).await.unwrap().tokens(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_are_counted_while_the_batch_is_full() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 1).await;
    let idle = engine.encode(&say("How many tokens is this?")).unwrap().count();
    let permits = Permits::new(1);
    let (mut running, _) = start(&engine, &permits, &Sampling::greedy(1500)).await;
    assert_eq!(engine.encode(&say("How many tokens is this?")).unwrap().count(), idle);
    assert!(!has_ended(&mut running), "counting does not wait for the answer");
    drop(running);
    permits.all_back(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_in_a_process_do_not_mix() {
    let _exclusive = exclusive().await;
    // The same names and shapes of layers, other numbers; opened at the same time.
    let (one, two) = (Made::new("llama", SMALL, 1), Made::new("llama", SMALL, 2));
    let (models, sampling) = ([one.model(), two.model()], Sampling::greedy(60));
    let alone = {
        let first = ask::open(&models[0], 1).await;
        let answer = ask::ask(&first, &say("Who are you?"), &sampling, None).await.unwrap();
        drop(first);
        let second = ask::open(&models[1], 1).await;
        [
            answer,
            ask::ask(&second, &say("Who are you?"), &sampling, None).await.unwrap(),
        ]
    };
    assert_ne!(alone[0].text, alone[1].text);
    let engines = join_all(models.iter().map(|model| ask::open(model, 2))).await;
    let question = say("Who are you?");
    let adapter = one.adapter("one", &one.matrices(), 9);
    let adapted = ask::ask(&engines[0], &question, &sampling, Some(&adapter))
        .await
        .unwrap();
    assert_ne!(adapted.text, alone[0].text);
    let asked = (0..8).map(|i| ask::ask(&engines[i % 2], &question, &sampling, (i % 4 == 2).then_some(&adapter)));
    for (i, answer) in join_all(asked).await.into_iter().enumerate() {
        let expected = if i % 4 == 2 { &adapted } else { &alone[i % 2] };
        assert_eq!(&answer.unwrap(), expected, "request {i}");
    }
    assert_eq!(engines[0].adapter_counts().loads, 1);
    assert_eq!(engines[1].adapter_counts().loads, 0);
}
