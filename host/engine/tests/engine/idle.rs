//! A model that nobody asks leaves memory, and the first request wakes it.

use super::{
    common::{
        ask::{self, Engine, HANGING},
        checkpoint::{Made, SMALL},
    },
    exclusive,
};
use futures::future::join_all;
use riad_core::{
    ErrorKind,
    chat::{Message, Sampling},
};
use std::time::Duration;

fn question() -> Vec<Message> {
    vec![Message::user("What do you do when nobody asks?")]
}

/// Waits until the model has left memory; says how often it was loaded by then.
async fn unloaded(engine: &Engine) -> u64 {
    let leaving = async {
        while engine.batch().model_loaded {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(HANGING, leaving).await.expect("it never leaves");
    engine.batch().model_loads
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_request_wakes_an_idle_model_once() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let adapter = made.adapter("one", &made.matrices(), 9);
    let greedy = Sampling::greedy(20);
    let awake = ask::open(&made.model(), 4).await;
    let base = ask::ask(&awake, &question(), &greedy, None).await.unwrap();
    let adapted = ask::ask(&awake, &question(), &greedy, Some(&adapter)).await.unwrap();
    let state = awake.batch();
    assert_eq!((state.model_loaded, state.model_loads), (true, 1));

    let mut config = ask::config(&made.model(), 4);
    config.idle_unload = Some(Duration::from_millis(200));
    let engine = riad_engine::open(config).await.unwrap();
    assert_eq!(unloaded(&engine).await, 1);
    // Counting needs the tokenizer only.
    let counted = engine.encode(&question()).unwrap().count();
    assert_eq!(counted, base.end.usage.prompt_tokens);
    let state = engine.batch();
    assert_eq!((state.model_loaded, state.model_loads), (false, 1));

    for loads in 2..5 {
        let (source, expected) = match loads % 2 {
            0 => (None, &base),
            _ => (Some(&adapter), &adapted),
        };
        assert_eq!(
            &ask::ask(&engine, &question(), &greedy, source).await.unwrap(),
            expected
        );
        assert_eq!(unloaded(&engine).await, loads);
    }
    let asked = question();
    let all = (0..4).map(|_| ask::ask(&engine, &asked, &greedy, None));
    for answer in join_all(all).await {
        assert_eq!(answer.unwrap(), base);
    }
    assert_eq!(unloaded(&engine).await, 5, "one load for all that came together");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_cannot_be_loaded_again_fails_its_request_only() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let greedy = Sampling::greedy(5);
    let mut config = ask::config(&made.model(), 2);
    config.idle_unload = Some(Duration::from_millis(20));
    let engine = riad_engine::open(config).await.unwrap();
    unloaded(&engine).await;
    let file = made.model().join("config.json");
    let kept = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let error = ask::ask(&engine, &question(), &greedy, None)
        .await
        .expect_err("no model");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    std::fs::write(&file, kept).unwrap();
    assert_eq!(ask::ask(&engine, &question(), &greedy, None).await.unwrap().tokens(), 5);
}
