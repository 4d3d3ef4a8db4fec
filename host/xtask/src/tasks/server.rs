//! A server of its own for tasks that need one: built, started on a free port with an empty data folder and the model that ships, and
//! ended with the task. Not here: what is asked of it.

use crate::{environment::Environment, process};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// It listens on this machine only, and its data folder goes with it.
pub const OPERATOR_KEY: &str = "riad_op_of_a_developer_task";
/// Until the models are loaded; only a server that hangs makes a task wait for it.
const START_MAX: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);

pub struct Server {
    pub url: String,
    address: SocketAddr,
    riad: PathBuf,
    folder: PathBuf,
    variables: Vec<(&'static str, String)>,
    child: Child,
}

#[derive(Deserialize)]
struct Made {
    key: String,
}

/// Builds the workspace, as all tasks do, so that nothing is built twice, and says where `riad` is.
///
/// # Errors
/// When it cannot be built.
pub fn build(environment: &Environment) -> Result<PathBuf> {
    let words = ["build", "--release", "--workspace"];
    process::run(
        process::command(&environment.cargo, &words, &environment.root).env("CARGO_TARGET_DIR", &environment.target),
    )?;
    Ok(environment.target.join("release/riad"))
}

impl Server {
    /// `variables` are configuration keys as environment variables.
    ///
    /// # Errors
    /// When it cannot be built or does not start.
    pub fn start(environment: &Environment, name: &str, variables: &[(&'static str, String)]) -> Result<Self> {
        let riad = build(environment)?;
        let folder = new_folder(environment, name)?;
        Self::start_at(riad, folder, free_address()?, variables)
    }

    /// In a folder that has no data yet.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_at(
        riad: PathBuf,
        folder: PathBuf,
        address: SocketAddr,
        variables: &[(&'static str, String)],
    ) -> Result<Self> {
        let variables = variables.to_vec();
        let child = spawn(&riad, &folder, address, &variables)?;
        let mut server = Self {
            url: format!("http://{address}"),
            address,
            riad,
            folder,
            variables,
            child,
        };
        server.wait()?;
        Ok(server)
    }

    /// As a machine that fails: nothing is ended in order.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// As [`Self::kill`], which must follow, while others use it.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill_process(&self) -> Result<()> {
        process::run(Command::new("kill").args(["-KILL", &self.child.id().to_string()]))
    }

    /// As an operator stops it.
    pub fn stop(&mut self) {
        process::end(&mut self.child, START_MAX);
    }

    /// Where it has its data.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// After [`Self::kill`] or [`Self::stop`], with what is in its data folder.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&mut self) -> Result<()> {
        self.child = spawn(&self.riad, &self.folder, self.address, &self.variables)?;
        self.wait()
    }

    fn wait(&mut self) -> Result<()> {
        let begun = Instant::now();
        while !is_ready(self.address) {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}:\n{}", self.log());
            }
            ensure!(
                begun.elapsed() < START_MAX,
                "the server does not become ready:\n{}",
                self.log()
            );
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// The program that it runs.
    pub fn program(&self) -> &Path {
        &self.riad
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// A new tenant's key.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn tenant(&self, id: &str, policy: &[&str]) -> Result<String> {
        let made = process::read(self.riad(&["tenant", "create", id, "--json"]).env("NO_COLOR", "1"))?;
        let made: Made = serde_json::from_str(&made).context("cannot understand what riad says of a tenant")?;
        if !policy.is_empty() {
            process::read(&mut self.riad(&[&["tenant", "set", id][..], policy].concat()))?;
        }
        Ok(made.key)
    }

    fn riad(&self, arguments: &[&str]) -> Command {
        let mut command = process::command(&self.riad, arguments, &self.folder);
        command
            .env("RIAD_URL", &self.url)
            .env("RIAD_OPERATOR_KEY", OPERATOR_KEY);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing to lose.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
        drop(fs::remove_dir_all(self.data()));
    }
}

/// An empty folder for servers of a task.
///
/// # Errors
/// When it cannot be made.
pub fn new_folder(environment: &Environment, name: &str) -> Result<PathBuf> {
    let folder = environment.target.join("servers").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn spawn(riad: &Path, folder: &Path, address: SocketAddr, variables: &[(&'static str, String)]) -> Result<Child> {
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    let listen = address.to_string();
    let mut command = process::command(riad, &["serve", "--listen", &listen, "--data", "data"], folder);
    command
        .env("RIAD_OPERATOR_KEY", OPERATOR_KEY)
        .envs(variables.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    command
        .spawn()
        .with_context(|| format!("cannot run {}", riad.display()))
}

/// An address that was free a moment ago.
///
/// # Errors
/// When there is none.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
    Ok(listener.local_addr()?)
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut socket = TcpStream::connect_timeout(&address, POLL)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        socket.write_all(b"GET /readyz HTTP/1.1\r\nhost: riad\r\nconnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        socket.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
