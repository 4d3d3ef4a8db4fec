//! Generations that end by the engine's fault: usage is exact, and the lane works afterwards. Not here: a panic inside
//! of a forward, which nothing in a request or an adapter can bring about; the panics here come right after one.

use super::{
    common::{
        ask::{self, Engine, HANGING, ReportedUsage},
        checkpoint::{Made, SMALL, Shape},
    },
    exclusive,
    tally::{Sums, start, start_seen, story},
};
use futures::future::join_all;
use parking_lot::Mutex;
use riad_core::{
    ErrorKind,
    chat::{Message, Sampling, TokenUsage},
    ports::{GenerationStream, LaneTicket},
};
use riad_lora::{LaneSlot, LoadGuard, RequestState, sampled_tokens};
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// A model that fails in the middle of an answer: it has no positions for more.
const SHORT: Shape = Shape { positions: 64, ..SMALL };

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_the_engine_refuses_is_told_with_nothing() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SHORT, 1);
    let engine = ask::open(&made.model(), 1).await;
    let long = [Message::user("word ".repeat(200))];
    let (generation, mut reported) = ask::reporting_generation(&long, &Sampling::greedy(5), None);
    let stream = engine.generate(generation, LaneTicket::new(|| {})).await.unwrap();
    let error = ask::read(stream).await.expect_err("longer than the model's context");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(reported.now(), Some(TokenUsage::default()));
    // And the lane works.
    assert_eq!(
        ask::ask(&engine, &story(), &Sampling::greedy(5), None)
            .await
            .unwrap()
            .tokens(),
        5
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_fails_in_the_engine_is_told_to_the_token() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SHORT, 1);
    let engine = ask::open(&made.model(), 1).await;
    let prompt = engine.count_prompt(&story()).await.unwrap();
    let alone = ask::ask(&engine, &story(), &Sampling::greedy(20), None).await.unwrap();
    let (counted, sampled) = (Sums::counted(&engine), sampled_tokens());
    let mut reported = Vec::new();
    for _ in 0..3 {
        let (stream, mut tally) = start(&engine, &Sampling::greedy(500)).await;
        let error = ask::read(stream).await.expect_err("there are no positions for that");
        assert_eq!(error.kind(), ErrorKind::Internal);
        let usage = tally.now().expect("reported before the error");
        assert_eq!(usage.prompt_tokens, prompt);
        assert!((20..=64).contains(&usage.completion_tokens), "{usage:?}");
        reported.push(usage);
    }
    assert_eq!(Sums::of(&reported).completion, sampled_tokens() - sampled);
    assert_eq!(
        Sums::of(&reported).completion,
        Sums::counted(&engine).completion - counted.completion
    );
    assert_eq!(
        ask::ask(&engine, &story(), &Sampling::greedy(20), None).await.unwrap(),
        alone
    );
}

/// A generation, its ticket's way back, and its state, by which the engine's thread can be made to panic.
async fn start_dying(
    engine: &Engine,
) -> (
    GenerationStream,
    ReportedUsage,
    oneshot::Receiver<()>,
    Arc<RequestState>,
) {
    let (given_back, back) = oneshot::channel();
    let ticket = LaneTicket::new(move || _ = given_back.send(()));
    let (stream, reported, state) = start_seen(engine, &Sampling::greedy(3000), ticket).await;
    (stream, reported, back, state)
}

fn die(state: &RequestState) {
    state.watch(|_, tokens| assert!(tokens < 5, "this test lets the engine's thread panic"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_whose_engine_panics_reports_usage_and_recovers() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 2).await;
    let adapter = made.adapter("one", &made.matrices(), 9);
    let short = Sampling::greedy(20);
    let alone = ask::ask(&engine, &story(), &short, None).await.unwrap();
    let adapted = ask::ask(&engine, &story(), &short, Some(&adapter)).await.unwrap();
    let sampled = sampled_tokens();
    let mut reported = vec![alone.end.usage, adapted.end.usage];
    let before = reported.len();
    for _ in 0..3 {
        let (stream, mut tally, back, state) = start_dying(&engine).await;
        die(&state);
        let error = ask::read(stream).await.expect_err("its thread has died");
        assert_eq!(error.kind(), ErrorKind::Internal);
        let usage = tally.now().expect("reported before the error");
        assert!(usage.completion_tokens >= 5, "{usage:?}");
        reported.push(usage);
        tokio::time::timeout(HANGING, back).await.expect("no ticket").unwrap();
    }
    assert_eq!(Sums::of(&reported[before..]).completion, sampled_tokens() - sampled);
    assert_eq!(Sums::counted(&engine), Sums::of(&reported));
    // Every lane answers, with and without an adapter, as before.
    let question = story();
    let asked = (0..8).map(|i| ask::ask(&engine, &question, &short, (i % 2 == 1).then_some(&adapter)));
    for (i, answer) in join_all(asked).await.into_iter().enumerate() {
        assert_eq!(&answer.unwrap(), if i % 2 == 1 { &adapted } else { &alone });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_whose_engine_panics_is_built_anew_before_reuse() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 2).await;
    let short = Sampling::greedy(20);
    let alone = ask::ask(&engine, &story(), &short, None).await.unwrap();
    // Lanes are built one after another: while this test holds the guard, no other can be.
    let (entered_guard, taken) = oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let holding = std::thread::spawn(move || {
        let _exclusive = LoadGuard::enter(Arc::default(), LaneSlot::default());
        _ = entered_guard.send(());
        _ = released.recv();
    });
    taken.await.unwrap();
    let (stream, _, mut first, state) = start_dying(&engine).await;
    die(&state);
    assert!(ask::read(stream).await.is_err());
    // Also where nobody sees the error, because the caller has just gone.
    let (stream, tally, mut second, state) = start_dying(&engine).await;
    let held = Mutex::new(Some(stream));
    state.watch(move |_, tokens| {
        drop(held.lock().take());
        assert!(tokens == 0, "this test lets the engine's thread panic");
    });
    assert!(tally.wait().await.completion_tokens > 0);
    for back in [&mut first, &mut second] {
        let early = tokio::time::timeout(Duration::from_millis(300), &mut *back).await;
        assert!(early.is_err(), "a lane that died came back as it was");
    }
    release.send(()).unwrap();
    holding.join().unwrap();
    for back in [first, second] {
        tokio::time::timeout(HANGING, back).await.expect("no ticket").unwrap();
    }
    for _ in 0..4 {
        assert_eq!(ask::ask(&engine, &story(), &short, None).await.unwrap(), alone);
    }
}
