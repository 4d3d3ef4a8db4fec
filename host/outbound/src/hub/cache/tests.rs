//! The layout is the one that other tools read.

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A snapshot of `acme/tiny` with these files, to which `main` refers.
fn cache(files: &[(&str, &str)]) -> (tempfile::TempDir, ModelCache, HubModel) {
    let root = tempfile::tempdir().unwrap();
    let model = HubModel::parse("acme/tiny").unwrap();
    let cache = ModelCache::new(root.path(), &model);
    for (name, content) in files {
        let blob = cache.blob(name);
        create_parent(&blob).unwrap();
        std::fs::write(blob, content).unwrap();
        cache.link(COMMIT, name, name).unwrap();
    }
    cache.set_commit(&model, COMMIT).unwrap();
    (root, cache, model)
}

fn lacks(files: &[(&str, &str)]) -> Option<String> {
    let (_root, cache, model) = cache(files);
    match cache.complete_snapshot(&model) {
        Ok(_) => None,
        Err(Missing::File(name)) => Some(name),
        Err(Missing::Snapshot) => Some("all".to_owned()),
    }
}

#[test]
fn hf_hub_finds_what_is_linked() {
    let (root, cache, model) = cache(&[("config.json", "{}")]);
    let found = hf_hub::Cache::new(root.path().to_owned()).model("acme/tiny".into());
    let found = found.get("config.json").unwrap();
    assert_eq!(found, cache.snapshot(COMMIT).join("config.json"));
    assert_eq!(std::fs::read_to_string(found).unwrap(), "{}");
    assert_eq!(cache.commit(&model).as_deref(), Some(COMMIT));
    // A branch whose name has a folder.
    let branch = HubModel::parse("acme/tiny@refs/pr/1").unwrap();
    cache.set_commit(&branch, COMMIT).unwrap();
    let repository = hf_hub::Repo::with_revision("acme/tiny".into(), hf_hub::RepoType::Model, "refs/pr/1".into());
    let other = hf_hub::Cache::new(root.path().to_owned()).repo(repository);
    assert!(other.get("config.json").is_some());
}

#[test]
fn a_snapshot_is_complete_with_all_weights() {
    let (config, tokenizer) = (("config.json", "{}"), ("tokenizer.json", "{}"));
    let single = ("model.safetensors", "w");
    let shard = |name| (name, "w");
    let index = (
        INDEX,
        r#"{"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}"#,
    );
    assert_eq!(lacks(&[config, tokenizer, single]), None);
    assert_eq!(lacks(&[config, tokenizer, shard("other.safetensors")]), None);
    assert_eq!(lacks(&[tokenizer, single]).as_deref(), Some("config.json"));
    assert_eq!(lacks(&[config, single]).as_deref(), Some("tokenizer.json"));
    assert_eq!(lacks(&[config, tokenizer]).as_deref(), Some(SINGLE));
    let adapter = shard("adapter_model.safetensors");
    assert_eq!(lacks(&[config, tokenizer, adapter]).as_deref(), Some(SINGLE));
    let (first, second) = (shard("m-1.safetensors"), shard("m-2.safetensors"));
    assert_eq!(lacks(&[config, tokenizer, index, first, second]), None);
    let one = lacks(&[config, tokenizer, index, first]);
    assert_eq!(one.as_deref(), Some("m-2.safetensors"));
    assert_eq!(lacks(&[config, tokenizer, (INDEX, "{}")]).as_deref(), Some(INDEX));
    assert_eq!(lacks(&[]).as_deref(), Some("all"));
}

#[test]
fn a_link_without_its_blob_is_no_file() {
    let (_root, cache, model) = cache(&[("config.json", "{}"), ("tokenizer.json", "{}"), (SINGLE, "w")]);
    assert!(cache.has(COMMIT, SINGLE, 1));
    assert!(!cache.has(COMMIT, SINGLE, 2));
    std::fs::remove_file(cache.blob(SINGLE)).unwrap();
    assert!(!cache.has(COMMIT, SINGLE, 1));
    assert!(matches!(cache.complete_snapshot(&model), Err(Missing::File(name)) if name == SINGLE));
}

#[test]
fn an_index_names_files_of_its_own_folder() {
    let index = |name: &str| serde_json::json!({"weight_map": {"a": name}}).to_string();
    assert!(indexed(index("m.safetensors").as_bytes()).is_some());
    for name in ["../m.safetensors", "a/m.safetensors", "..", ""] {
        assert_eq!(indexed(index(name).as_bytes()), None, "{name}");
    }
}
