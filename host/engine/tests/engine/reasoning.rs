//! Models whose tokenizer has tokens around a reasoning: what is reasoning, what is the answer, and what is counted. The models here write
//! the same tokens whatever they are asked. Not here: every way in which a text can be cut (unit tests).

use super::{
    common::{
        ask::{self, Answer, Engine},
        checkpoint::{HEAD, Made, SMALL},
        shipped::{self, Template},
        tensors::Tensors,
    },
    exclusive,
};
use riad_core::chat::{FinishReason, Message, Sampling};
use std::fs;

/// Special tokens of the shipped tokenizer, in whose place the models here have their markers.
const SPARE: [(&str, &str); 2] = [("<|begin|>", "<think>"), ("<|pad|>", "</think>")];
const OPEN: u32 = 0;
const CLOSE: u32 = 1;
/// The prompt's last token.
const ASSISTANT: u32 = 4;
const END: u32 = 5;
const THOUGHT: &str = " ab";
const ANSWER: &str = " xyz";

/// A model that writes each of the tokens after the one before it, beginning after `first`. Its layers add nothing, so that what it writes
/// depends on the last token only.
fn writes(first: u32, tokens: &[u32]) -> Made {
    let path: Vec<u32> = [first].into_iter().chain(tokens.iter().copied()).collect();
    let change = |tensors: &mut Tensors| {
        for (name, tensor) in &mut *tensors {
            if name.ends_with("norm.weight") {
                tensor.data.fill(1.0);
            } else if name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight") || name.contains(HEAD) {
                tensor.data.fill(0.0);
            }
        }
        for (place, step) in path.windows(2).enumerate() {
            let words = tensors.get_mut("model.embed_tokens.weight").unwrap();
            words.row_mut(step[0] as usize).fill(0.0);
            words.row_mut(step[0] as usize)[place] = 1.0;
            tensors
                .get_mut(&format!("{HEAD}.weight"))
                .unwrap()
                .row_mut(step[1] as usize)[place] = 1.0;
        }
    };
    Made::changed("llama", SMALL, 1, change)
}

/// Changes the files beside the weights.
fn rewrite(made: &Made, replacements: &[(&str, &str)]) {
    for name in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"] {
        let path = made.model().join(name);
        let mut text = fs::read_to_string(&path).unwrap();
        for (from, to) in replacements {
            text = text.replace(from, to);
        }
        fs::write(path, text).unwrap();
    }
}

/// A model that thinks [`THOUGHT`] and answers [`ANSWER`]; with `opened`, its template writes the first marker.
fn reasoning_model(opened: bool) -> (Made, u32) {
    let template = Template::read(&shipped::base());
    let (thought, answer) = (template.pieces(THOUGHT), template.pieces(ANSWER));
    let open = if opened { vec![] } else { vec![OPEN] };
    let tokens = [&open[..], &thought, &[CLOSE], &answer, &[END]].concat();
    let made = writes(if opened { OPEN } else { ASSISTANT }, &tokens);
    rewrite(&made, &SPARE);
    if opened {
        // Of the two places in the template, the generation prompt.
        rewrite(&made, &[("%}<|assistant|>{%", "%}<|assistant|><think>{%")]);
    }
    let reasoning = open.len() + thought.len() + 1;
    (made, reasoning as u32)
}

async fn answer(engine: &Engine, sampling: &Sampling) -> Answer {
    ask::ask(engine, &[Message::user("Which?")], sampling, None)
        .await
        .unwrap()
}

fn outline(answer: &Answer) -> (&str, &str, FinishReason, Option<u32>) {
    (
        &answer.reasoning,
        &answer.text,
        answer.finish(),
        answer.end.reasoning_tokens,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn reasoning_and_answer_are_told_apart_and_counted() {
    let _exclusive = exclusive().await;
    for opened in [false, true] {
        let (made, reasoning) = reasoning_model(opened);
        let engine = ask::open(&made.model(), 1).await;
        let whole = answer(&engine, &Sampling::greedy(40)).await;
        assert_eq!(outline(&whole), ("ab", "xyz", FinishReason::Stop, Some(reasoning)));
        let answered = Template::read(&shipped::base()).pieces(ANSWER).len() as u32;
        assert_eq!(whole.tokens(), reasoning + answered + 1, "and the token that ends it");

        let cut = answer(&engine, &Sampling::greedy(reasoning - 1)).await;
        assert_eq!(outline(&cut), ("ab", "", FinishReason::Length, Some(reasoning - 1)));
        let cut = answer(&engine, &Sampling::greedy(reasoning)).await;
        assert_eq!(outline(&cut), ("ab", "", FinishReason::Length, Some(reasoning)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_and_logprobs_are_those_of_the_answer() {
    let _exclusive = exclusive().await;
    let (made, reasoning) = reasoning_model(false);
    let engine = ask::open(&made.model(), 1).await;
    let sampling = Sampling {
        logprobs: Some(1),
        ..Sampling::greedy(40)
    };
    let scored = answer(&engine, &sampling).await;
    let texts: String = scored.logprobs.iter().map(|place| &*place.token.text).collect();
    assert_eq!(texts, ANSWER);
    for (stop, text) in [("b", "xyz"), ("z", "xy"), ("think", "xyz")] {
        let stopping = Sampling {
            stop: vec![stop.to_owned()],
            ..sampling.clone()
        };
        let stopped = answer(&engine, &stopping).await;
        assert_eq!(
            outline(&stopped),
            ("ab", text, FinishReason::Stop, Some(reasoning)),
            "{stop}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_without_marker_tokens_writes_markers_as_text() {
    let _exclusive = exclusive().await;
    let template = Template::read(&shipped::base());
    // Each token once: what follows depends on it.
    let mut tokens = template.pieces("<think>xyz");
    tokens.push(END);
    assert!(
        (1..tokens.len()).all(|at| !tokens[..at].contains(&tokens[at])),
        "{tokens:?}"
    );
    let made = writes(ASSISTANT, &tokens);
    let engine = ask::open(&made.model(), 1).await;
    let whole = answer(&engine, &Sampling::greedy(40)).await;
    assert_eq!(outline(&whole), ("", "<think>xyz", FinishReason::Stop, None));
}
