//! LiteLLM's proxy as a child process in front of an OpenAI upstream. It gets what its documentation advises for production, a master
//! key, and no database: so it keeps no keys, no budgets and no spend, which is less than Riad does in the same time.
//! It must be installed already.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

pub const KEY: &str = "sk-of-the-bench";
/// Importing it alone takes seconds, more on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(500);
const SERVE: &str = "from litellm import run_server; run_server()";

pub struct Proxy {
    child: Child,
    pub url: String,
    pub version: String,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// Starts it with `python`, which has `litellm[proxy]`, and waits until it answers.
    pub async fn start(python: &Path, model: &str, upstream: &str, client: &reqwest::Client) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (config, log) = (folder.path().join("config.yaml"), folder.path().join("log"));
        let text = format!(
            "model_list:\n  - model_name: {model}\n    litellm_params:\n      model: openai/{model}\n      \
             api_base: {upstream}/v1\n      api_key: none\ngeneral_settings:\n  master_key: {KEY}\n\
             litellm_settings:\n  telemetry: false\n  set_verbose: false\n"
        );
        fs::write(&config, text).unwrap();
        let version = version(python);
        let port = free_port();
        let output = File::create(&log).unwrap();
        let child = Command::new(python)
            .args(["-c", SERVE, "--host", "127.0.0.1", "--port", &port.to_string()])
            .arg("--config")
            .arg(&config)
            .env("LITELLM_MODE", "PRODUCTION")
            .env("LITELLM_LOG", "ERROR")
            // Else it asks the network for prices.
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let mut proxy = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
            version,
            _folder: folder,
        };
        if let Err(why) = proxy.ready(client).await {
            let said = fs::read_to_string(&log).unwrap_or_default();
            panic!("LiteLLM's proxy did not start: {why}\n{said}");
        }
        proxy
    }

    async fn ready(&mut self, client: &reqwest::Client) -> Result<(), String> {
        let url = format!("{}/health/liveliness", self.url);
        let asking = async {
            loop {
                if let Ok(Some(status)) = self.child.try_wait() {
                    return Err(format!("it ended with {status}"));
                }
                if client
                    .get(&url)
                    .send()
                    .await
                    .is_ok_and(|answer| answer.status().is_success())
                {
                    return Ok(());
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking)
            .await
            .unwrap_or_else(|_| Err(format!("it did not answer in {PATIENCE:?}")))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn version(python: &Path) -> String {
    let ask = "from importlib.metadata import version; print(version('litellm'))";
    let output = Command::new(python).args(["-c", ask]).output().unwrap();
    assert!(
        output.status.success(),
        "{} has no LiteLLM; install it there with: pip install 'litellm[proxy]'",
        python.display()
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A port that was free a moment ago: the child cannot report a port that it chooses itself.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
