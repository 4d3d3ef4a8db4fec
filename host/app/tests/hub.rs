//! `riad serve` with the id of a model on a hub: real processes, and a hub on this machine. Without mistral.rs the server ends after
//! the download, with the exit code of `Unavailable`. And models in folders, which need no cache.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use riad_fakes::hub::{Behavior, FakeHub, HubRequest, files_of};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

const ID: &str = "acme/tiny";
const SHIPPED: &str = concat!(env!("RIAD_SOURCE"), "/host/models/chat/base");
const PATIENCE: Duration = Duration::from_secs(120);
const USAGE: i32 = 2;
const UNAVAILABLE: i32 = 14;

/// The cache and the data folders of a few servers.
struct Machine {
    hub: FakeHub,
    commit: String,
    folder: tempfile::TempDir,
}

struct Server {
    child: Child,
    url: String,
}

impl Machine {
    async fn new() -> Self {
        let hub = FakeHub::start(ID).await;
        Self {
            commit: hub.push("main", files_of(Path::new(SHIPPED))),
            hub,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn snapshot(&self) -> PathBuf {
        let repository = self.folder.path().join("hf/hub/models--acme--tiny");
        repository.join("snapshots").join(&self.commit)
    }

    fn riad(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_riad"));
        command
            .env("HF_ENDPOINT", &self.hub.url)
            .env("HF_HOME", self.folder.path().join("hf"))
            .env("RIAD_ENGINE__MODEL", ID)
            .env_remove("HF_HUB_CACHE")
            .env_remove("HF_HUB_OFFLINE")
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    fn serve(&self, name: &str, variables: &[(&str, &str)]) -> Server {
        let mut command = self.riad();
        command.envs(variables.iter().copied());
        Server::start(command, &self.folder.path().join(name))
    }
}

impl Server {
    fn start(mut command: Command, data: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data"]);
        Self {
            child: command.arg(data).spawn().unwrap(),
            url: format!("http://127.0.0.1:{port}"),
        }
    }

    async fn status(&self, path: &str) -> Option<u16> {
        let response = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = response.get(format!("{}{path}", self.url)).send().await.ok()?;
        Some(response.status().as_u16())
    }

    /// Waits until the models are loaded, or could not be without mistral.rs. Returns the log.
    async fn finish(mut self) -> String {
        if cfg!(feature = "mistralrs") {
            for _ in 0..PATIENCE.as_millis() / 50 {
                if self.status("/readyz").await == Some(200) {
                    break;
                }
                sleep(Duration::from_millis(50)).await;
            }
            assert_eq!(self.status("/readyz").await, Some(200));
            self.child.start_kill().unwrap();
        }
        let output = ended(self.child).await;
        let log = String::from_utf8(output.stderr).unwrap();
        if cfg!(not(feature = "mistralrs")) {
            assert_eq!(output.status.code(), Some(UNAVAILABLE), "{log}");
            assert!(log.contains("without mistral.rs"), "{log}");
        }
        log
    }
}

async fn ended(child: Child) -> Output {
    timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap()
}

/// As a user that this machine does not know, and who has no home therefore. `None` where a process may not become one.
#[cfg(target_os = "linux")]
async fn riad_without_home() -> Option<Command> {
    let unshare = |program: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-user=12345", program]);
        for name in [
            "HOME",
            "HF_HOME",
            "HF_HUB_CACHE",
            "HUGGINGFACE_HUB_CACHE",
            "XDG_CACHE_HOME",
        ] {
            command.env_remove(name);
        }
        command
    };
    if !unshare("true").status().await.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut command = unshare(env!("CARGO_BIN_EXE_riad"));
    command.env_remove("RUST_LOG");
    command.stderr(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    Some(command)
}

fn downloads(requests: &[HubRequest]) -> Vec<Option<&str>> {
    let stored = requests.iter().filter(|request| request.to_storage);
    stored.map(|request| request.range.as_deref()).collect()
}

#[tokio::test]
async fn two_servers_share_a_download() {
    let machine = Machine::new().await;
    machine.hub.behave(Behavior {
        pause: Duration::from_millis(5),
        ..Behavior::default()
    });
    let (first, second) = (machine.serve("one", &[]), machine.serve("two", &[]));
    let (first, second) = tokio::join!(first.finish(), second.finish());
    assert!(format!("{first}{second}").contains("downloading the model"));
    assert_eq!(files_of(&machine.snapshot()), files_of(Path::new(SHIPPED)));
    assert_eq!(downloads(&machine.hub.take_requests()), [None]);
    machine.serve("three", &[("HF_HUB_OFFLINE", "1")]).finish().await;
    assert!(machine.hub.take_requests().is_empty());
}

#[tokio::test]
async fn a_killed_server_leaves_its_part_to_the_next() {
    let machine = Machine::new().await;
    machine.hub.behave(Behavior {
        pause: Duration::from_millis(20),
        ..Behavior::default()
    });
    let mut server = machine.serve("one", &[]);
    let blobs = machine.folder.path().join("hf/hub/models--acme--tiny/blobs");
    let part = || {
        let mut entries = std::fs::read_dir(&blobs).ok()?.flatten();
        let path = entries.find(|entry| entry.path().extension().is_some_and(|end| end == "incomplete"))?;
        Some(path.metadata().ok()?.len())
    };
    let downloading = async {
        while part().is_none_or(|bytes| bytes < 1_000_000) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, downloading).await.unwrap();
    assert_eq!(
        server.status("/healthz").await,
        Some(200),
        "it lives while it downloads"
    );
    assert_eq!(server.status("/readyz").await, Some(503));
    server.child.kill().await.unwrap();
    let bytes = part().unwrap();
    machine.hub.take_requests();
    machine.hub.behave(Behavior::default());
    machine.serve("one", &[]).finish().await;
    assert_eq!(
        downloads(&machine.hub.take_requests()),
        [Some(&*format!("bytes={bytes}-"))]
    );
    assert_eq!(files_of(&machine.snapshot()), files_of(Path::new(SHIPPED)));
}

#[tokio::test]
async fn a_check_of_a_model_makes_no_request() {
    let machine = Machine::new().await;
    let check = || async { ended(machine.riad().args(["model", "check", ID]).spawn().unwrap()).await };
    let output = check().await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        !output.status.success() && text.contains("hf download acme/tiny"),
        "{text}"
    );
    assert!(machine.hub.take_requests().is_empty());
    machine.serve("one", &[]).finish().await;
    machine.hub.take_requests();
    let output = check().await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("tiny: llama"), "{text}");
    assert!(machine.hub.take_requests().is_empty());
}

/// mistral.rs looked for its cache, and panicked.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_a_model_of_a_hub_needs_a_home() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut command) = riad_without_home().await else {
        eprintln!("skipped: this process may not become another user");
        return;
    };
    command.env("RIAD_ENGINE__MODEL", SHIPPED);
    Server::start(command, &folder.path().join("one")).finish().await;
    let mut command = riad_without_home().await.unwrap();
    command.env("RIAD_ENGINE__MODEL", ID);
    let server = Server::start(command, &folder.path().join("two"));
    let output = ended(server.child).await;
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(USAGE), "{log}");
    assert!(log.contains("set HF_HOME to a folder"), "{log}");
}
