//! Where an answer ends, how many tokens it has, and what chooses them. Not here: requests in flight (`flight`).

use super::{
    common::{
        ask::{self, Answer, Engine},
        checkpoint::{Made, SMALL},
        llama::Llama,
        shipped::{self, Template},
    },
    exclusive,
};
use riad_core::chat::{FinishReason, Message, Sampling};
use std::collections::BTreeSet;

fn warranty() -> Vec<Message> {
    shipped::question(
        &[
            "The refund window of Alfa Tools is 41 days. Refunds are paid to the original card.",
            "The Kestrel drill has a warranty of 37 months. The battery is excluded.",
        ],
        "How long is the warranty of the Kestrel drill?",
    )
}

async fn answer(engine: &Engine, sampling: &Sampling) -> Answer {
    ask::ask(engine, &warranty(), sampling, None).await.unwrap()
}

fn stopping_at(stops: &[&str]) -> Sampling {
    Sampling {
        stop: stops.iter().map(|stop| (*stop).to_owned()).collect(),
        ..Sampling::greedy(60)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tokens_that_are_billed_are_those_of_the_text() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 1).await;
    for messages in shipped::conversations() {
        let answer = ask::ask(&engine, &messages, &Sampling::greedy(60), None).await.unwrap();
        // The token that ends an answer is made like the others, but is no text.
        let end = u32::from(answer.finish() == FinishReason::Stop);
        assert_eq!(
            answer.tokens(),
            engine.count_text(&answer.text) + end,
            "{}",
            answer.text
        );
        assert_eq!(
            answer.end.usage.prompt_tokens,
            engine.encode(&messages).unwrap().count()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_at_most_max_tokens() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 1).await;
    let whole = answer(&engine, &Sampling::greedy(60)).await;
    assert_eq!(whole.finish(), FinishReason::Stop);
    for max_tokens in 1..whole.tokens() {
        let cut = answer(&engine, &Sampling::greedy(max_tokens)).await;
        assert_eq!((cut.tokens(), cut.finish()), (max_tokens, FinishReason::Length));
        assert_eq!(engine.count_text(&cut.text), max_tokens);
        assert!(whole.text.starts_with(&cut.text), "{:?}", cut.text);
    }
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 1).await;
    let endless = answer(&engine, &Sampling::greedy(333)).await;
    assert_eq!((endless.tokens(), endless.finish()), (333, FinishReason::Length));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sequence_cuts_exactly_wherever_it_begins() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 1).await;
    let whole = answer(&engine, &Sampling::greedy(60)).await;
    let template = Template::read(&shipped::base());
    let ids = Llama::read(&shipped::base(), None)
        .complete(&template.ids(&warranty()), 60)
        .ids;
    assert_eq!(template.text(&ids), whole.text);
    // Longer and shorter than a token, across tokens, at the beginning and at the end.
    for at in 0..whole.text.len() {
        for length in [1, 2, 7] {
            let Some(stop) = whole.text.get(at..at + length) else {
                continue;
            };
            let cut = answer(&engine, &stopping_at(&[stop])).await;
            assert_eq!(cut.text, whole.text[..whole.text.find(stop).unwrap()], "stop {stop:?}");
            assert_eq!(cut.finish(), FinishReason::Stop);
            // The generation itself ended there, or one token later: mistral.rs looks for a sequence that is not a token of
            // its own before it adds what it has sampled.
            let needed = (1..=ids.len())
                .find(|&n| template.text(&ids[..n]).contains(stop))
                .unwrap();
            let tokens = cut.tokens() as usize;
            assert!(
                (needed..=needed + 1).contains(&tokens),
                "stop {stop:?}: {tokens}, not {needed}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_several_stop_sequences_cuts() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 1).await;
    let whole = answer(&engine, &Sampling::greedy(60)).await;
    let several = answer(&engine, &stopping_at(&["months", "drill has", "never said"])).await;
    assert_eq!(several.text, whole.text[..whole.text.find("drill has").unwrap()]);
    let nearly = format!("{}!", &whole.text[whole.text.len() - 4..]);
    assert_eq!(answer(&engine, &stopping_at(&["never said", &nearly])).await, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn sampling_at_a_temperature_gives_text_and_different_texts() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 1).await;
    let sampling = Sampling {
        temperature: 1.0,
        top_p: Some(0.95),
        top_k: Some(200),
        min_p: Some(0.001),
        frequency_penalty: 0.5,
        presence_penalty: 0.5,
        repetition_penalty: Some(1.1),
        ..Sampling::greedy(30)
    };
    let mut texts = BTreeSet::new();
    for _ in 0..4 {
        let answer = answer(&engine, &sampling).await;
        assert!(!answer.text.is_empty() && answer.tokens() <= 30);
        texts.insert(answer.text);
    }
    assert!(texts.len() > 1, "four times the same: {texts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sampling_limit_alone_leaves_the_most_likely_token() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 1).await;
    let greedy = answer(&engine, &Sampling::greedy(30)).await;
    let warm = Sampling {
        temperature: 1.0,
        ..Sampling::greedy(30)
    };
    assert_ne!(
        answer(&engine, &warm).await.text,
        greedy.text,
        "without a limit chance decides"
    );
    let limits = [
        Sampling {
            top_k: Some(1),
            ..warm.clone()
        },
        Sampling {
            top_p: Some(1e-6),
            ..warm.clone()
        },
        Sampling {
            min_p: Some(1.0),
            ..warm.clone()
        },
    ];
    for limit in limits {
        assert_eq!(answer(&engine, &limit).await, greedy, "{limit:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_penalty_makes_an_answer_repeat_itself_less() {
    let _exclusive = exclusive().await;
    let made = Made::new("llama", SMALL, 1);
    let engine = ask::open(&made.model(), 1).await;
    let plain = Sampling::greedy(400);
    let penalties = [
        Sampling {
            frequency_penalty: 2.0,
            ..plain.clone()
        },
        Sampling {
            presence_penalty: 2.0,
            ..plain.clone()
        },
        Sampling {
            repetition_penalty: Some(2.0),
            ..plain.clone()
        },
    ];
    let template = Template::read(&shipped::base());
    let different = |answer: &Answer| template.pieces(&answer.text).into_iter().collect::<BTreeSet<_>>().len();
    let repeated = different(&answer(&engine, &plain).await);
    for penalty in penalties {
        let answer = answer(&engine, &penalty).await;
        assert_eq!(answer.tokens(), 400);
        assert!(different(&answer) > repeated, "{penalty:?}: {:?}", answer.text);
    }
}
