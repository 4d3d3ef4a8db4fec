//! `riad room` as a process: a room is checked, mended, and brought from one server to another, as somebody does it who reads what the
//! program says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use common::TestServer;
use serde_json::Value;
use std::{fs, path::Path, process::Output};
use tokio::process::Command;

const INVALID: i32 = 2;
const NOT_FOUND: i32 = 4;
const CONFLICT: i32 = 6;

/// `riad room`, about a data folder.
async fn room(what: &str, tenant: &str, archive: Option<&Path>, data: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_riad"));
    command.args(["room", what, tenant]).args(archive);
    command.arg("--data").arg(data).output().await.unwrap()
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it says: one line without control characters, that does not send to a log that nobody has.
fn refused(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    let line = said.strip_suffix('\n').expect("it says something");
    assert!(!line.chars().any(char::is_control), "{line:?}");
    assert!(!line.contains("its log says why"), "{line}");
    line.to_owned()
}

async fn found(server: &TestServer, text: &str) -> Value {
    let mut command = server.command(env!("CARGO_BIN_EXE_riad"));
    let output = command.args(["search", text, "--json"]).output().await.unwrap();
    serde_json::from_str(&succeeded(&output)).unwrap()
}

/// As often as it takes: what reads files may not be compiled yet on a busy machine, and then the program says to send them again.
async fn add(server: &TestServer, files: &[&str]) {
    for attempt in 1.. {
        let mut command = server.command(env!("CARGO_BIN_EXE_riad"));
        let output = command.args(["document", "add"]).args(files).output().await.unwrap();
        let is_busy = String::from_utf8_lossy(&output.stderr).contains("send the file again");
        if !is_busy || attempt == 20 {
            succeeded(&output);
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_moves_to_another_server_and_answers_the_same() {
    let from = TestServer::start().await;
    from.write(
        "a.md",
        b"# Refunds\n\nThe window is 41 days.\n\n# Repairs\n\nThe drill is repaired for free.\n",
    );
    from.write("b.txt", b"The drill has a warranty of three years.\n");
    add(&from, &["a.md", "b.txt"]).await;
    let before = found(&from, "how long is the drill's warranty").await;
    assert!(before.to_string().contains("three years"), "{before}");
    let data = from.data();
    let archive = data.join("../room.tar");
    // Not beside a server.
    let said = refused(&room("export", "acme", Some(&archive), &data).await, CONFLICT);
    assert!(said.contains("another process is using"), "{said}");
    let kept = from.stop().await;

    assert!(succeeded(&room("check", "acme", None, &data).await).contains("No fault found."));
    let said = refused(&room("export", "nobody", Some(&archive), &data).await, NOT_FOUND);
    assert!(said.contains("nobody"), "{said}");
    let nowhere = data.join("../absent/room.tar");
    let said = refused(&room("export", "acme", Some(&nowhere), &data).await, INVALID);
    assert!(said.contains("cannot be written"), "{said}");
    let said = succeeded(&room("export", "acme", Some(&archive), &data).await);
    assert!(said.contains("2 documents"), "{said}");
    let said = refused(&room("export", "acme", Some(&archive), &data).await, CONFLICT);
    assert!(said.contains("is there already"), "{said}");

    let to = TestServer::start().await;
    let (other, key) = (to.data(), to.key.clone());
    let folder = to.stop().await;
    let said = refused(&room("import", "acme", Some(&nowhere), &other).await, NOT_FOUND);
    assert!(said.contains("cannot be opened"), "{said}");
    let damaged = archive.with_file_name("damaged.tar");
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x80;
    fs::write(&damaged, &bytes).unwrap();
    let said = refused(&room("import", "acme", Some(&damaged), &other).await, INVALID);
    assert!(
        said.contains("is damaged") && said.contains("Nothing was imported"),
        "{said}"
    );
    let garbage = archive.with_file_name("garbage.tar");
    fs::write(&garbage, (0..4096_u32).map(|n| (n * 7 % 256) as u8).collect::<Vec<_>>()).unwrap();
    refused(&room("import", "acme", Some(&garbage), &other).await, INVALID);
    // As an import leaves it that was killed.
    fs::create_dir_all(other.join("rooms/.new-killed/files")).unwrap();
    let said = succeeded(&room("import", "acme", Some(&archive), &other).await);
    assert!(said.contains("2 documents"), "{said}");
    let rooms: Vec<_> = fs::read_dir(other.join("rooms"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(rooms, ["acme"]);
    let said = refused(&room("import", "acme", Some(&archive), &other).await, CONFLICT);
    assert!(said.contains("something in it"), "{said}");

    let to = TestServer::start_again(folder, key).await;
    assert_eq!(found(&to, "how long is the drill's warranty").await, before);
    to.write("c.txt", b"The saw has no warranty.\n");
    add(&to, &["c.txt"]).await;
    assert!(found(&to, "saw").await.to_string().contains("no warranty"));
    drop(to.stop().await);
    drop(kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_room_comes_back_from_an_object_store() {
    let server = TestServer::start().await;
    server.write("b.txt", b"The drill has a warranty of three years.\n");
    add(&server, &["b.txt"]).await;
    let before = found(&server, "drill").await;
    let (data, key) = (server.data(), server.key.clone());
    let store = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], secret: String| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_riad"));
        command.arg("room").args(arguments).arg("--data").arg(&data);
        command.env("RIAD_OBJECTS__URL", format!("file://{}", store.path().display()));
        command.env("RIAD_SNAPSHOT_KEY", secret);
        async move { command.output().await.unwrap() }
    };
    // 32 bytes.
    let room = |arguments: &[&str]| run(arguments, format!("{}MDE=", "MDEy".repeat(10)));
    // Not beside a server.
    refused(&room(&["snapshot", "acme"]).await, CONFLICT);
    let said = refused(&run(&["snapshot", "acme"], "MDEy".repeat(10)).await, INVALID);
    assert!(said.contains("32 bytes"), "{said}");
    let said = refused(
        &run(&["snapshot", "acme"], format!("{}QUE=", "QUFB".repeat(10))).await,
        INVALID,
    );
    assert!(said.contains("is not the key"), "{said}");
    let folder = server.stop().await;

    let said = succeeded(&room(&["snapshot", "--all"]).await);
    assert!(said.contains("acme") && said.contains("bytes sent"), "{said}");
    let said = succeeded(&room(&["snapshot", "acme"]).await);
    assert!(said.contains("unchanged"), "{said}");
    let said = succeeded(&room(&["snapshots", "acme"]).await);
    assert!(said.contains("snap_"), "{said}");
    assert!(succeeded(&room(&["snapshots"]).await).contains("acme"));
    let said = refused(&room(&["restore", "acme"]).await, CONFLICT);
    assert!(said.contains("something in it"), "{said}");
    let said = refused(&room(&["restore", "acme", "--snapshot", "snap_0"]).await, NOT_FOUND);
    assert!(said.contains("riad room snapshots"), "{said}");

    fs::remove_dir_all(data.join("rooms/acme")).unwrap();
    let said = succeeded(&room(&["restore", "acme"]).await);
    assert!(said.contains("1 documents"), "{said}");
    let server = TestServer::start_again(folder, key).await;
    assert_eq!(found(&server, "drill").await, before);
    drop(server.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_is_found_and_mended() {
    let server = TestServer::start().await;
    server.write("b.txt", b"The drill has a warranty of three years.\n");
    add(&server, &["b.txt"]).await;
    let before = found(&server, "drill").await;
    let (data, key) = (server.data(), server.key.clone());
    let folder = server.stop().await;
    let index = data.join("rooms/acme/index.usearch");
    let mut bytes = fs::read(&index).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&index, bytes).unwrap();
    let checked = room("check", "acme", None, &data).await;
    let said = refused(&checked, CONFLICT);
    assert!(said.contains("riad room repair"), "{said}");
    assert!(
        String::from_utf8_lossy(&checked.stdout).contains("index.usearch"),
        "{checked:?}"
    );
    let said = succeeded(&room("repair", "acme", None, &data).await);
    assert!(said.contains("MENDED") && said.contains("No fault found."), "{said}");
    assert!(succeeded(&room("check", "acme", None, &data).await).contains("No fault found."));
    let server = TestServer::start_again(folder, key).await;
    assert_eq!(found(&server, "drill").await, before);
    drop(server.stop().await);
}
