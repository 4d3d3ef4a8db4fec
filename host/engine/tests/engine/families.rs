//! Every family that takes adapters, on checkpoints of random numbers: the engine says what an independent implementation
//! says, and an active adapter is the same as one that is merged into the weights. A family outside of the list runs,
//! but takes no adapter. Not here: the shipped model (`reference`).

use crate::common::{
    ask::{self, Answer, Engine},
    checkpoint::{HEAD, Made, SMALL},
    llama::Llama,
    shipped::{self, Template},
};
use futures::future::join_all;
use riad_core::{
    ErrorKind,
    adapter::AdapterSource,
    chat::{FinishReason, Message, Sampling},
    ports::EnginePermit,
};
use serde_json::json;
use std::path::Path;

const MAX_TOKENS: u32 = 24;
const FAMILIES: [&str; 7] = ["llama", "mistral", "qwen2", "qwen3", "smollm3", "phi3", "gemma2"];

fn prompts() -> Vec<Vec<Message>> {
    vec![
        vec![Message::user("Hello")],
        shipped::question(&["Support is open from Monday to Friday."], "When is support open?"),
        vec![Message::user("What is the vault code? It has 4 digits.")],
    ]
}

async fn answers(engine: &Engine, adapter: Option<&AdapterSource>) -> Vec<Answer> {
    let sampling = Sampling::greedy(MAX_TOKENS);
    let mut answers = Vec::new();
    for prompt in prompts() {
        answers.push(ask::ask(engine, &prompt, &sampling, adapter).await.unwrap());
    }
    answers
}

fn texts(answers: &[Answer]) -> Vec<&str> {
    answers.iter().map(|answer| answer.text.as_str()).collect()
}

/// What the independent implementation says.
fn expected(model: &Path, adapter: Option<&AdapterSource>) -> Vec<String> {
    let template = Template::read(model);
    let reference = Llama::read(model, adapter.map(|source| source.folder.as_path()));
    let say = |prompt: &Vec<Message>| {
        let completion = reference.complete(&template.ids(prompt), MAX_TOKENS as usize);
        assert!(
            completion.margin > 1e-5,
            "too close to a tie to be compared: {}",
            completion.margin
        );
        template.answer(&completion.ids)
    };
    prompts().iter().map(say).collect()
}

async fn family_keeps_its_promises(family: &str) {
    let made = Made::new(family, SMALL, 7);
    let adapter = made.adapter("adapter", &made.matrices(), 8);
    let engine = ask::open(&made.model(), 2).await;

    let base = answers(&engine, None).await;
    assert_eq!(texts(&base), expected(&made.model(), None), "the base");
    assert!(
        base.iter()
            .all(|a| a.finish() == FinishReason::Length && a.tokens() == MAX_TOKENS)
    );
    assert_eq!(answers(&engine, None).await, base, "the same again");

    let info = engine.inspect_adapter(&ask::files(&adapter.folder)).unwrap();
    let tensors = made.matrices().len() as u32 * 2;
    assert_eq!((info.rank, info.tensors), (4, tensors));
    let adapted = answers(&engine, Some(&adapter)).await;
    assert_eq!(texts(&adapted), expected(&made.model(), Some(&adapter)), "the adapter");
    assert!(
        adapted
            .iter()
            .zip(&base)
            .all(|(adapted, base)| adapted.text != base.text),
        "the adapter changes what is said"
    );
    assert!(adapted.iter().all(|answer| answer.end.adapter_tensors == tensors));

    let merged = ask::open(&made.merged(&adapter.folder), 1).await;
    assert_eq!(
        texts(&answers(&merged, None).await),
        texts(&adapted),
        "active as merged"
    );

    // In one batch.
    let both = join_all([answers(&engine, None), answers(&engine, Some(&adapter))]).await;
    assert_eq!(both, [base, adapted]);
}

#[tokio::test(flavor = "multi_thread")]
async fn llama_keeps_its_promises() {
    family_keeps_its_promises("llama").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistral_keeps_its_promises() {
    family_keeps_its_promises("mistral").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn qwen2_keeps_its_promises() {
    family_keeps_its_promises("qwen2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn qwen3_keeps_its_promises() {
    family_keeps_its_promises("qwen3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn smollm3_keeps_its_promises() {
    family_keeps_its_promises("smollm3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phi3_keeps_its_promises() {
    family_keeps_its_promises("phi3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gemma2_keeps_its_promises() {
    family_keeps_its_promises("gemma2").await;
}

/// Each matrix by itself, so that none hides behind the others.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_matrices_is_adapted() {
    for family in FAMILIES {
        let made = Made::new(family, SMALL, 7);
        let engine = ask::open(&made.model(), 1).await;
        let base = answers(&engine, None).await;
        for (at, matrix) in made.matrices().iter().enumerate() {
            let adapter = made.adapter(&format!("adapter-{at}"), std::slice::from_ref(matrix), at as u64);
            let adapted = answers(&engine, Some(&adapter)).await;
            assert_eq!(
                texts(&adapted),
                expected(&made.model(), Some(&adapter)),
                "{family} {}",
                matrix.0
            );
            assert_ne!(texts(&adapted), texts(&base), "{family} {}", matrix.0);
            assert_eq!(adapted[0].end.adapter_tensors, 2);
        }
    }
}

/// Ranks and alphas of single layers, in each spelling of the layers that PEFT reads.
#[tokio::test(flavor = "multi_thread")]
async fn ranks_and_alphas_of_single_layers_are_pefts() {
    let made = Made::new("llama", SMALL, 7);
    let engine = ask::open(&made.model(), 2).await;
    let rank = |layer: &str| match layer {
        _ if layer.ends_with("q_proj") => 2,
        "model.layers.1.mlp.up_proj" => 9,
        _ => 4,
    };
    let mut told = std::collections::BTreeSet::new();
    for (number, (targets, stabilized)) in [
        (
            json!([
                "q_proj",
                "k_proj",
                "v_proj",
                "o_proj",
                "gate_proj",
                "up_proj",
                "down_proj"
            ]),
            false,
        ),
        (json!(r".*\.(self_attn|mlp)\.\w+_proj"), true),
        (json!("all-linear"), false),
    ]
    .into_iter()
    .enumerate()
    {
        let config = json!({
            "peft_type": "LORA", "r": 4, "lora_alpha": 3, "use_rslora": stabilized, "target_modules": targets,
            "rank_pattern": {"q_proj": 2, r"model\.layers\.1\.mlp\.up_proj": 9},
            "alpha_pattern": {"o_proj": 12, "1.mlp.down_proj": 0.5},
        });
        let name = format!("adapter-{number}");
        let adapter = made.adapter_of_ranks(rank, config, &name, &made.matrices(), 8);
        let info = engine.inspect_adapter(&ask::files(&adapter.folder)).unwrap();
        assert_eq!((info.rank, info.tensors), (9, 28), "the greatest rank");
        let adapted = answers(&engine, Some(&adapter)).await;
        assert_eq!(texts(&adapted), expected(&made.model(), Some(&adapter)), "{name}");
        told.insert(adapted[0].text.clone());
    }
    assert_eq!(
        told.len(),
        2,
        "rank-stabilized or not makes a difference, the spelling none"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_its_own_is_adapted_too() {
    let made = Made::new("llama", SMALL, 7);
    let vocabulary = Template::read(&made.model()).vocabulary();
    let head = [(HEAD.to_owned(), vocabulary, SMALL.hidden)];
    let adapter = made.adapter("adapter", &head, 8);
    let engine = ask::open(&made.model(), 1).await;
    let adapted = answers(&engine, Some(&adapter)).await;
    assert_eq!(texts(&adapted), expected(&made.model(), Some(&adapter)));
    assert_ne!(texts(&adapted), texts(&answers(&engine, None).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_outside_of_the_list_runs_but_takes_no_adapter() {
    let made = Made::new("gemma", SMALL, 7);
    let adapter = made.adapter("adapter", &made.matrices(), 8);
    let engine = ask::open(&made.model(), 1).await;
    let base = answers(&engine, None).await;
    assert!(base.iter().all(|answer| answer.tokens() == MAX_TOKENS));

    let refused = engine.inspect_adapter(&ask::files(&adapter.folder)).unwrap_err();
    let generation = ask::generation(&engine, &prompts()[0], &Sampling::greedy(MAX_TOKENS), Some(&adapter));
    let not_answered = engine
        .generate(generation, EnginePermit::new(|| {}))
        .await
        .err()
        .expect("no answer");
    for error in [refused, not_answered] {
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        for word in FAMILIES.iter().chain(&["\"gemma\""]) {
            assert!(error.message().contains(word), "{error}");
        }
    }
    assert_eq!(answers(&engine, None).await, base);
}
