//! What an adapter's files must be. Each is a shipped adapter with one thing wrong, and the refusal names that thing.
//! Not here: adapters in memory.

use super::{
    common::{
        ask::{self, Engine},
        shipped,
        tensors::{self, Tensor, Tensors},
    },
    exclusive,
};
use riad_core::{
    ErrorKind,
    adapter::AdapterFiles,
    chat::{Message, Sampling},
};
use serde_json::{Value, json};

const Q_A: &str = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
const Q_B: &str = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight";

async fn refusal(engine: &Engine, files: &AdapterFiles) -> String {
    let error = engine.inspect_adapter(files).expect_err("a wrong adapter");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    format!("{}: {}", error.param().unwrap_or("no field"), error.message())
}

fn acme() -> AdapterFiles {
    ask::files(&shipped::acme())
}

fn with_tensors(change: impl FnOnce(&mut Tensors)) -> AdapterFiles {
    let mut all = tensors::read(&shipped::acme().join("adapter_model.safetensors"));
    change(&mut all);
    AdapterFiles {
        weights: tensors::bytes(&all).into(),
        ..acme()
    }
}

fn with_option(name: &str, value: Value) -> AdapterFiles {
    let mut config: Value = serde_json::from_slice(&acme().config).unwrap();
    config[name] = value;
    AdapterFiles {
        config: config.to_string().into(),
        ..acme()
    }
}

fn moved(all: &mut Tensors, from: &str, to: &str) {
    let tensor = all.remove(from).unwrap();
    all.insert(to.to_owned(), tensor);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_adapters_are_accepted_with_what_is_in_them() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 1).await;
    for folder in [shipped::acme(), shipped::globex()] {
        let files = ask::files(&folder);
        let info = engine.inspect_adapter(&files).unwrap();
        assert_eq!((info.rank, info.tensors), (8, 70));
        assert_eq!(info.bytes, files.weights.len() as u64);
    }
    assert_eq!(
        engine.adapter_counts().resident,
        0,
        "looking at an adapter does not keep it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tensors_that_do_not_fit_the_base_are_refused_by_name() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 1).await;
    let before = ask::ask(&engine, &[Message::user("Hello")], &Sampling::greedy(20), None)
        .await
        .unwrap();
    let cases: [(&str, AdapterFiles); 11] = [
        (
            Q_A,
            with_tensors(|all| _ = all.insert(Q_A.into(), Tensor::ones(&[8, 255]))),
        ),
        (
            Q_B,
            with_tensors(|all| _ = all.insert(Q_B.into(), Tensor::ones(&[257, 8]))),
        ),
        // Transposed.
        (
            Q_A,
            with_tensors(|all| _ = all.insert(Q_A.into(), Tensor::ones(&[256, 8]))),
        ),
        (
            Q_B,
            with_tensors(|all| _ = all.insert(Q_B.into(), Tensor::ones(&[8, 256]))),
        ),
        // Of another rank than the rest.
        (
            Q_A,
            with_tensors(|all| _ = all.insert(Q_A.into(), Tensor::ones(&[4, 256]))),
        ),
        (Q_A, with_tensors(|all| _ = all.remove(Q_B))),
        (Q_B, with_tensors(|all| _ = all.remove(Q_A))),
        (
            "base_model.model.model.layers.5.self_attn.q_proj.lora_A.weight",
            with_tensors(|all| {
                moved(
                    all,
                    Q_A,
                    "base_model.model.model.layers.5.self_attn.q_proj.lora_A.weight",
                )
            }),
        ),
        (
            "base_model.model.model.layers.0.self_attn.qkv_proj.lora_A.weight",
            with_tensors(|all| {
                moved(
                    all,
                    Q_A,
                    "base_model.model.model.layers.0.self_attn.qkv_proj.lora_A.weight",
                )
            }),
        ),
        (
            "model.layers.0.self_attn.q_proj.lora_A.weight",
            with_tensors(|all| moved(all, Q_A, "model.layers.0.self_attn.q_proj.lora_A.weight")),
        ),
        (Q_A, with_tensors(|all| all.get_mut(Q_A).unwrap().data[17] = f32::NAN)),
    ];
    for (at, (name, files)) in cases.iter().enumerate() {
        let message = refusal(&engine, files).await;
        assert!(message.contains(name), "case {at}: {message}");
        assert!(
            message.starts_with("adapter_model.safetensors: "),
            "case {at}: {message}"
        );
    }
    let after = ask::ask(&engine, &[Message::user("Hello")], &Sampling::greedy(20), None)
        .await
        .unwrap();
    assert_eq!(after, before, "what was refused left nothing behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn tensors_of_kinds_that_are_not_applied_are_refused_by_name() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 1).await;
    for (name, shape) in [
        ("base_model.model.model.embed_tokens.lora_embedding_A", [8, 3072]),
        ("base_model.model.model.embed_tokens.lora_A.weight", [8, 3072]),
        ("base_model.model.model.embed_tokens.weight", [3072, 256]),
        // The head is the embedding in this model: there is no layer of that name.
        ("base_model.model.lm_head.lora_A.weight", [8, 256]),
        ("base_model.model.model.norm.lora_A.weight", [8, 256]),
        (
            "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector",
            [1, 256],
        ),
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias", [1, 256]),
    ] {
        let files = with_tensors(|all| _ = all.insert(name.into(), Tensor::ones(&shape)));
        let message = refusal(&engine, &files).await;
        assert!(message.contains(name), "{name}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_with_other_meaning_is_refused_by_field() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 1).await;
    for (field, value) in [
        ("peft_type", json!("LOHA")),
        ("r", json!(0)),
        ("r", Value::Null),
        ("lora_alpha", json!(0)),
        ("lora_alpha", Value::Null),
        ("use_dora", json!(true)),
        ("bias", json!("all")),
        ("fan_in_fan_out", json!(true)),
        ("modules_to_save", json!(["lm_head"])),
        ("rank_pattern", json!(["q_proj"])),
        ("alpha_pattern", json!("q_proj")),
        ("target_modules", json!(5)),
        ("alora_invocation_tokens", json!([1, 2])),
        ("init_lora_weights", json!("pissa_niter_4")),
    ] {
        let message = refusal(&engine, &with_option(field, value.clone())).await;
        assert!(
            message.starts_with("adapter_config.json: "),
            "{field} {value}: {message}"
        );
        assert!(
            message.contains(&format!("adapter_config.json: {field} ")),
            "{field} {value}: {message}"
        );
    }
    let message = refusal(&engine, &with_option("lora_alpha", json!(1e300))).await;
    assert!(message.contains("not finite"), "{message}");
    let message = refusal(&engine, &with_option("lora_alpha", json!(1e20))).await;
    assert!(message.contains("too large"), "{message}");
    // The tensors have rank 8: whichever is met first is named.
    let message = refusal(&engine, &with_option("r", json!(4))).await;
    assert!(
        message.contains(".lora_A.weight") && message.contains("[8, 256]"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_something_else_are_refused() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 1).await;
    let whole = acme().weights;
    for weights in [
        whole.slice(..0),
        whole.slice(..100),
        whole.slice(..whole.len() - 1),
        "not safetensors".into(),
    ] {
        let message = refusal(&engine, &AdapterFiles { weights, ..acme() }).await;
        assert!(
            message.contains("adapter_model.safetensors cannot be read"),
            "{message}"
        );
    }
    for config in ["", "{", "[]", "{\"r\": \"eight\"}"] {
        let files = AdapterFiles {
            config: config.into(),
            ..acme()
        };
        let message = refusal(&engine, &files).await;
        assert!(
            message.contains("adapter_config.json is not a PEFT configuration"),
            "{config}: {message}"
        );
    }
    let message = refusal(&engine, &with_tensors(Tensors::clear)).await;
    assert!(message.contains("no tensors"), "{message}");
}
