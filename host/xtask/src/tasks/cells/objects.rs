//! The object store of the cells: an S3-compatible server (moto, from the Python index), or a local folder.

use super::http::Connection;
use crate::{
    environment::Environment,
    process, say,
    tasks::{python::Python, server},
};
use anyhow::{Context, Result, ensure};
use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

const REQUIREMENTS: &str = "tests/cells/moto.txt";
const BUCKET: &str = "riad-cells";
/// 32 bytes in base64. It encrypts what is gone with the task.
const SNAPSHOT_KEY: &str = "cmlhZCB4dGFzayBjZWxscyBkZXZlbG9wZXIga2V5ISE=";
const START_MAX: Duration = Duration::from_secs(60);
const END_MAX: Duration = Duration::from_secs(5);

/// Ended with the task.
pub struct ObjectStore {
    /// For people.
    pub name: String,
    /// What servers, and commands without one, need to use it.
    pub variables: Vec<(&'static str, String)>,
    server: Option<Child>,
}

impl ObjectStore {
    /// In a folder of the task.
    ///
    /// # Errors
    /// When there is neither.
    pub fn start(environment: &Environment, folder: &Path) -> Result<Self> {
        let folder = folder.join("objects");
        fs::create_dir_all(&folder)?;
        let python = Python::with_requirements(environment, "moto", &environment.root.join(REQUIREMENTS));
        let mut store = match python.and_then(|python| s3(&python, &folder)) {
            Ok(store) => store,
            Err(error) => {
                say::line(&format!(
                    "== S3: SKIPPED, {error:#}; a local folder is the object store"
                ));
                Self {
                    name: "a local folder, because no S3-compatible server can be installed here".to_owned(),
                    variables: vec![("RIAD_OBJECTS__URL", format!("file://{}", folder.display()))],
                    server: None,
                }
            }
        };
        store.variables.push(("RIAD_SNAPSHOT_KEY", SNAPSHOT_KEY.to_owned()));
        Ok(store)
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            process::end(server, END_MAX);
        }
    }
}

fn s3(python: &Python, folder: &Path) -> Result<ObjectStore> {
    let address = server::free_address()?;
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let log = File::create(folder.join("log"))?;
    let words = ["-H", &host, "-p", &port];
    let child = process::command(python.program("moto_server"), &words, folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot run moto_server")?;
    let variables = [
        ("RIAD_OBJECTS__URL", format!("s3://{BUCKET}/rooms-of-cells")),
        ("AWS_ENDPOINT_URL", format!("http://{address}")),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        // It takes any.
        ("AWS_ACCESS_KEY_ID", "developer".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "developer".to_owned()),
        ("NO_PROXY", "127.0.0.1".to_owned()),
    ];
    let mut store = ObjectStore {
        name: "moto, an S3-compatible server".to_owned(),
        variables: variables.into(),
        server: Some(child),
    };
    let begun = Instant::now();
    while !make_bucket(address).unwrap_or(false) {
        let ended = store.server.as_mut().map(Child::try_wait).transpose()?.flatten();
        ensure!(ended.is_none(), "moto_server has ended");
        ensure!(begun.elapsed() < START_MAX, "moto_server does not make a bucket");
        thread::sleep(Duration::from_millis(100));
    }
    Ok(store)
}

fn make_bucket(address: SocketAddr) -> Result<bool> {
    let answer = Connection::open(address)?.send("PUT", &format!("/{BUCKET}"), "connection: close", "")?;
    Ok(answer.status == 200)
}
