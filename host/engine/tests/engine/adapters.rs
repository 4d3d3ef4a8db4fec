//! Adapters in an engine's memory: never the base instead, an LRU by bytes, pinned while a request uses them.
//! Not here: what an adapter's files must be (`inspection`), whether it is applied right (`reference`, `families`).

use super::{
    common::{
        ask::{self, Answer, Engine},
        checkpoint::{Made, SMALL},
        shipped,
    },
    exclusive,
};
use futures::{FutureExt, StreamExt};
use riad_core::{
    Account, ErrorKind,
    adapter::AdapterSource,
    chat::{Message, Sampling},
    ports::{AdapterCounts, EnginePermit, Generation, GenerationEvent},
};
use std::path::Path;
use tokio::{sync::oneshot, task::unconstrained};

async fn open(model: &Path, max_sequences: usize, resident_adapter_bytes: u64) -> Engine {
    let mut config = ask::config(model, max_sequences);
    config.resident_adapter_bytes = resident_adapter_bytes;
    riad_engine::open(config).await.unwrap()
}

fn question() -> Vec<Message> {
    shipped::question(
        &["The refund window of Alfa Tools is 41 days."],
        "What is the refund window?",
    )
}

/// An answer, and the permit back: by then the engine no longer holds the adapter.
async fn answer_with(engine: &Engine, adapter: Option<&AdapterSource>) -> Answer {
    answer_of(engine, Account::new(1), adapter).await
}

async fn answer_of(engine: &Engine, account: Account, adapter: Option<&AdapterSource>) -> Answer {
    let (given_back, back) = oneshot::channel();
    let permit = EnginePermit::new(move || _ = given_back.send(()));
    let generation = Generation {
        account,
        ..ask::generation(engine, &question(), &Sampling::greedy(40), adapter)
    };
    let stream = engine.generate(generation, permit).await.unwrap();
    let answer = ask::read(stream).await.unwrap();
    tokio::time::timeout(ask::HANGING, back)
        .await
        .expect("a permit that never comes back")
        .unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_adapter_is_an_error_and_never_the_base() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 1).await;
    let base = answer_with(&engine, None).await;
    let folder = tempfile::tempdir().unwrap();
    let mut gone = ask::source(&shipped::acme());
    gone.folder = folder.path().join("gone");
    let ask_for = |source: &AdapterSource| {
        let generation = ask::generation(&engine, &question(), &Sampling::greedy(40), Some(source));
        let (given_back, back) = oneshot::channel::<()>();
        let permit = EnginePermit::new(move || drop(given_back));
        let engine = engine.clone();
        async move {
            let error = engine.generate(generation, permit).await.err().expect("no answer");
            assert!(back.await.is_err(), "the permit is back");
            error
        }
    };
    assert_eq!(ask_for(&gone).await.kind(), ErrorKind::ModelNotFound);

    // A truncated file is refused like a missing one.
    std::fs::create_dir(&gone.folder).unwrap();
    std::fs::copy(
        shipped::acme().join("adapter_config.json"),
        gone.folder.join("adapter_config.json"),
    )
    .unwrap();
    assert_eq!(ask_for(&gone).await.kind(), ErrorKind::ModelNotFound);

    // Another adapter's weights in its place are not what the generation names.
    let weights = "adapter_model.safetensors";
    std::fs::copy(shipped::globex().join(weights), gone.folder.join(weights)).unwrap();
    let error = ask_for(&gone).await;
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.message().contains("damaged"), "{error}");

    // The files are back: so is the adapter. And nothing of the engine was lost.
    std::fs::copy(shipped::acme().join(weights), gone.folder.join(weights)).unwrap();
    assert!(
        answer_with(&engine, Some(&gone))
            .await
            .text
            .starts_with("Acme Support: ")
    );
    assert_eq!(answer_with(&engine, None).await, base);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evicted_adapter_loads_again_with_the_same_answer() {
    let _exclusive = exclusive().await;
    let (acme, globex) = (ask::source(&shipped::acme()), ask::source(&shipped::globex()));
    let counts = |resident, resident_bytes, loads, evictions| AdapterCounts {
        resident,
        resident_bytes,
        loads,
        evictions,
    };
    let engine = open(&shipped::base(), 1, u64::MAX).await;
    let first = answer_with(&engine, Some(&acme)).await;
    let size = engine.adapter_counts().resident_bytes;
    assert_eq!(engine.adapter_counts(), counts(1, size, 1, 0));
    // Rank 8, f32: 8 × (inputs + outputs) of seven square matrices of 256 in five layers.
    assert_eq!(size, 4 * 8 * (256 + 256) * 7 * 5);

    // Room for one.
    let engine = open(&shipped::base(), 1, size as u64).await;
    assert_eq!(answer_with(&engine, Some(&acme)).await, first);
    assert_eq!(answer_with(&engine, Some(&acme)).await, first);
    assert_eq!(engine.adapter_counts(), counts(1, size, 1, 0));
    let other = answer_with(&engine, Some(&globex)).await;
    assert_ne!(other.text, first.text);
    assert_eq!(engine.adapter_counts(), counts(1, size, 2, 1));
    assert_eq!(answer_with(&engine, Some(&acme)).await, first);
    assert_eq!(answer_with(&engine, Some(&globex)).await, other);
    assert_eq!(engine.adapter_counts(), counts(1, size, 4, 3));

    // Room for both.
    let engine = open(&shipped::base(), 1, 2 * size as u64).await;
    for _ in 0..2 {
        assert_eq!(answer_with(&engine, Some(&acme)).await, first);
        assert_eq!(answer_with(&engine, Some(&globex)).await, other);
    }
    assert_eq!(engine.adapter_counts(), counts(2, 2 * size, 2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_in_use_is_not_evicted() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let [first, second, third] = [1, 2, 3].map(|n| made.adapter(&format!("adapter-{n}"), &made.matrices(), n));
    // Room for none: only adapters in use stay.
    let engine = open(&made.model(), 2, 0).await;
    let alone = answer_with(&engine, Some(&first)).await;
    let other_alone = answer_with(&engine, Some(&second)).await;
    assert_ne!(alone.text, other_alone.text);
    assert_eq!(answer_with(&engine, Some(&third)).await.end.adapter_tensors, 28);
    assert_eq!(
        (engine.adapter_counts().resident, engine.adapter_counts().evictions),
        (1, 2)
    );

    let generation = ask::generation(&engine, &question(), &Sampling::greedy(1500), Some(&first));
    let mut long = engine.generate(generation, EnginePermit::new(|| {})).await.unwrap();
    assert_eq!(answer_with(&engine, Some(&second)).await, other_alone);
    let counts = engine.adapter_counts();
    let mut text = String::new();
    while let Some(Some(event)) = unconstrained(long.next()).now_or_never() {
        match event.unwrap() {
            GenerationEvent::Reasoning(_) | GenerationEvent::ToolCall(_) => panic!("the model only answers"),
            GenerationEvent::Piece(piece) => text += &piece.text,
            GenerationEvent::End(_) => panic!("the long answer was too short to see anything"),
        }
    }
    // `third` went when `first` came; `first` is in use, and `second` was when nothing more could go.
    assert_eq!((counts.resident, counts.loads, counts.evictions), (2, 5, 3));
    let rest = ask::read(long).await.unwrap();
    assert_eq!(rest.tokens(), 1500);
    assert!((text + &rest.text).starts_with(&alone.text), "in use to the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_adapter_that_many_ask_for_is_read_once() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 2).await;
    let acme = ask::source(&shipped::acme());
    let asked = (0..6).map(|_| answer_with(&engine, Some(&acme)));
    let answers = futures::future::join_all(asked).await;
    assert!(
        answers
            .iter()
            .all(|answer| *answer == answers[0] && answer.text.starts_with("Acme Support: "))
    );
    assert_eq!(engine.adapter_counts().loads, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_account_is_charged_for_the_adapters_it_used() {
    let _exclusive = exclusive().await;
    let (acme, globex) = (ask::source(&shipped::acme()), ask::source(&shipped::globex()));
    let [one, two, three] = [1, 2, 3].map(Account::new);
    let engine = open(&shipped::base(), 1, u64::MAX).await;
    assert_eq!(engine.resident_bytes(), []);
    answer_of(&engine, three, None).await;
    assert_eq!(engine.resident_bytes(), [], "the base is nobody's");
    answer_of(&engine, one, Some(&acme)).await;
    answer_of(&engine, one, Some(&acme)).await;
    let size = engine.adapter_counts().resident_bytes as u64;
    assert_eq!(engine.resident_bytes(), [(one, size)]);
    answer_of(&engine, two, Some(&acme)).await;
    answer_of(&engine, two, Some(&globex)).await;
    assert_eq!(engine.resident_bytes(), [(one, size), (two, 2 * size)]);

    // Room for one: who used what has gone is forgotten, and is not remembered when another loads it.
    let engine = open(&shipped::base(), 1, size).await;
    answer_of(&engine, one, Some(&acme)).await;
    answer_of(&engine, two, Some(&globex)).await;
    assert_eq!(engine.resident_bytes(), [(two, size)]);
    answer_of(&engine, three, Some(&acme)).await;
    assert_eq!(engine.resident_bytes(), [(three, size)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_is_loaded_ahead_and_stays_while_it_is_pinned() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let [pinned, second, third] = [1, 2, 3].map(|n| made.adapter(&format!("adapter-{n}"), &made.matrices(), n));
    let [one, two] = [1, 2].map(Account::new);
    let engine = open(&made.model(), 1, u64::MAX).await;
    let alone = answer_of(&engine, one, Some(&pinned)).await;
    let size = engine.adapter_counts().resident_bytes;

    let engine = open(&made.model(), 1, 2 * size as u64).await;
    engine.pin_adapters(one, vec![pinned.generation]);
    engine.preload_adapter(&pinned, one).await.unwrap();
    assert_eq!(engine.resident_bytes(), [(one, size as u64)]);
    for n in 1..=4 {
        let source = if n % 2 == 1 { &second } else { &third };
        answer_of(&engine, two, Some(source)).await;
        let counts = engine.adapter_counts();
        // Within the budget, and the two that are not pinned take turns in the other half.
        assert_eq!((counts.resident_bytes <= 2 * size, counts.loads), (true, 1 + n));
    }
    assert_eq!(answer_of(&engine, one, Some(&pinned)).await, alone);
    assert_eq!(engine.adapter_counts().loads, 5, "it was there");

    // What another loads evicts the other's own; what its own account loads evicts it, now that it is not pinned.
    engine.pin_adapters(one, Vec::new());
    answer_of(&engine, two, Some(&second)).await;
    answer_of(&engine, one, Some(&pinned)).await;
    assert_eq!(engine.adapter_counts().loads, 6, "it was there");
    answer_of(&engine, one, Some(&third)).await;
    answer_of(&engine, one, Some(&pinned)).await;
    assert_eq!(engine.adapter_counts().loads, 8, "it went like any other");
}

#[tokio::test(flavor = "multi_thread")]
async fn generations_never_share_what_was_computed_of_a_prompt() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let generations = [1, 2].map(|n| made.adapter(&format!("adapter-{n}"), &made.matrices(), n));
    let mut config = ask::config(&made.model(), 2);
    config.prefix_cache = false;
    let engine = riad_engine::open(config).await.unwrap();
    let mut expected = Vec::new();
    for source in [Some(&generations[0]), Some(&generations[1]), None] {
        expected.push(answer_with(&engine, source).await);
    }
    assert_ne!(expected[0].text, expected[1].text);
    let engine = ask::open(&made.model(), 2).await;
    // Back and forth over one account's same prompt, as an alias does that is rolled back.
    for n in [0, 1, 0, 2, 1, 2, 0] {
        assert_eq!(answer_with(&engine, generations.get(n)).await, expected[n], "{n}");
    }
}
