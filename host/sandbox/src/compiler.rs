//! Compiling a component in a child process. An upload of some kilobytes can make a compiler need minutes and gigabytes, and
//! could make one with a bug do anything: the operating system caps the child's memory and time, the child confines its own
//! system calls (`confinement.rs`), and of the server's environment it has only `KEPT_VARIABLES`.
//!
//! The protocol: the limits as one line of JSON and the component go in. Out come one byte that says whether the kernel
//! confines the child, sent before the component is read; one byte for the kind of the answer; and the answer.

mod confinement;

use crate::{check, engine};
use riad_core::{Digest, Error, ErrorKind, Limits, Result};
use std::{
    env,
    io::{BufRead, Write},
    path::PathBuf,
    process::Stdio,
    sync::Once,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    time::timeout,
};
use wasmtime::Engine;

const UNCONFINED: u8 = 0;
const CONFINED: u8 = 1;
const CODE: u8 = 0;
const REJECTION: u8 = 1;
/// All that the child keeps of the server's environment: where its shared libraries are, and what Windows needs to start it.
const KEPT_VARIABLES: [&str; 2] = ["LD_LIBRARY_PATH", "SystemRoot"];

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

/// The child's side: reads limits and a component, writes code or what is wrong with the component. The process must have
/// no other purpose: it is confined from here on.
///
/// # Errors
/// When the limits cannot be read or set, or nobody reads the answer. What is wrong with the component is an answer.
pub fn compile_child(mut input: impl BufRead, mut output: impl Write) -> Result<()> {
    let mut line = String::new();
    input.read_line(&mut line).map_err(Error::internal)?;
    let limits: Limits = serde_json::from_str(&line).map_err(Error::internal)?;
    restrict(&limits)?;
    // Before the confinement: it asks the system what the processor can do.
    let engine = engine::compiling(&limits)?;
    let confined = match confinement::confine() {
        Ok(()) => CONFINED,
        Err(_) => UNCONFINED,
    };
    output.write_all(&[confined]).map_err(Error::internal)?;
    output.flush().map_err(Error::internal)?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(Error::internal)?;
    let (kind, content) = match compile(&engine, &bytes) {
        Ok(code) => (CODE, code),
        Err(error) if error.kind() == ErrorKind::InvalidRequest => (REJECTION, error.message().as_bytes().to_vec()),
        Err(error) => return Err(error),
    };
    output.write_all(&[kind]).map_err(Error::internal)?;
    output.write_all(&content).map_err(Error::internal)?;
    output.flush().map_err(Error::internal)
}

fn compile(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>> {
    engine
        .precompile_component(bytes)
        .map_err(|error| check::invalid(format!("the component cannot be compiled: {}", check::describe(&error))))
}

/// `None`: the child ended without an answer.
async fn in_child(mut command: Command, limits: &Limits, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    command.env_clear();
    command.envs(
        KEPT_VARIABLES
            .iter()
            .filter_map(|name| Some((name, env::var_os(name)?))),
    );
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Error::internal)?;
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Error::internal("the compiling child has no pipes"));
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
    if answer.first() == Some(&UNCONFINED) {
        warn_unconfined();
    }
    let Some((&[_, kind], content)) = answer.split_first_chunk::<2>().filter(|_| status.success()) else {
        tracing::info!(%status, "the compiling child ended without an answer");
        return Ok(None);
    };
    match kind {
        CODE => {
            answer.drain(..2);
            Ok(Some(answer))
        }
        REJECTION => Err(check::invalid(String::from_utf8_lossy(content).into_owned())),
        _ => Err(Error::internal("the compiling child answered in an unknown form")),
    }
}

fn warn_unconfined() {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!(
            "this system cannot confine the system calls of the child that compiles plugins (seccomp on Linux): it runs \
             with the rights of this server"
        );
    });
}

fn too_much(digest: &Digest, limits: &Limits) -> Error {
    Error::new(
        ErrorKind::PluginLimit,
        format!(
            "compiling {} takes more than {} ms or {} bytes of memory; make it smaller, or split its largest functions",
            crate::errors::plugin_name(digest),
            limits.compile_ms,
            limits.compile_bytes
        ),
    )
}

#[cfg(unix)]
fn restrict(limits: &Limits) -> Result<()> {
    use rlimit::Resource;
    // Ends the child even if the parent has died and cannot.
    let seconds = limits.compile_ms.div_ceil(1000) + 1;
    Resource::CPU.set(seconds, seconds).map_err(Error::internal)?;
    Resource::AS
        .set(limits.compile_bytes, limits.compile_bytes)
        .map_err(Error::internal)?;
    // No core dump of a child that was killed at a limit.
    Resource::CORE.set(0, 0).map_err(Error::internal)
}

/// The parent's clock still bounds its time.
#[cfg(not(unix))]
fn restrict(_limits: &Limits) -> Result<()> {
    Ok(())
}
