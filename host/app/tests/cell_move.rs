//! `riad cell move` as a process, between two servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{OPERATOR_KEY, TestServer};
use riad_core::Secret;
use serde_json::Value;
use std::{fs, path::Path, process::Output};
use tempfile::TempDir;
use tokio::process::Command;

const NOT_FOUND: i32 = 4;
const CONFLICT: i32 = 6;
const MISDIRECTED: i32 = 20;

async fn cell(folder: &TempDir, name: &str) -> TestServer {
    let url = format!("file://{}", folder.path().join("objects").display());
    let map = folder.path().join("cells.toml");
    TestServer::start_with(|config, secrets| {
        config.engine.max_sequences = 1;
        config.cell.name = Some(name.parse().unwrap());
        config.cell.map = Some(map);
        config.objects.url = Some(url);
        secrets.snapshot_key = Some(Secret::new(STANDARD.encode([7; 32])));
    })
    .await
}

async fn riad(url: &str, key: &str, folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_riad"));
    command.args(words).current_dir(folder);
    command.env("RIAD_URL", url).env("RIAD_KEY", key);
    command.env("RIAD_OPERATOR_KEY", OPERATOR_KEY).output().await.unwrap()
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_moves_a_tenant_and_goes_on_after_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir(at.join("objects")).unwrap();
    let planned = "a=http://127.0.0.1:1,b=http://127.0.0.1:2";
    succeeded(&riad("", "", at, &["cell", "plan", "--cells", planned]).await);
    let (a, b) = (cell(&folder, "a").await, cell(&folder, "b").await);
    let map = at.join("cells.toml");
    let urls = fs::read_to_string(&map).unwrap();
    let urls = urls.replace("http://127.0.0.1:1\"", &format!("{}\"", a.url()));
    fs::write(&map, urls.replace("http://127.0.0.1:2\"", &format!("{}\"", b.url()))).unwrap();

    // globex is in slot 6906, of the cell a.
    let made = riad(&a.url(), "", at, &["tenant", "create", "globex", "--json"]).await;
    let made: Value = serde_json::from_str(&succeeded(&made)).unwrap();
    let key = made["key"].as_str().unwrap();
    fs::write(at.join("words.txt"), "The word is quimpert.\n").unwrap();
    for attempt in 1.. {
        // What reads files may not be compiled yet.
        let added = riad(&a.url(), key, at, &["document", "add", "words.txt"]).await;
        if added.status.success() || attempt == 20 {
            succeeded(&added);
            break;
        }
    }
    let to_b = ["cell", "move", "globex", "--to", "b"];
    let unknown = riad("", "", at, &["cell", "move", "hooli", "--to", "b"]).await;
    assert!(
        [Some(0), Some(NOT_FOUND)].contains(&unknown.status.code()),
        "{unknown:?}"
    );

    // The proxies do not follow: both cells serve until they do.
    let failed = riad("", "", at, &[&to_b[..], &["--proxies", "exit 3"]].concat()).await;
    assert_eq!(failed.status.code(), Some(CONFLICT), "{failed:?}");
    for url in [a.url(), b.url()] {
        assert!(succeeded(&riad(&url, key, at, &["search", "quimpert"]).await).contains("quimpert"));
    }
    let moved = riad(
        "",
        "",
        at,
        &[&to_b[..], &["--proxies", "touch followed", "--json"]].concat(),
    )
    .await;
    let moved: Value = serde_json::from_str(&succeeded(&moved)).unwrap();
    assert_eq!((&moved["from"], &moved["to"]), (&"a".into(), &"b".into()));
    assert_eq!(moved["tenants"][0]["tenant"], "globex");
    assert!(at.join("followed").exists());
    let old = riad(&a.url(), key, at, &["search", "quimpert"]).await;
    assert_eq!(old.status.code(), Some(MISDIRECTED), "{old:?}");
    assert!(succeeded(&riad(&b.url(), key, at, &["search", "quimpert"]).await).contains("quimpert"));
    assert!(succeeded(&riad("", "", at, &to_b).await).contains("already"));
    let aborted = riad("", "", at, &["cell", "abort", "globex"]).await;
    assert_eq!(aborted.status.code(), Some(NOT_FOUND), "{aborted:?}");
    // And back.
    let back = succeeded(&riad("", "", at, &["cell", "move", "globex", "--to", "a"]).await);
    assert!(back.contains("from the cell b to a"), "{back}");
    assert!(succeeded(&riad(&a.url(), key, at, &["search", "quimpert"]).await).contains("quimpert"));
    // It can be changed there, though it has left this cell once.
    fs::write(at.join("more.txt"), "Another word is zorblax.\n").unwrap();
    succeeded(&riad(&a.url(), key, at, &["document", "add", "more.txt"]).await);
    assert!(succeeded(&riad(&a.url(), key, at, &["search", "zorblax"]).await).contains("zorblax"));
}
