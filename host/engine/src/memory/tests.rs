//! What a model needs, and what there is.

use super::*;

const CONFIG: &str = r#"{"model_type": "llama", "num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 8"#;

/// A checkpoint with tensors of a name, a number format and a shape.
fn checkpoint(more: &str, tensors: &[(&str, &str, &[u64])]) -> (tempfile::TempDir, Checkpoint) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| std::fs::write(folder.path().join(name), content).unwrap();
    write("config.json", format!("{CONFIG}{more}}}").as_bytes());
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, dtype, shape) in tensors {
        let width = if *dtype == "F32" { 4 } else { 2 };
        let from = end;
        end += shape.iter().product::<u64>() * width;
        header.insert(
            (*name).to_owned(),
            serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [from, end]}),
        );
    }
    let header = serde_json::Value::from(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.resize(file.len() + end as usize, 0);
    write("model.safetensors", &file);
    let opened = Checkpoint::open(folder.path().to_str().unwrap()).unwrap();
    (folder, opened)
}

fn need(checkpoint: &Checkpoint, dtype: Dtype) -> MemoryNeed {
    quantized(checkpoint, dtype, Quantization::None)
}

fn quantized(checkpoint: &Checkpoint, dtype: Dtype, quantization: Quantization) -> MemoryNeed {
    let weights = checkpoint.weights().unwrap();
    MemoryNeed::of(checkpoint, &weights, (dtype, quantization), 100).unwrap()
}

#[test]
fn linear_layers_stay_narrow_and_the_rest_is_wide() {
    let tensors: [(&str, &str, &[u64]); 4] = [
        ("model.embed_tokens.weight", "BF16", &[10, 8]),
        ("model.layers.0.self_attn.q_proj.weight", "BF16", &[8, 8]),
        ("model.layers.0.self_attn.o_proj.weight", "F32", &[8, 8]),
        ("model.norm.weight", "BF16", &[8]),
    ];
    let (_folder, untied) = checkpoint("", &tensors);
    assert_eq!(need(&untied, Dtype::Auto).weights, 80 * 4 + 64 * 2 + 64 * 4 + 8 * 4);
    assert_eq!(need(&untied, Dtype::Bf16).weights, 80 * 4 + 64 * 2 + 64 * 2 + 8 * 4);
    assert_eq!(need(&untied, Dtype::F16).weights, 2 * (80 + 64 + 64 + 8));
    assert_eq!(
        quantized(&untied, Dtype::Auto, Quantization::Q8_0).weights,
        80 * 4 + 2 * (64 + 4) + 8 * 4
    );
    let (_folder, tied) = checkpoint(r#", "tie_word_embeddings": true"#, &tensors);
    let table = 80 * 2;
    assert_eq!(
        need(&tied, Dtype::Auto).weights,
        need(&untied, Dtype::Auto).weights + table
    );
}

#[test]
fn the_cache_is_counted_in_the_format_that_it_has() {
    let (_folder, checkpoint) = checkpoint("", &[("w", "BF16", &[8, 8])]);
    let elements = 2 * 2 * 4;
    let tokens = 100 + BLOCK_SIZE as u64;
    assert_eq!(need(&checkpoint, Dtype::Auto).kv_cache, tokens * elements * 4);
    assert_eq!(need(&checkpoint, Dtype::F32).kv_cache, tokens * elements * 4);
    assert_eq!(need(&checkpoint, Dtype::Bf16).kv_cache, tokens * elements * 2);
    let error = kv_cache_bytes(&checkpoint, Dtype::Auto, usize::MAX / 4).unwrap_err();
    assert_eq!(error.param(), Some("engine.kv_cache_tokens"));
}

#[test]
fn a_model_that_does_not_fit_is_refused_with_the_numbers() {
    let need = MemoryNeed {
        weights: 3_000_000_000,
        kv_cache_tokens: 1000,
        kv_cache: 2_000_000_000,
    };
    check_need("tiny", &need, 5_000_000_000).unwrap();
    let error = check_need("tiny", &need, 4_000_000_000).unwrap_err();
    assert_eq!(
        error.message(),
        "\"tiny\" needs 5.0 GB of memory (3.0 GB of weights and 2.0 GB for a KV cache of 1000 tokens), and 4.0 GB are \
         available; lower engine.kv_cache_tokens or use a smaller model"
    );
    assert_eq!(error.param(), Some("engine.kv_cache_tokens"));
    let error = check_need("tiny", &need, 2_000_000_000).unwrap_err();
    assert!(error.message().ends_with("available; use a smaller model"), "{error}");
    assert_eq!(error.param(), Some("engine.model"));
}

#[test]
fn groups_of_both_versions_and_above_are_found() {
    let root = Path::new("/g");
    let found = |groups: &str| group_folders(root, groups);
    assert_eq!(found("0::/\n"), [root]);
    assert_eq!(found("0::/a/b\n"), ["/g/a/b", "/g/a", "/g"].map(PathBuf::from));
    assert_eq!(
        found("5:devices:/x\n4:cpu,memory:/a\n"),
        ["/g/memory/a", "/g/memory"].map(PathBuf::from)
    );
    assert!(found("nonsense\n").is_empty());
}

#[test]
fn a_group_leaves_what_its_limit_and_its_files_leave() {
    let group = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| std::fs::write(group.path().join(name), content).unwrap();
    assert_eq!(left_in_group(group.path()), None);
    write("memory.max", "max\n");
    write("memory.current", "700\n");
    assert_eq!(left_in_group(group.path()), None, "no limit");
    write("memory.max", "1000\n");
    assert_eq!(left_in_group(group.path()), Some(300));
    write("memory.stat", "anon 400\ninactive_file 100\nactive_file 50\n");
    assert_eq!(left_in_group(group.path()), Some(450));

    let group = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| std::fs::write(group.path().join(name), content).unwrap();
    write("memory.limit_in_bytes", "1000\n");
    write("memory.usage_in_bytes", "1200\n");
    write(
        "memory.stat",
        "active_file 1\ninactive_file 1\ntotal_active_file 500\ntotal_inactive_file 100\n",
    );
    assert_eq!(left_in_group(group.path()), Some(400));
}

#[test]
fn memory_tables_are_parsed() {
    assert_eq!(available_of("MemTotal: 9 kB\nMemAvailable:   5 kB\n"), Some(5120));
    for nonsense in ["", "x", "MemAvailable: lots kB"] {
        assert_eq!(available_of(nonsense), None);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn this_machine_reports_its_memory() {
    assert!(available_bytes().is_some_and(|bytes| bytes > 0));
}
