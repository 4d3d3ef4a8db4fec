//! Each check finds its problem and says so.

use super::{
    check::{Check, Status, as_lines},
    files, model, network, plugins,
};
use crate::config::{Config, Device};
use std::{fs, net::TcpListener, path::Path, thread, time::Duration};

fn statuses(checks: &[Check]) -> Vec<(&str, Status)> {
    checks.iter().map(|check| (check.name, check.status)).collect()
}

#[track_caller]
fn found<'a>(checks: &'a [Check], name: &str, status: Status, words: &str) -> &'a Check {
    let check = checks.iter().find(|check| check.name == name).expect(name);
    assert_eq!(check.status, status, "{check:?}");
    assert!(check.message.contains(words), "{check:?}");
    check
}

#[test]
fn a_missing_data_folder_is_announced_not_created() {
    let folder = tempfile::tempdir().unwrap();
    let data = files::data_folder(&folder.path().join("a/b"));
    found(&data.checks, "data folder", Status::Ok, "first start creates it");
    assert!(!data.in_use && !folder.path().join("a").exists());
}

#[test]
fn a_data_folder_that_is_a_file_fails() {
    let file = tempfile::NamedTempFile::new().unwrap();
    found(
        &files::data_folder(file.path()).checks,
        "data folder",
        Status::Fail,
        "not a folder",
    );
}

#[test]
fn a_data_folder_in_use_is_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let lock = fs::File::create(folder.path().join("lock")).unwrap();
    // A child process of another test inherits this file and its lock until it executes its program.
    let is_free = || {
        (0..1000).any(|_| {
            thread::sleep(Duration::from_millis(5));
            !files::data_folder(folder.path()).in_use
        })
    };
    assert!(is_free());
    lock.try_lock().unwrap();
    let data = files::data_folder(folder.path());
    found(&data.checks, "data folder", Status::Ok, "a running server uses it");
    assert!(data.in_use);
    drop(lock);
    assert!(is_free());
    // The check leaves no file behind.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_data_folder_that_others_can_open_is_reported() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let checks_with = |mode| {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        files::data_folder(folder.path()).checks
    };
    for mode in [0o755, 0o750, 0o701] {
        found(&checks_with(mode), "data permissions", Status::Warn, "chmod 700");
    }
    assert!(checks_with(0o700).iter().all(|check| check.name != "data permissions"));
}

#[test]
fn the_control_databases_version_and_damage_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    found(
        &files::data_folder(folder.path()).checks,
        "control database",
        Status::Ok,
        "does not exist yet",
    );
    let with_version = |version: u32| {
        let mut head = b"SQLite format 3\0".to_vec();
        head.resize(60, 0);
        head.extend(version.to_be_bytes());
        head.resize(100, 0);
        fs::write(&path, &head).unwrap();
        files::data_folder(folder.path()).checks
    };
    let newest = riad_store::CONTROL_SCHEMA_VERSION;
    found(
        &with_version(newest),
        "control database",
        Status::Ok,
        &format!("version {newest}"),
    );
    found(
        &with_version(newest + 1),
        "control database",
        Status::Fail,
        "newer than this program",
    );
    fs::write(&path, vec![1; 100]).unwrap();
    found(
        &files::data_folder(folder.path()).checks,
        "control database",
        Status::Fail,
        "backup",
    );
}

#[test]
fn the_shipped_models_pass() {
    let mut config = Config::default();
    let checks = model::check(&config, false);
    assert_eq!(
        statuses(&checks),
        [
            ("model", Status::Ok),
            ("memory", Status::Ok),
            ("embedding model", Status::Ok)
        ],
        "{}",
        as_lines(&checks)
    );
    found(&checks, "model", Status::Ok, "llama");
    config.engine.kv_cache_tokens = 1_000_000_000;
    found(
        &model::check(&config, false),
        "memory",
        Status::Fail,
        "engine.kv_cache_tokens",
    );
    config.engine.device = Device::Cuda;
    found(&model::check(&config, false), "memory", Status::Skip, "accelerator");
}

/// A model's folder with one thing changed.
fn model_with(change: impl FnOnce(&Path)) -> Vec<Check> {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("tiny");
    fs::create_dir(&model).unwrap();
    let config = r#"{"model_type": "llama", "max_position_embeddings": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 8}"#;
    fs::write(model.join("config.json"), config).unwrap();
    fs::write(model.join("tokenizer.json"), "{}").unwrap();
    fs::write(model.join("model.safetensors"), safetensors(16)).unwrap();
    change(&model);
    let mut config = Config::default();
    config.engine.model = Some(model.display().to_string());
    model::check(&config, false)
}

/// One tensor of so many bytes.
fn safetensors(bytes: usize) -> Vec<u8> {
    let header = format!(
        r#"{{"w":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{bytes}]}}}}"#,
        bytes / 4
    );
    let mut file = u64::try_from(header.len()).unwrap().to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.resize(file.len() + bytes, 0);
    file
}

#[test]
fn damaged_model_files_are_found() {
    let model_fails = |words: &str, change: &dyn Fn(&Path)| {
        found(&model_with(change), "model", Status::Fail, words);
    };
    found(&model_with(|_| {}), "model", Status::Ok, "tiny");
    model_fails("tokenizer.json", &|model| {
        fs::remove_file(model.join("tokenizer.json")).unwrap()
    });
    model_fails("not JSON", &|model| {
        fs::write(model.join("tokenizer.json"), "<html>").unwrap()
    });
    model_fails("model_type", &|model| {
        fs::write(model.join("config.json"), r#"{"max_position_embeddings": 64}"#).unwrap();
    });
    model_fails("no *.safetensors", &|model| {
        fs::remove_file(model.join("model.safetensors")).unwrap()
    });
    model_fails("incomplete", &|model| {
        let whole = safetensors(16);
        fs::write(model.join("model.safetensors"), &whole[..whole.len() - 1]).unwrap();
    });
    model_fails("incomplete", &|model| {
        fs::write(model.join("model.safetensors"), [255; 16]).unwrap()
    });
    model_fails("git lfs pull", &|model| {
        fs::write(
            model.join("model.safetensors"),
            "version https://git-lfs.github.com/spec/v1\n",
        )
        .unwrap();
    });
    model_fails("b.safetensors", &|model| {
        let index = r#"{"weight_map": {"x": "model.safetensors", "y": "b.safetensors"}}"#;
        fs::write(model.join("model.safetensors.index.json"), index).unwrap();
    });
}

#[tokio::test]
async fn an_address_that_is_taken_fails() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_eq!(network::listen(&address).await.status, Status::Fail);
    drop(taken);
    assert_eq!(network::listen("127.0.0.1:0").await.status, Status::Ok);
}

#[tokio::test]
async fn an_identity_provider_is_asked() {
    assert!(network::identity(None).await.is_none());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let path = file.to_str().unwrap();
    assert_eq!(network::identity(Some(path)).await.unwrap().status, Status::Fail);
    fs::write(&file, "{\"keys\": []}").unwrap();
    assert_eq!(network::identity(Some(path)).await.unwrap().status, Status::Fail);
    fs::write(&file, "{\"keys\": [{}, {}]}").unwrap();
    found(
        &[network::identity(Some(path)).await.unwrap()],
        "identity provider",
        Status::Ok,
        "keys: 2",
    );

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/keys", axum::routing::get(async || "{\"keys\": [{}]}"));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    found(
        &[network::identity(Some(&url)).await.unwrap()],
        "identity provider",
        Status::Ok,
        "keys: 1",
    );
    assert_eq!(network::collector(Some(&url)).await.unwrap().status, Status::Ok);
    server.abort();
    let _ = server.await;
    // The server starts without them, so these are only warnings.
    assert_eq!(network::identity(Some(&url)).await.unwrap().status, Status::Warn);
    assert_eq!(network::collector(Some(&url)).await.unwrap().status, Status::Warn);
}

#[test]
fn tls_settings_are_checked() {
    let mut server = Config::default().server;
    found(&files::tls(&server), "tls", Status::Ok, "this machine only");
    server.listen = "0.0.0.0:443".into();
    found(&files::tls(&server), "tls", Status::Warn, "unencrypted");
    server.tls_certificate = Some("/no/such/certificate.pem".into());
    server.tls_key = Some("/no/such/key.pem".into());
    found(&files::tls(&server), "tls", Status::Fail, "/no/such/certificate.pem");
}

#[test]
#[cfg(target_os = "linux")]
fn a_compiler_that_is_not_confined_is_reported_with_its_key() {
    const NAME: &str = "plugin compiler";
    let reason = || Ok(Some("Seccomp is not enabled".to_owned()));
    found(&[plugins::report(Ok(None), false)], NAME, Status::Ok, "confines");
    for (allowed, words) in [
        (false, "uploads of plugins are refused"),
        (true, "with the rights of the server"),
    ] {
        let checks = [plugins::report(reason(), allowed)];
        let check = found(&checks, NAME, Status::Warn, words);
        assert!(check.message.contains("Seccomp is not enabled"), "{check:?}");
        assert!(check.message.contains("plugins.allow_unconfined_compiler"), "{check:?}");
    }
    let broken = Err(riad_core::Error::internal("no such program"));
    found(&[plugins::report(broken, false)], NAME, Status::Fail, "no such program");
}
