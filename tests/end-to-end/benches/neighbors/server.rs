//! A server in a process of its own: this program, called as `riad serve`, in a folder that goes with it.

use crate::process::Process;
use riad_end_to_end::Caller;
use serde_json::json;
use std::{
    fs::{self, File},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

const OPERATOR_KEY: &str = "riad_op_neighbors_benchmark";
/// Loading the models and compiling the standard pipeline takes seconds, more on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a server may be busy after its last request.
const SETTLE_LONGEST: Duration = Duration::from_secs(15);

pub struct Server {
    pub url: String,
    pub process: Process,
    operator: Caller,
    // Killed when dropped.
    _child: Child,
    _folder: TempDir,
}

/// How a server was when its last request had ended.
pub struct Settled {
    /// Seconds until no thread computed; `None` if one still does.
    pub after: Option<f64>,
    /// Threads that compute on.
    pub stuck: Vec<String>,
}

impl Server {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let program: PathBuf = std::env::current_exe().unwrap();
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("data"))
            .env("RIAD_OPERATOR_KEY", OPERATOR_KEY)
            // A container may have no seccomp. The attacker's components do not exploit the compiler.
            .env("RIAD_PLUGINS__ALLOW_UNCONFINED_COMPILER", "true")
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(url) = line.strip_prefix("riad listens on ") {
                    return Some(url.to_owned());
                }
            }
            None
        };
        let url = timeout(PATIENCE, listening).await.ok().flatten();
        let Some(url) = url else {
            panic!(
                "the server did not start: {}",
                fs::read_to_string(&log).unwrap_or_default()
            );
        };
        Self {
            process: Process::of(child.id().unwrap()),
            operator: Caller::new(&url, OPERATOR_KEY),
            url,
            _child: child,
            _folder: folder,
        }
    }

    /// Makes a tenant; returns its key.
    pub async fn tenant(&self, id: &str) -> String {
        let body = json!({"id": id, "name": id});
        self.operator.post("/operator/v1/tenants", &body).await.text("/key")
    }

    /// Waits until no thread of the server computes.
    pub async fn settle(&self) -> Settled {
        let begun = Instant::now();
        loop {
            let looked = begun.elapsed();
            let stuck = self.process.busy_threads().await;
            if stuck.is_empty() || begun.elapsed() > SETTLE_LONGEST {
                return Settled {
                    after: stuck.is_empty().then_some(looked.as_secs_f64()),
                    stuck,
                };
            }
        }
    }

    /// Threads when those that only wait for more work have ended, which tokio's do after ten seconds.
    pub async fn threads_left(&self, before: usize) -> usize {
        let begun = Instant::now();
        while self.process.threads() > before && begun.elapsed() < SETTLE_LONGEST {
            sleep(Duration::from_millis(500)).await;
        }
        self.process.threads()
    }
}
