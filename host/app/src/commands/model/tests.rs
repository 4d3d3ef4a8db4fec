//! A model of any folder is described, with numbers for machines.

use super::*;
use crate::commands::check::Status;
use std::{fs, path::Path};

/// A folder with one bf16 layer of 8 × 8 and a table of 10 × 8.
fn model(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
    write("config.json", config.as_bytes());
    write("tokenizer.json", b"{}");
    let header = r#"{"model.embed_tokens.weight": {"dtype": "BF16", "shape": [10, 8], "data_offsets": [0, 160]},
        "model.layers.0.mlp.up_proj.weight": {"dtype": "BF16", "shape": [8, 8], "data_offsets": [160, 288]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.resize(file.len() + 288, 0);
    write("model.safetensors", &file);
    folder
}

const LLAMA: &str = r#"{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "max_position_embeddings": 64,
    "num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 8}"#;

fn report(folder: &Path, change: impl FnOnce(&mut Config)) -> Report {
    let mut config = Config::default();
    config.engine.model = Some(folder.display().to_string());
    config.engine.kv_cache_tokens = 1000;
    change(&mut config);
    Report::of(&config)
}

#[track_caller]
fn found(report: &Report, name: &str, status: Status, words: &str) {
    let check = report.checks.iter().find(|check| check.name == name).expect(name);
    assert_eq!(check.status, status, "{check:?}");
    assert!(check.message.contains(words), "{check:?}");
}

#[test]
fn what_works_and_what_it_needs_are_said() {
    let folder = model(LLAMA);
    let report = report(folder.path(), |_| {});
    found(&report, "model", Status::Ok, "llama");
    found(&report, "adapters", Status::Ok, "llama");
    found(&report, "quantization", Status::Ok, "none");
    found(&report, "number format", Status::Ok, "bf16 in the files");
    found(&report, "memory", Status::Ok, "KV cache of 1000 tokens");
    let json = report.json();
    assert_eq!(
        (&json["ok"], &json["adapters"], &json["dtype"], &json["context_tokens"]),
        (&json!(true), &json!(true), &json!("bf16"), &json!(64))
    );
    assert_eq!(json["memory"]["weights_bytes"], 80 * 4 + 64 * 2);
    // One block more than asked, in f32: two heads of four, keys and values.
    assert_eq!(json["memory"]["kv_cache_bytes"], (1000 + 32) * 2 * 2 * 4 * 4);
}

#[test]
fn what_does_not_work_is_named() {
    let phi = LLAMA.replace("llama", "phi").replace("Llama", "Phi");
    let phi = phi.replace(
        "\"num_hidden",
        "\"quantization_config\": {\"quant_method\": \"gptq\"}, \"num_hidden",
    );
    let folder = model(&phi);
    let report_of_phi = report(folder.path(), |_| {});
    found(&report_of_phi, "adapters", Status::Warn, "qwen3");
    found(&report_of_phi, "quantization", Status::Warn, "gptq");
    assert_eq!(report_of_phi.json()["ok"], true);

    let folder = model(LLAMA);
    let big = report(folder.path(), |config| {
        config.engine.kv_cache_tokens = 1_000_000_000_000
    });
    found(&big, "memory", Status::Fail, "lower engine.kv_cache_tokens");
    assert_eq!(big.json()["ok"], false);

    fs::remove_file(folder.path().join("config.json")).unwrap();
    let gone = report(folder.path(), |config| config.engine.profile.context_tokens = Some(64));
    found(&gone, "model", Status::Fail, "config.json");
    assert_eq!(gone.json().get("memory"), None);
}

#[test]
#[cfg(feature = "mistralrs")]
fn an_architecture_that_mistral_rs_does_not_have_fails() {
    let folder = model(&LLAMA.replace("LlamaForCausalLM", "BertModel"));
    found(&report(folder.path(), |_| {}), "model", Status::Fail, "BertModel");
}
