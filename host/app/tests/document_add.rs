//! `riad document add` as a process, against a server with the shipped models.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use riad_app::{
    config::{Config, Secrets},
    serve::{Compiler, Running},
};
use riad_core::Secret;
use serde_json::{Value, json};
use std::{path::Path, process::Output};
use tokio::process::Command;

const OPERATOR_KEY: &str = "riad_op_document_add";
const UNSUPPORTED: i32 = 18;

async fn tenant(server: &Running) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client
        .post(format!("{}/operator/v1/tenants", server.url()))
        .bearer_auth(OPERATOR_KEY);
    let made: Value = request
        .json(&json!({"id": "acme", "name": "Acme"}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    made["key"].as_str().unwrap().to_owned()
}

async fn riad(server: &Running, key: &str, folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_riad"));
    command
        .args(args)
        .current_dir(folder)
        .env("RIAD_URL", server.url())
        .env("RIAD_KEY", key);
    command.output().await.unwrap()
}

fn lines(bytes: &[u8]) -> Vec<&str> {
    std::str::from_utf8(bytes).unwrap().lines().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_has_its_line_and_none_is_added_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".into();
    config.server.data = folder.path().join("data");
    config.engine.max_sequences = 1;
    let secrets = Secrets {
        operator_key: Some(Secret::new(OPERATOR_KEY.to_owned())),
        ..Secrets::default()
    };
    let server = Running::start(&config, secrets, Compiler::InProcess).await.unwrap();
    let key = tenant(&server).await;
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("a.md", "\u{FEFF}# Refunds\r\n\r\nThe window is 41 days.\r\n".as_bytes());
    write("photo.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    write("empty.txt", b" \n");
    write("b.txt", b"The drill has a warranty.\n");
    let files = ["a.md", "photo.png", "absent.txt", "empty.txt", "b.txt"];

    let add = [&["document", "add"][..], &files].concat();
    let first = riad(&server, &key, folder.path(), &add).await;
    assert_eq!(first.status.code(), Some(UNSUPPORTED));
    let (out, err) = (lines(&first.stdout), lines(&first.stderr));
    assert_eq!(out.len(), 2, "{out:?}");
    assert!(out[0].starts_with("added") && out[0].contains("a.md"), "{out:?}");
    assert!(out[1].starts_with("added") && out[1].contains("b.txt"), "{out:?}");
    for (line, words) in err.iter().zip([
        ["failed", "photo.png", "image/png"],
        ["failed", "absent.txt", "cannot read"],
        ["failed", "empty.txt", "no text"],
        ["riad: ", "2 added", "3 failed"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{line} lacks {words:?}");
    }
    assert_eq!(err.len(), 4, "{err:?}");

    write("copy.txt", b"The drill has a warranty.\n");
    let again = riad(
        &server,
        &key,
        folder.path(),
        &["document", "add", "a.md", "b.txt", "copy.txt"],
    )
    .await;
    assert!(again.status.success(), "{again:?}");
    let out = lines(&again.stdout);
    assert!(
        out[0].starts_with("is there") && out[1].starts_with("is there"),
        "{out:?}"
    );
    // Another name, another title, another document.
    assert!(
        out[2].starts_with("added") && out[3] == "1 added, 2 there already, 0 failed",
        "{out:?}"
    );
    let other = ["document", "add", "b.txt", "--meta", "year=2026", "--json"];
    let other = riad(&server, &key, folder.path(), &other).await;
    let json: Value = serde_json::from_slice(&other.stdout).unwrap();
    assert_eq!(json["metadata"], json!({"year": 2026}));

    let list = riad(&server, &key, folder.path(), &["document", "list", "--json"]).await;
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    let titles: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|document| document["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles, ["Refunds", "b", "copy", "b"]);
    server.stop().await.unwrap();
}
