//! Generations that the engine cannot finish: usage is exact, and the engine works afterwards.

use super::{
    common::{
        ask::{self, Engine, HANGING, ReportedUsage},
        checkpoint::{Made, SMALL, Shape},
        shipped::{self, Template},
    },
    exclusive,
    tally::{Sums, start, story},
};
use futures::future::join_all;
use riad_core::{
    ErrorKind,
    chat::{FinishReason, Message, Sampling, TokenUsage},
    ports::{EnginePermit, Generation, UsageReporter},
};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A model with few positions.
const SHORT: Shape = Shape { positions: 64, ..SMALL };

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_longer_than_the_context_is_refused_unbilled() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SHORT, 1);
    let engine = ask::open(&made.model(), 1).await;
    let long = [Message::user("word ".repeat(200))];
    let (generation, mut reported) = ask::reporting_generation(&engine, &long, &Sampling::greedy(5), None);
    let error = engine.generate(generation, EnginePermit::new(|| {})).await.err();
    let error = error.expect("longer than the model's context");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.message().contains("at most 64"), "{error}");
    assert_eq!(reported.now(), Some(TokenUsage::default()));
    let next = ask::ask(&engine, &story(), &Sampling::greedy(5), None).await.unwrap();
    assert_eq!(next.tokens(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_ends_at_the_last_position_of_the_model() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SHORT, 1);
    let engine = ask::open(&made.model(), 1).await;
    let prompt = engine.encode(&story()).unwrap().count();
    for _ in 0..3 {
        let (stream, mut tally) = start(&engine, &Sampling::greedy(500)).await;
        let answer = ask::read(stream).await.unwrap();
        assert_eq!(answer.finish(), FinishReason::Length);
        let usage = tally.now().expect("reported before the end");
        assert_eq!(
            (usage.prompt_tokens, usage.prompt_tokens + usage.completion_tokens),
            (prompt, 64)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_fit_into_the_kv_cache_is_refused() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let mut config = ask::config(&made.model(), 4);
    config.kv_cache_tokens = 256;
    let engine = riad_engine::open(config).await.unwrap();
    let (generation, mut reported) = ask::reporting_generation(&engine, &story(), &Sampling::greedy(400), None);
    let stream = engine.generate(generation, EnginePermit::new(|| {})).await.unwrap();
    let error = ask::read(stream).await.expect_err("more tokens than the cache has");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.message().contains("engine.kv_cache_tokens"), "{error}");
    assert_eq!(reported.now(), Some(TokenUsage::default()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_which_the_model_has_no_row_is_refused() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let path = made.model().join("tokenizer.json");
    let mut tokenizer: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let rows = Template::read(&shipped::base()).vocabulary();
    tokenizer["added_tokens"].as_array_mut().unwrap().push(json!({
        "id": rows, "content": "padword", "special": false,
        "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
    }));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, tokenizer.to_string()).unwrap();
    let engine = ask::open(&made.model(), 4).await;
    let (beside, _tally) = start(&engine, &Sampling::greedy(200)).await;
    let padded = [Message::user("a padword b")];
    let error = ask::ask(&engine, &padded, &Sampling::greedy(5), None)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::InvalidRequest, Some("messages"))
    );
    assert!(error.message().contains(&rows.to_string()), "{error}");
    ask::read(beside).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_token_cannot_be_chosen_ends_alone() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 4).await;
    let vocabulary = Template::read(&shipped::base()).vocabulary() as u32;
    // Logits become infinite, so that no chances can be told from them.
    let infinite = Sampling {
        temperature: 1.0,
        repetition_penalty: Some(f32::MIN_POSITIVE),
        logit_bias: (0..vocabulary).map(|token| (token, 100.0)).collect(),
        ..Sampling::greedy(10)
    };
    let alone = ask::ask(&engine, &story(), &Sampling::greedy(200), None).await.unwrap();
    let (beside, _tally) = start(&engine, &Sampling::greedy(200)).await;
    let asked = story();
    let failing = (0..3).map(|_| ask::ask(&engine, &asked, &infinite, None));
    let (answer, failed) = tokio::join!(ask::read(beside), join_all(failing));
    for result in failed {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Internal);
    }
    assert_eq!(answer.unwrap().text, alone.text);
}

/// A generation whose report of its usage panics on the engine's thread.
async fn start_panicking(engine: &Engine) -> (ask::Stream, oneshot::Receiver<()>) {
    let (given_back, back) = oneshot::channel();
    let permit = EnginePermit::new(move || _ = given_back.send(()));
    let generation = Generation {
        usage_reporter: UsageReporter::new(Arc::default(), |_| panic!("this test lets the engine's thread panic")),
        ..ask::generation(engine, &story(), &Sampling::greedy(10), None)
    };
    (engine.generate(generation, permit).await.unwrap(), back)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_on_the_engines_thread_ends_the_batch_and_no_more() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 4).await;
    let adapter = made.adapter("one", &made.matrices(), 9);
    let short = Sampling::greedy(20);
    let alone = ask::ask(&engine, &story(), &short, None).await.unwrap();
    let adapted = ask::ask(&engine, &story(), &short, Some(&adapter)).await.unwrap();
    let mut reported = vec![alone.end.usage, adapted.end.usage];
    for _ in 0..3 {
        let (beside, tally): (_, ReportedUsage) = start(&engine, &Sampling::greedy(3000)).await;
        let (stream, back) = start_panicking(&engine).await;
        assert!(ask::read_any(stream).await.is_none(), "it has no end");
        let error = ask::read(beside).await.expect_err("it was in the batch");
        assert_eq!(error.kind(), ErrorKind::Internal);
        let usage = tally.wait().await;
        assert!(usage.completion_tokens < 3000, "{usage:?}");
        reported.push(usage);
        tokio::time::timeout(HANGING, back).await.expect("no permit").unwrap();
        // The one whose report failed was counted before.
        reported.push(TokenUsage {
            completion_tokens: 10,
            ..alone.end.usage
        });
    }
    let without_hits = |sums: Sums| Sums { cached: 0, ..sums };
    assert_eq!(
        without_hits(Sums::counted(&engine)),
        without_hits(Sums::of(&reported)),
        "whatever the cache had for those whose reports failed"
    );
    let question = story();
    let asked = (0..8).map(|i| ask::ask(&engine, &question, &short, (i % 2 == 1).then_some(&adapter)));
    for (i, answer) in join_all(asked).await.into_iter().enumerate() {
        assert_eq!(&answer.unwrap(), if i % 2 == 1 { &adapted } else { &alone });
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn a_model_that_does_not_fit_into_memory_is_not_loaded() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let mut config = ask::config(&made.model(), 1);
    config.kv_cache_tokens = 1 << 40;
    let error = riad_engine::open(config).await.err().expect("it does not fit");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(error.param(), Some("engine.kv_cache_tokens"));
    assert!(error.message().contains("1099511627776 tokens"), "{error}");
}
