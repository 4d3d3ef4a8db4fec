//! `riad plugin` as a process: a canary is deployed, seen, rolled back and promoted.
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
use serde_json::{Value, json};

const FIRST: &[u8] = include_bytes!("../../../tests/guests/echo.wasm");
const SECOND: &[u8] = include_bytes!("../../../tests/guests/trap-in-stream.wasm");

struct Author(TestServer);

impl Author {
    async fn new() -> Self {
        let server = TestServer::start().await;
        server.write("first.wasm", FIRST);
        server.write("second.wasm", SECOND);
        Self(server)
    }

    /// What a command printed, and whether it succeeded.
    async fn try_run(&self, line: &str) -> (bool, String) {
        let mut command = self.0.command(env!("CARGO_BIN_EXE_riad"));
        let output = command.args(line.split(' ')).output().await.unwrap();
        let printed = match output.status.success() {
            true => output.stdout,
            false => output.stderr,
        };
        (output.status.success(), String::from_utf8(printed).unwrap())
    }

    async fn run(&self, line: &str) -> String {
        let (success, printed) = self.try_run(line).await;
        assert!(success, "{line}: {printed}");
        printed
    }

    async fn fails(&self, line: &str, words: &[&str]) {
        let (success, printed) = self.try_run(line).await;
        assert!(!success, "{line}: {printed}");
        assert!(words.iter().all(|word| printed.contains(word)), "{printed}");
    }

    async fn pipeline(&self) -> Value {
        serde_json::from_str(&self.run("pipeline show --json").await).unwrap()
    }
}

fn desk(component: &[u8]) -> String {
    format!("desk@{}", Digest::of(component))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_is_deployed_rolled_back_and_promoted() {
    let author = Author::new().await;
    author.run("plugin deploy desk first.wasm --stage postprocessing").await;
    author
        .fails("plugin promote desk", &["no canary of desk", "--canary"])
        .await;
    let canary = "plugin deploy desk second.wasm --stage postprocessing --canary 10";
    let deployed = author.run(canary).await;
    assert!(
        deployed.contains("postprocessing for 10 % of the requests"),
        "{deployed}"
    );
    let active = author.pipeline().await;
    assert_eq!(active["stages"]["postprocessing"], desk(FIRST));
    assert_eq!(
        active["canary"],
        json!({"percent": 10, "stages": {"postprocessing": desk(SECOND)}})
    );
    let versions = author.run("plugin versions desk").await;
    let with_canary = versions.lines().filter(|line| line.contains("postprocessing of 10 %"));
    assert_eq!(with_canary.count(), 1, "{versions}");
    let versions: Value = serde_json::from_str(&author.run("plugin versions desk --json").await).unwrap();
    let of = |component| {
        let all = versions["versions"].as_array().unwrap();
        let version = Digest::of(component).to_string();
        all.iter().find(|found| found["version"] == version).unwrap()
    };
    assert_eq!(
        of(SECOND)["canary"],
        json!({"percent": 10, "stages": ["postprocessing"]})
    );
    assert_eq!(of(FIRST)["serves"], json!(["postprocessing"]));
    assert!(of(FIRST)["canary"].is_null() && of(SECOND)["serves"] == json!([]));

    // There is one at a time; another plugin's is not ended by accident, and what is unchanged needs none.
    let other = "plugin deploy other first.wasm --stage prompting --canary 5";
    author.fails(other, &["canary of another plugin"]).await;
    author.fails("plugin promote other", &["no canary of other"]).await;
    author.run("pipeline set retrieval=standard").await;
    assert_eq!(author.pipeline().await["canary"], active["canary"], "of another stage");

    let ended = author.run("plugin rollback desk").await;
    assert!(ended.contains("has ended"), "{ended}");
    let after = author.pipeline().await;
    assert!(
        after["canary"].is_null() && after["stages"] == active["stages"],
        "{after}"
    );

    author.run(canary).await;
    let promoted = author.run("plugin promote desk").await;
    assert!(promoted.contains(&desk(SECOND)), "{promoted}");
    let after = author.pipeline().await;
    assert!(after["canary"].is_null(), "{after}");
    assert_eq!(after["stages"]["postprocessing"], desk(SECOND));
    author.run("plugin rollback desk").await;
    assert_eq!(author.pipeline().await["stages"]["postprocessing"], desk(FIRST));

    // A deployment to all requests ends the canary of the same stage, and so does a rollback to a version that is named.
    author.run(canary).await;
    author.run("plugin deploy desk first.wasm --stage postprocessing").await;
    assert!(author.pipeline().await["canary"].is_null());
    author.run(canary).await;
    let to = format!("plugin rollback desk --to {}", Digest::of(SECOND));
    author.run(&to).await;
    let after = author.pipeline().await;
    assert!(after["canary"].is_null(), "{after}");
    assert_eq!(after["stages"]["postprocessing"], desk(SECOND));
    author.0.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_without_a_stage_or_share_is_refused_before_an_upload() {
    let author = Author::new().await;
    author
        .fails("plugin deploy desk first.wasm --canary 10", &["--stage"])
        .await;
    for percent in ["0", "101", "x"] {
        let line = format!("plugin deploy desk first.wasm --stage prompting --canary {percent}");
        author.fails(&line, &["--canary"]).await;
    }
    assert_eq!(author.run("plugin list").await.trim(), "none");
    author.0.stop().await;
}
