//! `riad document add` as a process, against a server with the shipped models.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use common::TestServer;
use serde_json::{Value, json};
use std::process::Output;

const UNSUPPORTED: i32 = 18;

async fn riad(server: &TestServer, args: &[&str]) -> Output {
    let mut command = server.command(env!("CARGO_BIN_EXE_riad"));
    command.args(args).output().await.unwrap()
}

fn lines(bytes: &[u8]) -> Vec<&str> {
    std::str::from_utf8(bytes).unwrap().lines().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_has_its_line_and_none_is_added_twice() {
    let server = TestServer::start().await;
    server.write("a.md", "\u{FEFF}# Refunds\r\n\r\nThe window is 41 days.\r\n".as_bytes());
    server.write("photo.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    server.write("empty.txt", b" \n");
    server.write("b.txt", b"The drill has a warranty.\n");
    let files = ["a.md", "photo.png", "absent.txt", "empty.txt", "b.txt"];

    let add = [&["document", "add"][..], &files].concat();
    let first = riad(&server, &add).await;
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

    server.write("copy.txt", b"The drill has a warranty.\n");
    let again = riad(&server, &["document", "add", "a.md", "b.txt", "copy.txt"]).await;
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
    let other = riad(&server, &other).await;
    let json: Value = serde_json::from_slice(&other.stdout).unwrap();
    assert_eq!(json["metadata"], json!({"year": 2026}));

    let list = riad(&server, &["document", "list", "--json"]).await;
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    let titles: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|document| document["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles, ["Refunds", "b", "copy", "b"]);
    server.stop().await;
}
