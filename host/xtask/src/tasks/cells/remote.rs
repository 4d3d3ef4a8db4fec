//! A real vLLM that generates for all cells, with an adapter of each tenant.

use super::{
    fleet::{Cells, Tenant, read},
    http::Connection,
    report::Report,
};
use crate::{
    environment::Environment,
    process, say,
    tasks::{model, peers, server},
};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    net::SocketAddr,
    num::NonZero,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

const MODEL: &str = "smollm2";
const ALIAS: &str = "voice";
/// That a prompt and its answer may have.
const CONTEXT_TOKENS: &str = "2048";
/// Beside compilers everything takes long.
const START_MAX: Duration = Duration::from_secs(900);
const END_MAX: Duration = Duration::from_secs(60);
/// One for each tenant.
const ADAPTERS: usize = 2;

/// Ended with the task.
pub struct Remote {
    address: SocketAddr,
    model: PathBuf,
    /// What transformers answers with each adapter.
    reference: Reference,
    adapters: PathBuf,
    server: Child,
}

#[derive(Deserialize)]
struct Reference {
    prompts: Vec<Prompt>,
}

#[derive(Deserialize)]
struct Prompt {
    messages: Value,
    answers: Answers,
}

#[derive(Deserialize)]
struct Answers {
    a: Text,
    b: Text,
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

impl Remote {
    /// # Errors
    /// When vLLM or its model cannot be had here.
    pub fn start(environment: &Environment, folder: &Path) -> Result<Self> {
        let python = peers::vllm_python(environment)?;
        let model = model::make(environment, model::download(environment)?)?;
        let adapters = environment.root.join(peers::ADAPTERS);
        let reference = fs::read_to_string(adapters.join("reference.json")).context("cannot read reference.json")?;
        let reference = serde_json::from_str(&reference).context("cannot understand reference.json")?;
        let folder = folder.join("vllm");
        fs::create_dir_all(&folder)?;
        let address = server::free_address()?;
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let log = File::create(folder.join("log"))?;
        let compiled = python.folder().join("compiled");
        let server = process::command(
            python.program("python"),
            &["-m", "vllm.entrypoints.openai.api_server"],
            &folder,
        )
        .arg("--model")
        .arg(&model)
        .args([
            "--served-model-name",
            MODEL,
            "--host",
            &host,
            "--port",
            &port,
            "--dtype",
            "float32",
        ])
        .args([
            "--max-model-len",
            CONTEXT_TOKENS,
            "--max-num-seqs",
            "8",
            "--enable-prompt-tokens-details",
        ])
        .args([
            "--enable-lora",
            "--max-lora-rank",
            "16",
            "--max-loras",
            &ADAPTERS.to_string(),
        ])
        .env("HF_HUB_OFFLINE", "1")
        .env("VLLM_NO_USAGE_STATS", "1")
        .env("DO_NOT_TRACK", "1")
        .env("NO_PROXY", "127.0.0.1")
        .env("VLLM_CPU_KVCACHE_SPACE", "2")
        .env("VLLM_CPU_OMP_THREADS_BIND", format!("0-{}", cores - 1))
        .env("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "True")
        // What it compiles at its first start.
        .env("VLLM_CACHE_ROOT", &compiled)
        .env("TORCHINDUCTOR_CACHE_DIR", compiled.join("inductor"))
        .env("CUDA_VISIBLE_DEVICES", "")
        // Without it, it computes on one core.
        .env("LD_PRELOAD", python.folder().join("lib/libiomp5.so"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot run vLLM")?;
        let mut remote = Self {
            address,
            model,
            reference,
            adapters,
            server,
        };
        say::line("== starting vLLM, which takes minutes");
        let begun = Instant::now();
        while !remote.is_ready() {
            let said = || fs::read_to_string(folder.join("log")).unwrap_or_default();
            if let Some(status) = remote.server.try_wait()? {
                bail!("vLLM ended with {status}:\n{}", said());
            }
            ensure!(begun.elapsed() < START_MAX, "vLLM does not become ready:\n{}", said());
            thread::sleep(Duration::from_millis(500));
        }
        Ok(remote)
    }

    /// Of the cell with this folder.
    pub fn variables(&self, folder: &Path) -> Vec<(&'static str, String)> {
        vec![
            ("RIAD_ENGINE__ENDPOINTS", format!("http://{}/v1", self.address)),
            ("RIAD_ENGINE__MODEL", self.model.to_string_lossy().into_owned()),
            ("RIAD_ENGINE__ID", MODEL.to_owned()),
            ("RIAD_ENGINE__PROFILE__CONTEXT_TOKENS", CONTEXT_TOKENS.to_owned()),
            (
                "RIAD_ENGINE__ADAPTER_FOLDER",
                folder.join("adapters-for-vllm").to_string_lossy().into_owned(),
            ),
            ("RIAD_ENGINE__ADAPTERS_PER_SERVER", ADAPTERS.to_string()),
            ("NO_PROXY", "127.0.0.1".to_owned()),
        ]
    }

    /// Each tenant gives its adapter the same name.
    ///
    /// # Errors
    /// When a cell refuses one.
    pub fn put_adapters(&self, cells: &Cells) -> Result<()> {
        for (tenant, name) in cells.tenants.iter().zip(["adapter-a", "adapter-b"]) {
            let folder = self.adapters.join(name);
            let words = ["adapter", "put", ALIAS, &folder.to_string_lossy()];
            let (code, said) = cells.riad(&cells.cell(&tenant.cell)?.server.url, &tenant.key, &words)?;
            ensure!(code == 0, "{} cannot upload its adapter: {said}", tenant.id);
        }
        Ok(())
    }

    /// Each tenant's answers are its own adapter's, through every proxy.
    ///
    /// # Errors
    /// When an answer has another tenant's style, or none.
    pub fn check_answers(&self, cells: &Cells, when: &str, report: &mut Report) -> Result<()> {
        for proxy in &cells.proxies {
            let (mut equal, mut all) = (0, 0);
            for prompt in &self.reference.prompts {
                let Answers { a, b } = &prompt.answers;
                for (tenant, (expected, style)) in cells.tenants.iter().zip([(a, "Dear friend"), (b, "Ahoy")]) {
                    let said = ask(proxy.address, tenant, &prompt.messages)?;
                    ensure!(
                        said.starts_with(style),
                        "{} is answered in another style: {said}",
                        tenant.id
                    );
                    equal += usize::from(said == expected.text);
                    all += 1;
                }
            }
            report.seen(
                &format!(
                    "{}: greedy answers of two tenants with an adapter each, {when}",
                    proxy.kind
                ),
                format!("{all} of {all} in the tenant's own style, {equal} equal to those of transformers"),
            );
        }
        Ok(())
    }

    fn is_ready(&self) -> bool {
        let ask = || Connection::open(self.address)?.get("/health", "connection: close");
        ask().is_ok_and(|answer| answer.status == 200)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        process::end(&mut self.server, END_MAX);
    }
}

fn ask(address: SocketAddr, tenant: &Tenant, messages: &Value) -> Result<String> {
    let model = format!("{MODEL}:{ALIAS}");
    let body = json!({"model": model, "messages": messages, "temperature": 0, "max_tokens": 48});
    let path = "/v1/chat/completions";
    let answer = Connection::open(address)?.send("POST", path, &tenant.header(), &body.to_string())?;
    let answer: Value = read(path, &answer)?;
    let said = answer.pointer("/choices/0/message/content").and_then(Value::as_str);
    Ok(said.context("the answer has no text")?.to_owned())
}
