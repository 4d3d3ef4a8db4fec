//! What goes wrong is said with what to change, and leaves a cache that can be used.

use super::*;
use axum::http::StatusCode;
use riad_core::{Error, ErrorKind};

#[track_caller]
fn says(error: &Error, words: &[&str]) {
    assert_eq!(error.param(), Some("engine.model"), "{error}");
    for word in words {
        assert!(error.message().contains(word), "`{word}` is not in: {error}");
    }
    assert!(!error.message().contains(TOKEN), "{error}");
}

async fn failure(fake: &FakeHub, model: &HubModel, more: &[(&str, &str)]) -> Error {
    let home = tempfile::tempdir().unwrap();
    hub_with(&fake.url, home.path(), more, PAUSES)
        .fetch(model)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_refusal_says_what_to_change() {
    let (fake, _home) = started().await;
    let other = HubModel::parse("acme/other").unwrap();
    says(&failure(&fake, &other, &[]).await, &["acme/other", "`main`", "404"]);
    let error = failure(&fake, &model("@v9"), &[]).await;
    says(&error, &["acme/tiny", "no revision `v9`", "404"]);
    fake.behave(Behavior {
        token: Some("another".to_owned()),
        ..Behavior::default()
    });
    let license = format!("{}/acme/tiny", fake.url);
    let error = failure(&fake, &model(""), &[]).await;
    says(&error, &["401", "set HF_TOKEN", "license", &license]);
    let error = failure(&fake, &model(""), &[("HF_TOKEN", TOKEN)]).await;
    says(&error, &["401", "check that the token", &license]);
    fake.behave(Behavior {
        status: Some(StatusCode::FORBIDDEN),
        ..Behavior::default()
    });
    let error = failure(&fake, &model(""), &[("HF_TOKEN", TOKEN)]).await;
    says(&error, &["403", "license", &license]);
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}

#[tokio::test]
async fn a_repository_without_a_model_is_refused_first() {
    for (files, missing) in [
        (&["README.md", "model.gguf"][..], "config.json"),
        (&["config.json", WEIGHTS], "tokenizer.json"),
        (&["config.json", "tokenizer.json", "pytorch_model.bin"], "*.safetensors"),
    ] {
        let fake = FakeHub::start(ID).await;
        fake.push("main", named(files));
        says(&failure(&fake, &model(""), &[]).await, &["acme/tiny has no", missing]);
        assert_eq!(fake.take_requests().len(), 1, "nothing is downloaded");
    }
}

#[tokio::test]
async fn without_the_hub_a_complete_snapshot_is_used() {
    let (fake, home) = started().await;
    let here = hub(&fake, home.path());
    fake.behave(Behavior {
        status: Some(StatusCode::SERVICE_UNAVAILABLE),
        ..Behavior::default()
    });
    let error = here.fetch(&model("")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    says(
        &error,
        &[&fake.url, "503", "no complete snapshot of acme/tiny", "HF_ENDPOINT"],
    );
    assert_eq!(fake.take_requests().len(), 1 + PAUSES.len());

    fake.behave(Behavior::default());
    let folder = here.fetch(&model("")).await.unwrap();
    fake.behave(Behavior {
        status: Some(StatusCode::SERVICE_UNAVAILABLE),
        ..Behavior::default()
    });
    fake.take_requests();
    assert_eq!(here.fetch(&model("")).await.unwrap(), folder);
    assert_eq!(fake.take_requests().len(), 1, "it does not wait for the hub");
    // Port 9 is closed.
    let closed = hub_with("http://127.0.0.1:9", home.path(), &[], PAUSES);
    assert_eq!(closed.fetch(&model("")).await.unwrap(), folder);
    std::fs::remove_file(folder.join(WEIGHTS)).unwrap();
    says(
        &closed.fetch(&model("")).await.unwrap_err(),
        &["127.0.0.1:9", "cannot be reached"],
    );
}

#[tokio::test]
async fn a_newer_snapshot_that_is_cut_leaves_the_older_one() {
    let (fake, home) = started().await;
    let folder = hub(&fake, home.path()).fetch(&model("")).await.unwrap();
    let mut files = shipped();
    files.insert(WEIGHTS.to_owned(), vec![7; 3_000_000].into());
    fake.push("main", files.clone());
    fake.behave(Behavior {
        cuts: vec![0; 9],
        ..Behavior::default()
    });
    assert_eq!(hub(&fake, home.path()).fetch(&model("")).await.unwrap(), folder);
    fake.behave(Behavior::default());
    let newer = hub(&fake, home.path()).fetch(&model("")).await.unwrap();
    has(&newer, &files);
}

#[tokio::test]
async fn damaged_content_is_not_taken() {
    let (fake, home) = started().await;
    fake.behave(Behavior {
        damaged: true,
        ..Behavior::default()
    });
    let error = hub(&fake, home.path()).fetch(&model("")).await.unwrap_err();
    says(&error, &["another digest", WEIGHTS]);
    assert_eq!(blob(home.path(), ".incomplete"), None);
    says(
        &hub(&fake, home.path()).cached(&model("")).unwrap_err(),
        &["hf download acme/tiny"],
    );
    fake.behave(Behavior::default());
    let folder = hub(&fake, home.path()).fetch(&model("")).await.unwrap();
    has(&folder, &shipped());
}

#[tokio::test]
async fn a_damaged_part_is_fetched_again() {
    let (fake, home) = started().await;
    fake.behave(Behavior {
        cuts: vec![2_000_000],
        ..Behavior::default()
    });
    hub_with(&fake.url, home.path(), &[], &[])
        .fetch(&model(""))
        .await
        .unwrap_err();
    let part = blob(home.path(), ".incomplete").unwrap();
    for length in [1_000, 99_000_000] {
        std::fs::write(&part, vec![0; length]).unwrap();
        let folder = hub(&fake, home.path()).fetch(&model("")).await.unwrap();
        has(&folder, &shipped());
        std::fs::remove_file(folder.join(WEIGHTS).canonicalize().unwrap()).unwrap();
    }
}

#[tokio::test]
async fn a_blob_of_the_wrong_size_is_fetched_again() {
    let (fake, home) = started().await;
    let folder = hub(&fake, home.path()).fetch(&model("")).await.unwrap();
    let weights = folder.join(WEIGHTS).canonicalize().unwrap();
    std::fs::write(&weights, "short").unwrap();
    has(&hub(&fake, home.path()).fetch(&model("")).await.unwrap(), &shipped());
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_full_disk_is_named() {
    let (fake, home) = started().await;
    fake.behave(Behavior {
        cuts: vec![0],
        ..Behavior::default()
    });
    hub_with(&fake.url, home.path(), &[], &[])
        .fetch(&model(""))
        .await
        .unwrap_err();
    let part = blob(home.path(), ".incomplete").unwrap();
    std::fs::remove_file(&part).unwrap();
    std::os::unix::fs::symlink("/dev/full", &part).unwrap();
    let error = hub(&fake, home.path()).fetch(&model("")).await.unwrap_err();
    says(&error, &["free some space", "HF_HOME", part.to_str().unwrap()]);
}
