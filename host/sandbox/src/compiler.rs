//! Compiling a component in a child process. An upload of some kilobytes can make a compiler need minutes and gigabytes, and
//! could make one with a bug do anything: the operating system caps the child's memory and time, the child confines its own
//! system calls (`confinement.rs`), and of the server's environment it has only `KEPT_VARIABLES`.
//!
//! The protocol: an [`Order`] as one line of JSON and the component go in. Out come, before the component is read, one byte that
//! says whether the kernel confines the child, and if not, why, after its length in two bytes; then, unless the child gives
//! up for that, one byte for the kind of the answer, and the answer.

mod confinement;

use crate::{check, compile_limiter::CompilePermit, engine};
use riad_core::{Digest, Error, ErrorKind, Limits, Result};
use serde::{Deserialize, Serialize};
use std::{
    env,
    io::{BufRead, Write},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
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
/// The configuration key that makes an operator's [`Unconfined`] `Any`.
const ALLOW_UNCONFINED: &str = "plugins.allow_unconfined_compiler";
/// All that the child keeps of the server's environment: where its shared libraries are, and what Windows needs to start it.
const KEPT_VARIABLES: [&str; 2] = ["LD_LIBRARY_PATH", "SystemRoot"];

/// Where components are compiled.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// In this process. Nothing bounds its memory, nor stops it: for components that are trusted, and for tests.
    InProcess,
    /// In a child: `program` with `arguments`, which calls [`compile_child`].
    Child {
        program: PathBuf,
        arguments: Vec<String>,
        unconfined: Unconfined,
    },
}

/// What may be compiled although the kernel does not confine the child's system calls.
#[derive(Debug, Clone)]
pub enum Unconfined {
    /// Components with these digests, which come with the program. Others are refused.
    Only(Vec<Digest>),
    /// Everything. The server warns.
    Any,
}

/// What the child is told before the component.
#[derive(Serialize, Deserialize)]
struct Order {
    limits: Limits,
    /// Whether the component is compiled if the kernel does not confine the child.
    unconfined: bool,
}

/// What the child said, and how it ended.
struct Answer {
    /// Why the kernel does not confine the child, if so.
    not_confined: Option<String>,
    /// The kind and the content; `None` if the child ended without.
    content: Option<(u8, Vec<u8>)>,
}

impl Compiler {
    /// Compiled code for an engine with these limits. `InvalidRequest` if it is no component, `PluginLimit` if compiling takes
    /// too much. Stops when it is dropped, if it is a child; what cannot be stopped keeps `permit`.
    pub(crate) async fn compile(
        &self,
        engine: &Engine,
        limits: &Limits,
        digest: &Digest,
        bytes: &[u8],
        permit: Option<Arc<CompilePermit>>,
    ) -> Result<Vec<u8>> {
        let compiling = async {
            match self {
                Self::InProcess => {
                    let (engine, bytes) = (engine.clone(), bytes.to_vec());
                    let compiling = tokio::task::spawn_blocking(move || {
                        let code = compile(&engine, &bytes);
                        drop(permit);
                        code
                    });
                    compiling.await.map_err(Error::internal)?.map(Some)
                }
                Self::Child {
                    program,
                    arguments,
                    unconfined,
                } => {
                    let order = Order {
                        limits: limits.clone(),
                        unconfined: unconfined.allows(digest),
                    };
                    let answer = ask_child(program, arguments, &order, bytes).await?;
                    read_answer(answer, &order, digest)
                }
            }
        };
        // Nobody can make the server's own components larger, and all work of others waits for them: on a busy machine they take their time.
        let patience = match self {
            Self::Child {
                unconfined: Unconfined::Only(own),
                ..
            } if own.contains(digest) => OWN_PATIENCE,
            Self::Child { .. } | Self::InProcess => 1,
        };
        timeout(Duration::from_millis(limits.compile_ms) * patience, compiling)
            .await
            .unwrap_or(Ok(None))?
            .ok_or_else(|| too_much(digest, limits))
    }

    /// Why the kernel does not confine the system calls of the child, if so. For a check before a server starts.
    ///
    /// # Errors
    /// `Internal` if the child cannot be started or says nothing.
    pub async fn not_confined(&self, limits: &Limits) -> Result<Option<String>> {
        let Self::Child { program, arguments, .. } = self else {
            return Ok(Some("components are compiled inside of the server".to_owned()));
        };
        let order = Order {
            limits: limits.clone(),
            unconfined: false,
        };
        let longest = Duration::from_millis(limits.compile_ms);
        let asking = timeout(longest, ask_child(program, arguments, &order, &[]));
        let answer = asking.await.map_err(Error::internal)??;
        match answer {
            Answer {
                not_confined: None,
                content: None,
            } => Err(Error::internal("the compiling child ended without an answer")),
            Answer { not_confined, .. } => Ok(not_confined),
        }
    }
}

impl Unconfined {
    fn allows(&self, digest: &Digest) -> bool {
        match self {
            Self::Only(trusted) => trusted.contains(digest),
            Self::Any => true,
        }
    }
}

/// The child's side: reads an order and a component, writes code or what is wrong with the component. The process must have
/// no other purpose: it is confined from here on.
///
/// # Errors
/// When the order cannot be read, the limits cannot be set, or nobody reads the answer. What is wrong with the component is an answer.
pub fn compile_child(mut input: impl BufRead, mut output: impl Write) -> Result<()> {
    let mut line = String::new();
    input.read_line(&mut line).map_err(Error::internal)?;
    let Order { limits, unconfined } = serde_json::from_str(&line).map_err(Error::internal)?;
    restrict(&limits)?;
    // Before the confinement: it asks the system what the processor can do.
    let engine = engine::compiling(&limits)?;
    let confined = confinement::confine();
    let mut report = match &confined {
        Ok(()) => vec![CONFINED],
        Err(_) => vec![UNCONFINED],
    };
    if let Err(reason) = &confined {
        let length = u16::try_from(reason.len()).map_err(Error::internal)?;
        report.extend_from_slice(&length.to_le_bytes());
        report.extend_from_slice(reason.as_bytes());
    }
    output.write_all(&report).map_err(Error::internal)?;
    output.flush().map_err(Error::internal)?;
    if confined.is_err() && !unconfined {
        return Ok(());
    }
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

async fn ask_child(program: &Path, arguments: &[String], order: &Order, bytes: &[u8]) -> Result<Answer> {
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true).env_clear();
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
    let mut first = serde_json::to_vec(order).map_err(Error::internal)?;
    first.push(b'\n');
    let send = async {
        // A child that ends early closes its side; how it ended says why.
        if input.write_all(&first).await.is_ok() {
            let _ = input.write_all(bytes).await;
        }
        drop(input);
    };
    let mut written = Vec::new();
    let (_, read) = tokio::join!(send, output.read_to_end(&mut written));
    read.map_err(Error::internal)?;
    let status = child.wait().await.map_err(Error::internal)?;
    let answer = parse_answer(&written).filter(|_| status.success());
    Ok(answer.unwrap_or_else(|| {
        tracing::info!(%status, "the compiling child ended without an answer");
        Answer {
            not_confined: None,
            content: None,
        }
    }))
}

/// `None` if it breaks off before it says whether the child is confined.
fn parse_answer(written: &[u8]) -> Option<Answer> {
    let (confined, rest) = written.split_first()?;
    let (not_confined, rest) = if *confined == CONFINED {
        (None, rest)
    } else {
        let (length, rest) = rest.split_first_chunk()?;
        let (reason, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
        (Some(String::from_utf8_lossy(reason).into_owned()), rest)
    };
    Some(Answer {
        not_confined,
        content: rest.split_first().map(|(kind, content)| (*kind, content.to_vec())),
    })
}

/// `None`: the child ended without an answer.
fn read_answer(answer: Answer, order: &Order, digest: &Digest) -> Result<Option<Vec<u8>>> {
    if let Some(reason) = answer.not_confined {
        if !order.unconfined {
            return Err(not_confined(digest, &reason));
        }
        tracing::warn!(
            %digest,
            reason,
            "the system calls of the child that compiled a plugin were not confined: it ran with the rights of this server"
        );
    }
    match answer.content {
        None => Ok(None),
        Some((CODE, code)) => Ok(Some(code)),
        Some((REJECTION, text)) => Err(check::invalid(String::from_utf8_lossy(&text).into_owned())),
        Some(_) => Err(Error::internal("the compiling child answered in an unknown form")),
    }
}

/// The reason is the operator's to read; a tenant learns that the server is at fault.
fn not_confined(digest: &Digest, reason: &str) -> Error {
    tracing::error!(
        %digest,
        reason,
        "a plugin was refused: the system calls of the child that compiles it cannot be confined; give this server a kernel with \
         seccomp, or accept that the child runs with the rights of this server with {ALLOW_UNCONFINED} = true"
    );
    Error::new(
        ErrorKind::Unavailable,
        "this server cannot compile plugins safely, so it accepts none; its operator finds the reason in the log",
    )
    .with_source(format!("{reason}; see {ALLOW_UNCONFINED}"))
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

/// As many times `limits.compile_ms` as the clock may run for the server's own components; the processor's time is bounded for all alike.
const OWN_PATIENCE: u32 = 10;

/// How much lower than the server's the child's priority is.
#[cfg(unix)]
const NICE: i32 = 5;

#[cfg(unix)]
fn restrict(limits: &Limits) -> Result<()> {
    use rlimit::Resource;
    // Requests are served first; still a quarter of a processor if all are busy.
    rustix::process::nice(NICE).map_err(|error| Error::internal(std::io::Error::from(error)))?;
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
