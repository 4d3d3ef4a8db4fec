//! `riad doctor` as a process: which plugins lack a grant that their operator took away, beside a server and without one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use common::TestServer;
use riad_core::Digest;
use serde_json::Value;
use std::path::Path;
use tokio::process::Command;

/// Imports `kv`, `http` and others.
const CALLER: &[u8] = include_bytes!("../../../tests/guests/caller.wasm");
const RIAD: &str = env!("CARGO_BIN_EXE_riad");

/// The results and messages of the check of grants.
async fn grants(data: &Path) -> Vec<(String, String)> {
    let mut command = Command::new(RIAD);
    command.args(["doctor", "--json", "--data"]).arg(data);
    let output = command.output().await.unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = found["checks"].as_array().unwrap().iter();
    let of_grants = checks.filter(|check| check["check"] == "plugin grants");
    let text = |check: &Value, member: &str| check[member].as_str().unwrap().to_owned();
    of_grants
        .map(|check| (text(check, "result"), text(check, "message")))
        .collect()
}

async fn run(server: &TestServer, args: &[&str]) {
    let output = server.command(RIAD).args(args).output().await.unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_without_a_grant_is_named_with_the_key_to_change() {
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(grants(empty.path()).await[0].0, "skip");

    let server = TestServer::start().await;
    server.write("caller.wasm", CALLER);
    let grant = |capabilities: &str| format!("plugins.capabilities={capabilities}");
    let set = async |changes: &[&str]| run(&server, &[&["tenant", "set", "acme"][..], changes].concat()).await;
    set(&[r#"plugins.http_hosts=["example.com"]"#]).await;
    run(
        &server,
        &["plugin", "deploy", "caller", "caller.wasm", "--stage", "prompting"],
    )
    .await;
    let found = grants(&server.data()).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].0.as_str(), found[0].1.starts_with("plugins that serve: 1;")),
        ("ok", true),
        "{found:?}"
    );

    set(&[
        "plugins.http_hosts=null",
        &grant(r#"["documents","settings","logging","model","clock","random"]"#),
    ])
    .await;
    let version = format!("caller@{}", Digest::of(CALLER));
    let lacking = async |data: &Path| {
        let found = grants(data).await;
        let [(result, message)] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(result, "warn");
        for words in [
            "tenant acme (account ",
            &version,
            "stages.prompting",
            "kv",
            "http",
            "plugins.capabilities",
            "plugins.http_hosts",
            "riad tenant set acme",
        ] {
            assert!(message.contains(words), "{message} lacks {words}");
        }
        assert!(!message.contains("clock"), "it has that: {message}");
    };
    lacking(&server.data()).await;
    let data = server.data();
    let _folder = server.stop().await;
    lacking(&data).await;

    let component = Digest::of(CALLER).hex();
    std::fs::remove_file(data.join("rooms/acme/plugins").join(format!("{component}.wasm"))).unwrap();
    let found = grants(&data).await;
    assert!(
        found[0].0 == "warn" && found[0].1.contains("upload it again"),
        "{found:?}"
    );
}
