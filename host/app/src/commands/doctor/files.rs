//! The data folder and the TLS files. Not here: the model's files (`model`).

use super::{Check, machine, size};
use crate::{commands::date, config::Server};
use riad_api::tls::{self, Tls};
use std::{
    fs::{File, TryLockError},
    io::Read,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

const WHAT: &str = "data folder";
/// Below it, a few uploads fill the disk.
const FREE_WARN: u64 = 5 << 30;
const FREE_FAIL: u64 = 256 << 20;
const EXPIRES_SOON_SECONDS: u64 = 14 * 86_400;

pub(super) struct DataFolder {
    pub checks: Vec<Check>,
    /// A server runs with it.
    pub runs: bool,
}

pub(super) fn data_folder(path: &Path) -> DataFolder {
    let only = |check| DataFolder {
        checks: vec![check],
        runs: false,
    };
    let there = match path.metadata() {
        Ok(metadata) if metadata.is_dir() => path.to_owned(),
        Ok(_) => {
            return only(Check::fail(
                WHAT,
                format!(
                    "{} is no folder; name another one with --data or server.data",
                    path.display()
                ),
            ));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return only_parent(path),
        Err(error) => {
            return only(Check::fail(
                WHAT,
                format!("{} cannot be read: {error}; change its permissions", path.display()),
            ));
        }
    };
    let runs = is_locked(&there);
    let state = match (runs, writable(&there)) {
        (true, _) => Check::ok(WHAT, format!("{}: a server is running with it", path.display())),
        (false, Ok(())) => Check::ok(WHAT, path.display().to_string()),
        (false, Err(error)) => Check::fail(
            WHAT,
            format!(
                "{} cannot be written to: {error}; change its owner or permissions",
                path.display()
            ),
        ),
    };
    DataFolder {
        checks: vec![state, disk(&there), control(&there.join("control.db"))],
        runs,
    }
}

/// A folder that is not there yet is made at start, if that is possible.
fn only_parent(path: &Path) -> DataFolder {
    let parent = absolute(path)
        .ancestors()
        .skip(1)
        .find(|folder| folder.is_dir())
        .map(Path::to_owned);
    let checks = match parent {
        None => vec![Check::fail(
            WHAT,
            format!("{} cannot be made; name another one", path.display()),
        )],
        Some(parent) => match writable(&parent) {
            Ok(()) => vec![
                Check::ok(WHAT, format!("{} is not there yet and will be made", path.display())),
                disk(&parent),
            ],
            Err(error) => vec![Check::fail(
                WHAT,
                format!(
                    "{} cannot be made in {}: {error}; make it yourself, or name another one",
                    path.display(),
                    parent.display()
                ),
            )],
        },
    };
    DataFolder { checks, runs: false }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn writable(folder: &Path) -> std::io::Result<()> {
    tempfile::Builder::new()
        .prefix(".riad-doctor-")
        .tempfile_in(folder)
        .map(|_| ())
}

/// Whether a process holds the lock that the store takes. It is given back at once.
fn is_locked(folder: &Path) -> bool {
    let Ok(file) = File::options().write(true).open(folder.join("lock")) else {
        return false;
    };
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

fn disk(folder: &Path) -> Check {
    const WHAT: &str = "disk space";
    match machine::free_bytes(folder) {
        None => Check::skip(WHAT, "the system does not say how much is free"),
        Some(free) if free < FREE_FAIL => {
            Check::fail(WHAT, format!("{} free at {}; make room", size(free), folder.display()))
        }
        Some(free) if free < FREE_WARN => Check::warn(
            WHAT,
            format!(
                "{} free at {}; an adapter alone may have 1 GB",
                size(free),
                folder.display()
            ),
        ),
        Some(free) => Check::ok(WHAT, format!("{} free", size(free))),
    }
}

/// The head of SQLite's file format: its name, and at byte 60 the version of the schema, big-endian.
fn control(path: &Path) -> Check {
    const WHAT: &str = "control database";
    const NAME: &[u8] = b"SQLite format 3\0";
    let mut head = [0; 64];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Check::ok(WHAT, "not there yet; the first start makes it")
        }
        // Made, and everything still in its write-ahead log.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Check::warn(WHAT, format!("{} is empty; the next start fills it", path.display()))
        }
        Err(error) => Check::fail(WHAT, format!("{} cannot be read: {error}", path.display())),
        Ok(()) if !head.starts_with(NAME) => Check::fail(
            WHAT,
            format!("{} is no SQLite database; restore it from a backup", path.display()),
        ),
        Ok(()) => {
            let version = head.last_chunk::<4>().copied().map_or(0, u32::from_be_bytes);
            Check::ok(WHAT, format!("schema version {version}"))
        }
    }
}

pub(super) fn tls(server: &Server) -> Vec<Check> {
    const WHAT: &str = "tls";
    let Some((certificate, key)) = server.tls() else {
        let check = match is_loopback(&server.listen) {
            true => Check::ok(WHAT, "off; the server listens for this machine only"),
            false => Check::warn(
                WHAT,
                "off, and the server listens for other machines: keys travel unencrypted; set server.tls_certificate and \
                 server.tls_key, or put a proxy that ends TLS in front",
            ),
        };
        return vec![check];
    };
    let mut checks = vec![match Tls::open(certificate, key) {
        Ok(_) => Check::ok(WHAT, format!("{} and its key belong together", certificate.display())),
        Err(error) => return vec![Check::fail(WHAT, error.message())],
    }];
    checks.push(expiry(certificate));
    if readable_by_others(key) {
        checks.push(Check::warn(
            "tls key",
            format!(
                "everybody on this machine can read {}; take that right away (chmod 600)",
                key.display()
            ),
        ));
    }
    checks
}

fn expiry(certificate: &Path) -> Check {
    const WHAT: &str = "tls certificate";
    let validity = match tls::validity(certificate) {
        Ok(validity) => validity,
        Err(error) => return Check::warn(WHAT, error.message()),
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs());
    let (from, to) = (date(validity.not_before), date(validity.not_after));
    if now < validity.not_before {
        Check::fail(WHAT, format!("valid from {from} UTC on; wait, or check the clock"))
    } else if now > validity.not_after {
        Check::fail(WHAT, format!("expired on {to} UTC; renew it"))
    } else if validity.not_after - now < EXPIRES_SOON_SECONDS {
        Check::warn(
            WHAT,
            format!("expires on {to} UTC; renew it, the server takes it up by itself"),
        )
    } else {
        Check::ok(WHAT, format!("valid until {to} UTC"))
    }
}

fn is_loopback(listen: &str) -> bool {
    let ip = listen.parse::<SocketAddr>().map(|address| address.ip());
    match ip {
        Ok(ip) => IpAddr::is_loopback(&ip),
        Err(_) => listen.starts_with("localhost:"),
    }
}

#[cfg(unix)]
fn readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn readable_by_others(_: &Path) -> bool {
    false
}
