//! Logprobs and biases of logits, against logits computed without mistral.rs. Not here: the arithmetic of a row (unit tests).

use super::{
    common::{
        ask::{self, Answer, Engine},
        checkpoint::{Made, SMALL},
        llama::Llama,
        shipped::{self, Template},
    },
    exclusive,
};
use futures::future::join_all;
use riad_core::{
    ErrorKind,
    chat::{Message, Sampling, ScoredToken},
    ports::EnginePermit,
};

fn question() -> Vec<Message> {
    shipped::question(
        &["The Kestrel drill has a warranty of 37 months. The battery is excluded."],
        "How long is the warranty of the Kestrel drill?",
    )
}

fn scored(top: u32, max_tokens: u32) -> Sampling {
    Sampling {
        logprobs: Some(top),
        ..Sampling::greedy(max_tokens)
    }
}

async fn answer(engine: &Engine, sampling: &Sampling) -> Answer {
    ask::ask(engine, &question(), sampling, None).await.unwrap()
}

fn texts(answer: &Answer) -> Vec<&str> {
    answer.logprobs.iter().map(|place| place.token.text.as_str()).collect()
}

/// Log-softmax in f64, the likeliest first.
fn ranked(logits: &[f32]) -> Vec<(u32, f64)> {
    let greatest = logits.iter().copied().fold(f32::MIN, f32::max);
    let shifted = |logit: f32| f64::from(logit) - f64::from(greatest);
    let sum: f64 = logits.iter().map(|logit| shifted(*logit).exp()).sum();
    let mut ranked: Vec<_> = (0..)
        .zip(logits.iter().map(|logit| shifted(*logit) - sum.ln()))
        .collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

#[tokio::test(flavor = "multi_thread")]
async fn logprobs_are_those_of_an_independent_model() {
    let _exclusive = exclusive().await;
    let template = Template::read(&shipped::base());
    let reference = Llama::read(&shipped::base(), None);
    let prompt = template.ids(&question());
    let expected = reference.complete(&prompt, 24);
    let mut ids = expected.ids.clone();
    if expected.ended {
        ids.pop();
    }
    let logits = reference.logits_after(&prompt, &ids);

    let engine = ask::open(&shipped::base(), 1).await;
    let answer = answer(&engine, &scored(20, 24)).await;
    assert_eq!(answer.logprobs.len(), ids.len());
    for ((place, id), logits) in answer.logprobs.iter().zip(&ids).zip(&logits) {
        let ranked = ranked(logits);
        let near = |token: &ScoredToken, logprob: f64| {
            assert!((f64::from(token.logprob) - logprob).abs() < 2e-3, "{token:?} {logprob}");
        };
        assert_eq!(ranked[0].0, *id, "a greedy choice");
        assert_eq!(place.top.len(), 20);
        assert_eq!(place.top[0], place.token, "the likeliest is the greedy choice");
        assert!(place.top.is_sorted_by(|a, b| a.logprob >= b.logprob));
        for (token, (_, logprob)) in place.top.iter().zip(&ranked) {
            near(token, *logprob);
        }
        assert_eq!(place.token.text.trim_start(), template.text(&[*id]).trim_start());
        assert_eq!(place.token.bytes.as_deref(), Some(place.token.text.as_bytes()));
    }
    assert_eq!(texts(&answer).concat().trim_start(), answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probabilities_of_all_tokens_add_up_to_one() {
    let _exclusive = exclusive().await;
    let vocabulary = Template::read(&shipped::base()).vocabulary();
    let engine = ask::open(&shipped::base(), 1).await;
    let warm = Sampling {
        temperature: 1.5,
        top_k: Some(3),
        seed: Some(3),
        ..scored(vocabulary as u32, 8)
    };
    let answer = answer(&engine, &warm).await;
    assert!(!answer.logprobs.is_empty());
    for place in answer.logprobs {
        let sum: f64 = place.top.iter().map(|token| f64::from(token.logprob).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-4, "{sum}");
        assert!(place.top.contains(&place.token));
        assert!(
            place
                .top
                .iter()
                .any(|token| token.text == "<|end|>" && token.bytes.is_none())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_unless_it_is_asked_for() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 1).await;
    let plain = answer(&engine, &Sampling::greedy(24)).await;
    assert_eq!(plain.logprobs, []);
    let scored = answer(&engine, &scored(0, 24)).await;
    let told = |answer: &Answer| (answer.text.clone(), answer.finish(), answer.tokens());
    assert_eq!(told(&scored), told(&plain));
    assert!(scored.logprobs.iter().all(|place| place.top.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sequence_takes_its_tokens_away() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 1).await;
    let whole = answer(&engine, &scored(0, 24)).await;
    let middle = whole.text.len() / 2;
    let stop = whole.text[middle..middle + 3].to_owned();
    let cut = answer(
        &engine,
        &Sampling {
            stop: vec![stop],
            ..scored(0, 24)
        },
    )
    .await;
    assert!(!cut.text.is_empty() && cut.text.len() <= middle);
    // The tokens of the text, of which the last may have the beginning of what was cut.
    let told = texts(&cut);
    assert_eq!(told, texts(&whole)[..told.len()]);
    assert!(told.concat().trim_start().starts_with(&cut.text));
    assert!(told[..told.len() - 1].concat().trim_start().len() < cut.text.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bias_bans_and_forces_a_token() {
    let _exclusive = exclusive().await;
    let template = Template::read(&shipped::base());
    let engine = ask::open(&shipped::base(), 1).await;
    let biased = |bias: Vec<(u32, f32)>| Sampling {
        logit_bias: bias.into_iter().collect(),
        ..scored(1, 8)
    };
    let plain = answer(&engine, &biased(Vec::new())).await;
    let likeliest = plain.logprobs[0].token.clone();
    let id = template.complete_id(&likeliest.text);

    let banned = answer(&engine, &biased(vec![(id, -100.0)])).await;
    assert!(banned.logprobs.iter().all(|place| place.token.text != likeliest.text));
    assert_eq!(
        banned.logprobs[0].top,
        [likeliest],
        "its logprob stays what the model says"
    );

    let other = template.complete_id("?");
    let forced = answer(&engine, &biased(vec![(other, 100.0)])).await;
    assert_eq!(forced.text, "????????");
    assert_eq!(forced.logprobs[0].top, plain.logprobs[0].top);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bias_for_a_token_that_is_not_there_is_refused() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let vocabulary = Template::read(&made.model()).vocabulary() as u32;
    let engine = ask::open(&made.model(), 1).await;
    let generate = async |token| {
        let sampling = Sampling {
            logit_bias: [(token, 1.0)].into(),
            ..Sampling::greedy(1)
        };
        let generation = ask::generation(&engine, &question(), &sampling, None);
        engine.generate(generation, EnginePermit::new(|| {})).await.err()
    };
    assert!(generate(vocabulary - 1).await.is_none());
    let error = generate(vocabulary).await.expect("refused");
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::InvalidRequest, Some("logit_bias"))
    );
    assert!(error.message().contains(&vocabulary.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_gives_the_same_beside_fifteen_others() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 16).await;
    let sampling = |seed| Sampling {
        temperature: 0.9,
        top_p: Some(0.9),
        presence_penalty: 0.5,
        seed: Some(seed),
        logit_bias: [(40, 2.0), (41, -2.0)].into(),
        ..scored(5, 32)
    };
    let alone = answer(&engine, &sampling(11)).await;
    assert_eq!(alone.logprobs.len(), 32);
    // The same seed twice, fourteen others.
    let seeds = [1, 2, 3, 4, 5, 11, 6, 7, 8, 9, 10, 12, 11, 13, 14, 15];
    let requests = seeds.map(|seed| {
        let (engine, sampling) = (&engine, sampling(seed));
        async move { answer(engine, &sampling).await }
    });
    for (seed, answer) in seeds.into_iter().zip(join_all(requests).await) {
        assert_eq!(answer == alone, seed == 11, "seed {seed}");
    }
}
