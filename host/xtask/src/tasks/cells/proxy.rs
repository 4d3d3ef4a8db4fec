//! A proxy of this machine, with a configuration of its own; ended with the task.

use crate::process;
use anyhow::{Context, Result, ensure};
use std::{
    fmt, fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Child,
    thread,
    time::{Duration, Instant},
};

const START_MAX: Duration = Duration::from_secs(60);

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
        let configuration = folder.join("riad.conf");
        fs::write(&configuration, routes)?;
        let child = match kind {
            Kind::Haproxy => {
                let configuration = configuration.to_string_lossy();
                process::command(&program, &["-db", "-f", &configuration], &folder).spawn()
            }
            Kind::Nginx => {
                let whole = folder.join("nginx.conf");
                fs::write(&whole, around(&configuration))?;
                let prefix = folder.to_string_lossy();
                process::command(&program, &["-p", &prefix, "-c", &whole.to_string_lossy()], &folder).spawn()
            }
        };
        let mut proxy = Self {
            kind,
            address,
            child: child.with_context(|| format!("cannot run {}", program.display()))?,
        };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(proxy.child.try_wait()?.is_none(), "{kind} has ended");
            ensure!(begun.elapsed() < START_MAX, "{kind} does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(proxy))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// What nginx needs around the routes: no paths of the system, and one process, which is ended as a whole.
fn around(routes: &Path) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr warn;\nevents {{}}\nhttp {{\n    access_log off;\n{temporary}    include {};\n}}\n",
        routes.display()
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
