//! What a generation used is reported exactly once and to the token, however it ends, and all sums agree. Not here: ends that are
//! the engine's fault (`failures`); that a whole answer's count is that of its text (`answers`).

use super::{
    common::{
        ask::{self, Engine, HANGING, ReportedUsage},
        checkpoint::{Made, SMALL},
        shipped,
    },
    exclusive,
};
use futures::{StreamExt, future::join_all};
use parking_lot::Mutex;
use riad_core::{
    Account, ErrorKind,
    chat::{FinishReason, Message, Sampling, TokenUsage},
    ledger::EngineTokens,
    ports::{EnginePermit, Generation, GenerationEvent, GenerationStream, Progress, UsageReporter},
};
use std::sync::Arc;
use tokio::sync::oneshot;

pub fn story() -> Vec<Message> {
    vec![Message::user("Tell me a long story.")]
}

pub async fn start(engine: &Engine, sampling: &Sampling) -> (GenerationStream, ReportedUsage) {
    let (generation, reported) = ask::reporting_generation(engine, &story(), sampling, None);
    let stream = engine.generate(generation, EnginePermit::new(|| {})).await.unwrap();
    (stream, reported)
}

async fn read_pieces(stream: &mut GenerationStream, count: usize) {
    for _ in 0..count {
        let event = tokio::time::timeout(HANGING, stream.next()).await.expect("hangs");
        assert!(matches!(event, Some(Ok(GenerationEvent::Piece(_)))), "{event:?}");
    }
}

/// Of all that has ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sums {
    pub prompt: u64,
    pub cached: u64,
    pub completion: u64,
}

impl Sums {
    pub fn of(reported: &[TokenUsage]) -> Self {
        Self {
            prompt: reported.iter().map(|usage| u64::from(usage.prompt_tokens)).sum(),
            cached: reported.iter().map(|usage| u64::from(usage.cached_tokens)).sum(),
            completion: reported.iter().map(|usage| u64::from(usage.completion_tokens)).sum(),
        }
    }

    pub fn counted(engine: &Engine) -> Self {
        let EngineTokens {
            prompt,
            cached,
            completion,
            embedded,
        } = engine.counted();
        assert_eq!(embedded, 0);
        Self {
            prompt,
            cached,
            completion,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_counted_then_reported_then_the_permit_returns() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 1).await;
    let progress = Arc::new(Progress::default());
    let reported = Arc::new(Mutex::new(None));
    let (reported_here, counting) = (reported.clone(), engine.clone());
    let usage_reporter = UsageReporter::new(progress.clone(), move |usage| {
        *reported_here.lock() = Some((usage, Sums::counted(&counting)));
    });
    let (given_back, back) = oneshot::channel();
    let reported_by_then = reported.clone();
    let permit = EnginePermit::new(move || _ = given_back.send(reported_by_then.lock().is_some()));
    let generation = Generation {
        prompt: engine.encode(&story()).unwrap(),
        sampling: Sampling::greedy(30),
        adapter: None,
        account: Account::new(3),
        weight: 1,
        prefix_cache: true,
        usage_reporter,
    };
    let mut stream = engine.generate(generation, permit).await.unwrap();
    let mut last = 0;
    let end = loop {
        match stream.next().await.unwrap().unwrap() {
            // At most a token behind: a piece that can be read has been counted.
            GenerationEvent::Reasoning(_) | GenerationEvent::Piece(_) | GenerationEvent::ToolCall(_) => {
                assert!(progress.completion_tokens() > last);
                last += 1;
            }
            GenerationEvent::End(end) => break end,
        }
    };
    let (usage, counted) = reported.lock().clone().expect("reported before the last event");
    assert_eq!(usage, end.usage);
    assert_eq!(usage.completion_tokens, 30);
    assert_eq!(usage.prompt_tokens, engine.encode(&story()).unwrap().count());
    assert_eq!(counted, Sums::of(&[usage]), "counted before it was reported");
    assert_eq!(
        (progress.prompt_tokens(), progress.completion_tokens()),
        (usage.prompt_tokens, 30)
    );
    let reported_first = tokio::time::timeout(HANGING, back).await.expect("no permit").unwrap();
    assert!(reported_first);
    assert!(stream.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sequence_and_max_tokens_are_told_to_the_token() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 1).await;
    let question = shipped::question(
        &["The refund window of Alfa Tools is 41 days."],
        "What is the refund window of Alfa Tools?",
    );
    let prompt = engine.encode(&question).unwrap().count();
    let whole = ask::ask(&engine, &question, &Sampling::greedy(60), None).await.unwrap();
    assert_eq!(whole.finish(), FinishReason::Stop);
    let mut reported = vec![whole.end.usage];
    for max_tokens in [1, 2, 5] {
        let cut = ask::ask(&engine, &question, &Sampling::greedy(max_tokens), None)
            .await
            .unwrap();
        assert_eq!((cut.finish(), cut.tokens()), (FinishReason::Length, max_tokens));
        reported.push(cut.end.usage);
    }
    let stopping = Sampling {
        stop: vec!["41".into()],
        ..Sampling::greedy(60)
    };
    let stopped = ask::ask(&engine, &question, &stopping, None).await.unwrap();
    assert_eq!(stopped.finish(), FinishReason::Stop);
    assert!(stopped.tokens() < whole.tokens(), "{stopped:?}");
    reported.push(stopped.end.usage);
    assert!(
        reported.iter().all(|usage| usage.prompt_tokens == prompt),
        "{reported:?}"
    );
    assert_eq!(Sums::counted(&engine), Sums::of(&reported));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_stream_ends_within_two_tokens() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 1).await;
    let prompt = engine.encode(&story()).unwrap().count();
    let mut reported = Vec::new();
    for pieces in 1..40 {
        let (mut stream, tally) = start(&engine, &Sampling::greedy(3000)).await;
        read_pieces(&mut stream, pieces).await;
        let progress = tally.progress.clone();
        drop(stream);
        let produced = progress.completion_tokens();
        let usage = tally.wait().await;
        assert!(usage.completion_tokens >= pieces as u32, "{usage:?}");
        assert!(
            usage.completion_tokens <= produced + 2,
            "{usage:?}, {produced} at the drop"
        );
        assert_eq!(usage.prompt_tokens, prompt);
        reported.push(usage);
    }
    assert_eq!(Sums::counted(&engine), Sums::of(&reported));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_dropped_before_its_first_token_pays_what_was_read() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 1).await;
    let prompt = engine.encode(&story()).unwrap().count();
    let mut reported = Vec::new();
    for _ in 0..20 {
        let (stream, tally) = start(&engine, &Sampling::greedy(3000)).await;
        let progress = tally.progress.clone();
        drop(stream);
        let produced = progress.completion_tokens();
        let usage = tally.wait().await;
        assert!(
            usage.completion_tokens <= produced + 2,
            "{usage:?}, {produced} at the drop"
        );
        // What was read of the prompt by then is billed.
        assert!(usage.prompt_tokens <= prompt, "{usage:?}");
        assert!(
            usage.completion_tokens == 0 || usage.prompt_tokens == prompt,
            "{usage:?}"
        );
        reported.push(usage);
    }
    assert_eq!(Sums::counted(&engine), Sums::of(&reported));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_never_began_reports_zero_usage() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 1).await;
    let mut gone = made.adapter("gone", &made.matrices(), 1);
    gone.folder = made.model().join("nowhere");
    let reported = Arc::new(Mutex::new(None));
    let (here, there) = (reported.clone(), reported.clone());
    let at_permit = Arc::new(Mutex::new(None));
    let seen = at_permit.clone();
    let generation = Generation {
        usage_reporter: UsageReporter::new(Arc::default(), move |usage| *here.lock() = Some(usage)),
        ..ask::generation(&engine, &story(), &Sampling::greedy(5), Some(&gone))
    };
    let permit = EnginePermit::new(move || *seen.lock() = *there.lock());
    let error = engine.generate(generation, permit).await.err().expect("no adapter");
    assert_eq!(error.kind(), ErrorKind::ModelNotFound);
    assert_eq!(*at_permit.lock(), Some(TokenUsage::default()));

    // A request that is dropped while it waits for a place in the batch.
    let (running, tally) = start(&engine, &Sampling::greedy(3000)).await;
    let (waiting, unread) = start(&engine, &Sampling::greedy(5)).await;
    drop(waiting);
    assert_eq!(unread.wait().await, TokenUsage::default());
    drop(running);
    let usage = tally.wait().await;
    assert_eq!(Sums::counted(&engine), Sums::of(&[usage]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_at_the_same_time_all_sums_agree() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 2).await;
    let asked = (0..30u32).map(|i| {
        let engine = engine.clone();
        async move {
            let messages = [Message::user(format!("Story {i} please"))];
            let sampling = Sampling {
                stop: if i % 5 == 1 { vec!["e".into()] } else { Vec::new() },
                ..Sampling::greedy(10 + i)
            };
            let (generation, reported) = ask::reporting_generation(&engine, &messages, &sampling, None);
            let mut stream = engine.generate(generation, EnginePermit::new(|| {})).await.unwrap();
            match i % 5 {
                3 => {
                    read_pieces(&mut stream, 1 + i as usize / 5).await;
                    drop(stream);
                }
                4 => drop(stream),
                _ => _ = ask::read(stream).await.unwrap(),
            }
            let usage = reported.wait().await;
            let prompt = engine.encode(&messages).unwrap().count();
            assert!(
                usage.completion_tokens == 0 || usage.prompt_tokens == prompt,
                "{usage:?}"
            );
            usage
        }
    });
    let reported = join_all(asked).await;
    assert_eq!(Sums::counted(&engine), Sums::of(&reported));
}
