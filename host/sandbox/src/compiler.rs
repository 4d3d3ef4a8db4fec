//! Compiling a component under a time and memory cap. A compiler can be made to need minutes and gigabytes by an upload of
//! some kilobytes, and a thread of this process cannot be stopped: so a child does it, which the operating system bounds.
//! Not here: what a component may contain (`check.rs`), keeping the result (`cache.rs`).
//!
//! Between both: the limits as one line of JSON and the component go in; one byte (0: code, 1: words) and the rest come out.

use crate::{check, engine};
use riad_core::{Digest, Error, ErrorKind, Limits, Result};
use std::{
    io::{BufRead, Write},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    time::timeout,
};
use wasmtime::Engine;

const CODE: u8 = 0;
const WORDS: u8 = 1;
/// What a server has in its environment and a compiler has no use for.
const SECRETS: [&str; 2] = ["RIAD_OPERATOR_KEY", "RIAD_KEY"];

/// Where components are compiled.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// In this process. Nothing bounds its memory, nor stops it: for components that are trusted, and for tests.
    InProcess,
    /// In a child: `program` with `arguments`, which calls [`compile_child`].
    Child { program: PathBuf, arguments: Vec<String> },
}

impl Compiler {
    /// Compiled code for an engine with these limits. `InvalidRequest` if it is no component, `PluginLimit` if compiling takes
    /// too much. Stops when it is dropped, if it is a child.
    pub(crate) async fn compile(
        &self,
        engine: &Engine,
        limits: &Limits,
        digest: &Digest,
        bytes: &[u8],
    ) -> Result<Vec<u8>> {
        let compiling = async {
            match self {
                Self::InProcess => {
                    let (engine, bytes) = (engine.clone(), bytes.to_vec());
                    let compiling = tokio::task::spawn_blocking(move || compile(&engine, &bytes));
                    compiling.await.map_err(Error::internal)?.map(Some)
                }
                Self::Child { program, arguments } => {
                    let mut command = Command::new(program);
                    command.args(arguments).kill_on_drop(true);
                    in_child(command, limits, bytes).await
                }
            }
        };
        timeout(Duration::from_millis(limits.compile_ms), compiling)
            .await
            .unwrap_or(Ok(None))?
            .ok_or_else(|| too_much(digest, limits))
    }
}

/// The child's side: reads limits and a component, writes code or words. The process should do nothing else.
///
/// # Errors
/// When the limits cannot be read or set, or nobody reads the answer. What is wrong with the component is an answer.
pub fn compile_child(mut input: impl BufRead, mut output: impl Write) -> Result<()> {
    let mut line = String::new();
    input.read_line(&mut line).map_err(Error::internal)?;
    let limits: Limits = serde_json::from_str(&line).map_err(Error::internal)?;
    restrict(&limits)?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(Error::internal)?;
    let answer = compile(&engine::compiling(&limits)?, &bytes);
    let (kind, content) = match answer {
        Ok(code) => (CODE, code),
        Err(error) if error.kind() == ErrorKind::InvalidRequest => (WORDS, error.message().as_bytes().to_vec()),
        Err(error) => return Err(error),
    };
    output.write_all(&[kind]).map_err(Error::internal)?;
    output.write_all(&content).map_err(Error::internal)?;
    output.flush().map_err(Error::internal)
}

fn compile(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>> {
    engine
        .precompile_component(bytes)
        .map_err(|error| check::invalid(format!("the component cannot be compiled: {}", check::words(&error))))
}

/// `None`: the child did not come to an end of its own.
async fn in_child(mut command: Command, limits: &Limits, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    for name in SECRETS {
        command.env_remove(name);
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Error::internal)?;
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Error::internal("a child without pipes"));
    };
    let mut first = serde_json::to_vec(limits).map_err(Error::internal)?;
    first.push(b'\n');
    let send = async {
        // A child that ends early closes its side; how it ended says why.
        if input.write_all(&first).await.is_ok() {
            let _ = input.write_all(bytes).await;
        }
        drop(input);
    };
    let mut answer = Vec::new();
    let (_, read) = tokio::join!(send, output.read_to_end(&mut answer));
    read.map_err(Error::internal)?;
    let status = child.wait().await.map_err(Error::internal)?;
    if !status.success() || answer.is_empty() {
        tracing::info!(%status, "compiling a component did not come to its end");
        return Ok(None);
    }
    let content = answer.split_off(1);
    match answer.first() {
        Some(&CODE) => Ok(Some(content)),
        Some(&WORDS) => Err(check::invalid(String::from_utf8_lossy(&content).into_owned())),
        Some(_) | None => Err(Error::internal("a child answered in an unknown form")),
    }
}

fn too_much(digest: &Digest, limits: &Limits) -> Error {
    Error::new(
        ErrorKind::PluginLimit,
        format!(
            "compiling {} takes more than {} ms or {} bytes of memory; make it smaller, or split its largest functions",
            crate::errors::plugin(digest),
            limits.compile_ms,
            limits.compile_bytes
        ),
    )
}

#[cfg(unix)]
fn restrict(limits: &Limits) -> Result<()> {
    use rlimit::Resource;
    // Time ends it even if the parent is gone and cannot.
    let seconds = limits.compile_ms.div_ceil(1000) + 1;
    Resource::CPU.set(seconds, seconds).map_err(Error::internal)?;
    Resource::AS
        .set(limits.compile_bytes, limits.compile_bytes)
        .map_err(Error::internal)?;
    // A child that is cut off is no crash to be looked into.
    Resource::CORE.set(0, 0).map_err(Error::internal)
}

/// The parent's clock still bounds its time.
#[cfg(not(unix))]
fn restrict(_limits: &Limits) -> Result<()> {
    Ok(())
}
