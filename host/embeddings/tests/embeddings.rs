//! Tiny random models beside what Hugging Face's transformers says of them (`data/make.py`).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers around the tests; a broken assumption should stop them loudly"
)]

use riad_core::{
    ErrorKind, Result,
    ports::{Embedder, TextRole},
};
use riad_embeddings::{check, check_reranker, open, open_reranker};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The numbers have six digits behind the point.
const CLOSE: f64 = 2e-5;

fn data(name: &str) -> PathBuf {
    Path::new(env!("RIAD_SOURCE"))
        .join("host/embeddings/tests/data")
        .join(name)
}

fn reference() -> Value {
    serde_json::from_slice(&fs::read(data("reference.json")).unwrap()).unwrap()
}

fn texts() -> Vec<String> {
    serde_json::from_value(reference()["texts"].clone()).unwrap()
}

/// What a test makes of one JSON file of a model.
type Change = fn(&mut Value);

/// A copy of a model, with some of its JSON files changed.
fn changed(name: &str, changes: &[(&str, Change)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&data(name), folder.path());
    for (file, change) in changes {
        let path = folder.path().join(file);
        let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        fs::write(&path, value.to_string()).unwrap();
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

fn assert_close(found: &[f32], expected: &Value, what: &str) {
    let expected: Vec<f64> = serde_json::from_value(expected.clone()).unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (f64::from(*found) - expected).abs() < CLOSE,
            "{what}: {found} {expected}"
        );
    }
}

fn assert_embeds(embedder: &Arc<dyn Embedder>, pooling: &str) {
    for (name, role) in [
        ("query", TextRole::Query),
        ("passage", TextRole::Passage),
        ("unknown", TextRole::Unknown),
    ] {
        let expected = &reference()["embeddings"][name];
        let (vectors, tokens) = embedder.embed(&texts(), role).unwrap();
        assert_eq!(json!(tokens), expected["tokens"], "{name}");
        for (index, (text, vector)) in texts().iter().zip(&vectors).enumerate() {
            assert_close(vector, &expected[pooling][index], &format!("{name}, {text:?}"));
        }
    }
}

#[test]
fn a_bert_gives_the_vectors_of_transformers() {
    let embedder = open(&data("bert")).unwrap();
    assert_embeds(&embedder, "mean");
    assert_eq!(embedder.name(), "bert-32");
    assert_eq!(embedder.space().dimensions, 32);
}

#[test]
fn the_first_token_is_pooled_where_the_folder_says_so() {
    let folder = changed(
        "bert",
        &[("1_Pooling/config.json", |file| {
            file["pooling_mode_mean_tokens"] = json!(false);
            file["pooling_mode_cls_token"] = json!(true);
        })],
    );
    let embedder = open(folder.path()).unwrap();
    assert_embeds(&embedder, "cls");
    let mean = open(&data("bert")).unwrap();
    assert_ne!(embedder.space(), mean.space(), "their vectors must not meet");
}

#[test]
fn a_text_has_the_same_vector_alone_and_among_others() {
    let embedder = open(&data("bert")).unwrap();
    let (together, _) = embedder.embed(&texts(), TextRole::Passage).unwrap();
    for (text, vector) in texts().into_iter().zip(together) {
        let (alone, _) = embedder.embed(std::slice::from_ref(&text), TextRole::Passage).unwrap();
        assert_close(&alone[0], &json!(vector), &text);
    }
    assert_eq!(embedder.embed(&[], TextRole::Passage).unwrap(), (Vec::new(), 0));
}

#[test]
fn a_long_text_is_cut_and_only_what_is_read_counts() {
    let embedder = open(&data("bert")).unwrap();
    let long = "snow and ".repeat(200_000);
    let (vectors, tokens) = embedder.embed(std::slice::from_ref(&long), TextRole::Unknown).unwrap();
    assert_eq!(tokens, 24);
    assert_eq!(embedder.counted(), 24);
    let (short, _) = embedder.embed(&["snow and ".repeat(11)], TextRole::Unknown).unwrap();
    assert_eq!(vectors, short);
    assert_eq!(embedder.most_tokens(long.len()), 24);
    // Spaces are no tokens, but the rest of the text is read all the same.
    let spaces = format!("{}snow", " ".repeat(100_000));
    let (vectors, tokens) = embedder.embed(&[spaces, "snow".into()], TextRole::Unknown).unwrap();
    assert_eq!((tokens, &vectors[0]), (6, &vectors[1]));
}

#[test]
fn no_text_has_more_tokens_than_it_may() {
    let embedder = open(&data("bert")).unwrap();
    for text in ["", "é", "\u{FDFA}", "北", "unbelievably", "a b c d e f g h i j k l m n"] {
        for role in [TextRole::Query, TextRole::Passage, TextRole::Unknown] {
            let (_, tokens) = embedder.embed(&[text.to_owned()], role).unwrap();
            assert!(
                u64::from(tokens) <= embedder.most_tokens(text.len()),
                "{text:?}: {tokens}"
            );
        }
    }
}

#[test]
fn a_bert_computes_on_one_thread_beside_a_busy_pool() {
    use std::sync::{Barrier, mpsc};
    let embedder = open(&data("bert")).unwrap();
    let threads = rayon::current_num_threads();
    let (held, release) = (Arc::new(Barrier::new(threads + 1)), Arc::new(Barrier::new(threads + 1)));
    for _ in 0..threads {
        let (held, release) = (held.clone(), release.clone());
        rayon::spawn(move || {
            held.wait();
            release.wait();
        });
    }
    held.wait();
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(embedder.embed(&texts(), TextRole::Query).is_ok()));
    let embedded = result.recv_timeout(std::time::Duration::from_secs(20));
    release.wait();
    assert_eq!(embedded, Ok(true), "it waits for rayon's global pool");
}

#[test]
fn a_cross_encoder_gives_the_scores_of_transformers() {
    let reranker = open_reranker(&data("cross-encoder")).unwrap();
    let reference = reference();
    let query = reference["query"].as_str().unwrap();
    let expected = &reference["cross_encoder"];
    let (scores, tokens) = reranker.score(query, &texts()).unwrap();
    assert_eq!(json!(tokens), expected["tokens"]);
    assert_close(&scores, &expected["scores"], "scores");
    let spread = scores
        .iter()
        .fold(0.0_f32, |spread, score| spread.max((score - scores[0]).abs()));
    assert!(
        spread > 0.05,
        "a model that says the same of all passages tests nothing: {scores:?}"
    );
    assert_eq!(json!(reranker.counted()), expected["tokens"]);
    let (alone, _) = reranker.score(query, &texts()[3..4]).unwrap();
    assert!((alone[0] - scores[3]).abs() < 1e-5);
    let most: u64 = texts()
        .iter()
        .map(|text| reranker.most_tokens(query.len(), text.len()))
        .sum();
    assert!(u64::from(tokens) <= most);
}

#[test]
fn a_folder_says_what_it_has() {
    let shipped = Path::new(env!("RIAD_SOURCE")).join("host/models/embed");
    assert_eq!(check(&shipped).unwrap().kind, "Model2Vec");
    let bert = check(&data("bert")).unwrap();
    assert_eq!(bert.kind, "BERT");
    let weights = fs::metadata(data("bert").join("model.safetensors")).unwrap().len();
    assert!(
        bert.bytes < weights && bert.bytes > weights - 5_000,
        "{} {weights}",
        bert.bytes
    );
    check_reranker(&data("cross-encoder")).unwrap();
    assert!(open(&shipped).unwrap().name().starts_with("static-"));
}

#[test]
fn what_is_no_model_is_refused_with_what_is_expected() {
    let cases: [(&str, &str, Change, &str); 8] = [
        (
            "bert",
            "config.json",
            |file| file["model_type"] = json!("mpnet"),
            "model_type of this one is `mpnet`",
        ),
        (
            "bert",
            "modules.json",
            |file| file[2]["type"] = json!("sentence_transformers.models.Dense"),
            "Dense",
        ),
        (
            "bert",
            "1_Pooling/config.json",
            |file| file["pooling_mode_max_tokens"] = json!(true),
            "pooling",
        ),
        (
            "bert",
            "1_Pooling/config.json",
            |file| file["include_prompt"] = json!(false),
            "prompts",
        ),
        (
            "bert",
            "config.json",
            |file| file["num_attention_heads"] = json!(0),
            "num_attention_heads",
        ),
        (
            "bert",
            "config.json",
            |file| file["num_hidden_layers"] = json!(3),
            "layer.2",
        ),
        (
            "bert",
            "config.json",
            |file| file["position_embedding_type"] = json!("alibi"),
            "alibi",
        ),
        (
            "bert",
            "sentence_bert_config.json",
            |file| file["max_seq_length"] = json!(2),
            "2 tokens",
        ),
    ];
    for (name, file, change, why) in cases {
        let folder = changed(name, &[(file, change)]);
        let error = open(folder.path()).err().unwrap();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::InvalidRequest, Some("embeddings.model"))
        );
        assert!(error.message().contains(why), "{why}: {}", error.message());
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(open(empty.path()).err().unwrap().message().contains("config.json"));
    // A tokenizer whose tokens the model does not have.
    let other = changed("bert", &[]);
    let shipped = Path::new(env!("RIAD_SOURCE")).join("host/models/embed/tokenizer.json");
    fs::copy(shipped, other.path().join("tokenizer.json")).unwrap();
    assert_eq!(open(other.path()).err().unwrap().param(), Some("embeddings.model"));
    let cut = changed("bert", &[]);
    let weights = cut.path().join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() - 1]).unwrap();
    assert!(check(cut.path()).is_err() && open(cut.path()).is_err());

    let error = open_reranker(&data("bert")).err().unwrap();
    assert_eq!(error.param(), Some("search.rerank_model"));
    assert!(error.message().contains("one label"), "{}", error.message());
    let labels = changed(
        "cross-encoder",
        &[("config.json", |file| {
            file["id2label"] = json!({"0": "no", "1": "yes"});
        })],
    );
    assert!(check_reranker(labels.path()).is_err());
    assert!(open(&data("cross-encoder")).is_err(), "it gives no vectors");
}
