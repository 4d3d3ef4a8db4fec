//! A proxy of this machine, with a configuration of its own; ended with the task.

use crate::process;
use anyhow::{Context, Result, ensure};
use std::{
    fmt,
    fs::{self, File},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

const START_MAX: Duration = Duration::from_secs(60);
/// Connections that are open end sooner.
const END_MAX: Duration = Duration::from_secs(5);
const ROUTES: &str = "riad.conf";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Haproxy,
    Nginx,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Haproxy, Self::Nginx];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
        })
    }
}

pub struct Proxy {
    pub kind: Kind,
    pub address: SocketAddr,
    folder: PathBuf,
    child: Child,
}

impl Proxy {
    /// `None` if it is not installed.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(kind: Kind, folder: &Path, address: SocketAddr, routes: &str) -> Result<Option<Self>> {
        let Some(program) = program(&kind.to_string()) else {
            return Ok(None);
        };
        let folder = folder.join(kind.to_string());
        fs::create_dir_all(&folder)?;
        let configuration = folder.join(ROUTES);
        fs::write(&configuration, routes)?;
        let configuration = configuration.to_string_lossy();
        let prefix = folder.to_string_lossy();
        let arguments = match kind {
            // A master, which begins again with a new configuration.
            Kind::Haproxy => ["-W", "-db", "-f", &configuration],
            Kind::Nginx => {
                fs::write(folder.join("nginx.conf"), around(&configuration))?;
                ["-p", &prefix, "-c", "nginx.conf"]
            }
        };
        let log = File::create(folder.join("log"))?;
        let child = process::command(&program, &arguments, &folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn();
        let mut proxy = Self {
            kind,
            address,
            child: child.with_context(|| format!("cannot run {}", program.display()))?,
            folder,
        };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(
                proxy.child.try_wait()?.is_none(),
                "{kind} has ended:\n{}",
                fs::read_to_string(proxy.folder.join("log")).unwrap_or_default()
            );
            ensure!(begun.elapsed() < START_MAX, "{kind} does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(proxy))
    }

    /// Lines of a shell that make it follow what `routes`, a command, writes. When they have ended, it does.
    pub fn follow(&self, routes: &str) -> String {
        let (folder, process) = (self.folder.display(), self.child.id());
        let write = format!("cd '{folder}'\n{routes} > {ROUTES}.new\nmv {ROUTES}.new {ROUTES}\n");
        // Requests that were on their way are answered by processes that know the old map.
        let (signal, sign) = match self.kind {
            Kind::Haproxy => ("USR2", "Loading success"),
            Kind::Nginx => ("HUP", "gracefully shutting down"),
        };
        let count = format!("$(grep -c '{sign}' log || true)");
        format!(
            "{write}before={count}\nkill -{signal} {process}\nfor wait in $(seq 500); do\n    [ \"{count}\" -gt \"$before\" ] && break\n    sleep 0.01\ndone\n"
        )
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        process::end(&mut self.child, END_MAX);
    }
}

/// What nginx needs around the routes, without paths of the system.
fn around(routes: &str) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {kind};\n"))
        .concat();
    format!(
        "daemon off;\nworker_processes 1;\npid nginx.pid;\nerror_log stderr notice;\nevents {{}}\nhttp {{\n    access_log off;\n{temporary}    include '{routes}';\n}}\n"
    )
}

/// Where distributions have servers' programs, also if they are in no user's path.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(|folder| Path::new(folder).to_owned()))
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}
