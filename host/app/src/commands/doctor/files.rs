//! Checks of the data folder and the TLS files.

use super::machine;
use crate::{
    commands::{check::Check, date},
    config::{Cell, Server},
};
use riad_api::tls::{self, Tls};
use riad_cells::MapFile;
use riad_core::Timestamp;
use riad_engine::memory::size;
use riad_store::CONTROL_SCHEMA_VERSION;
use std::{
    fs::{File, TryLockError},
    io::Read,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

const NAME: &str = "data folder";
/// With less, a few uploads fill the disk.
const FREE_WARN: u64 = 5 << 30;
const FREE_FAIL: u64 = 256 << 20;
const EXPIRES_SOON_SECONDS: u64 = 14 * 86_400;

pub(super) struct DataFolder {
    pub checks: Vec<Check>,
    /// Whether a running server uses it.
    pub in_use: bool,
}

pub(super) fn data_folder(path: &Path) -> DataFolder {
    let only = |check| DataFolder {
        checks: vec![check],
        in_use: false,
    };
    let there = match path.metadata() {
        Ok(metadata) if metadata.is_dir() => path.to_owned(),
        Ok(_) => {
            return only(Check::fail(
                NAME,
                format!(
                    "{} is not a folder; choose another one with --data or server.data",
                    path.display()
                ),
            ));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return only_parent(path),
        Err(error) => {
            return only(Check::fail(
                NAME,
                format!("{} cannot be read: {error}; change its permissions", path.display()),
            ));
        }
    };
    let in_use = is_locked(&there);
    let state = match (in_use, writable(&there)) {
        (true, _) => Check::ok(NAME, format!("{}: a running server uses it", path.display())),
        (false, Ok(())) => Check::ok(NAME, path.display().to_string()),
        (false, Err(error)) => Check::fail(
            NAME,
            format!(
                "{} cannot be written to: {error}; change its owner or permissions",
                path.display()
            ),
        ),
    };
    let mut checks = vec![state, disk(&there), control(&there.join("control.db"))];
    if has_mode(&there, 0o077) {
        checks.push(Check::warn(
            "data permissions",
            format!(
                "other users of this machine can open {}, which has the tenants' documents and the key that signs receipts; restrict it \
                 (chmod 700), as the server does at its start if it owns the folder",
                path.display()
            ),
        ));
    }
    DataFolder { checks, in_use }
}

/// A missing folder is created at start, if its parent allows that.
fn only_parent(path: &Path) -> DataFolder {
    let parent = absolute(path)
        .ancestors()
        .skip(1)
        .find(|folder| folder.is_dir())
        .map(Path::to_owned);
    let checks = match parent {
        None => vec![Check::fail(
            NAME,
            format!("{} cannot be created; choose another one", path.display()),
        )],
        Some(parent) => match writable(&parent) {
            Ok(()) => vec![
                Check::ok(
                    NAME,
                    format!("{} does not exist yet; the first start creates it", path.display()),
                ),
                disk(&parent),
            ],
            Err(error) => vec![Check::fail(
                NAME,
                format!(
                    "{} cannot be created in {}: {error}; create it yourself, or choose another one",
                    path.display(),
                    parent.display()
                ),
            )],
        },
    };
    DataFolder { checks, in_use: false }
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

/// Whether a process holds the store's lock. If not, this takes it and releases it at once.
fn is_locked(folder: &Path) -> bool {
    let Ok(file) = File::options().write(true).open(folder.join("lock")) else {
        return false;
    };
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

fn disk(folder: &Path) -> Check {
    const NAME: &str = "disk space";
    match machine::free_bytes(folder) {
        None => Check::skip(NAME, "the system does not report the free space"),
        Some(free) if free < FREE_FAIL => {
            Check::fail(NAME, format!("{} free at {}; make room", size(free), folder.display()))
        }
        Some(free) if free < FREE_WARN => Check::warn(
            NAME,
            format!(
                "{} free at {}; an adapter alone may have 1 GB",
                size(free),
                folder.display()
            ),
        ),
        Some(free) => Check::ok(NAME, format!("{} free", size(free))),
    }
}

/// The head of SQLite's file format: its name, and at byte 60 the version of the schema, big-endian.
fn control(path: &Path) -> Check {
    const NAME: &str = "control database";
    const MAGIC: &[u8] = b"SQLite format 3\0";
    let mut head = [0; 64];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Check::ok(NAME, "does not exist yet; the first start creates it")
        }
        // Just created, with all data still in its write-ahead log.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Check::warn(NAME, format!("{} is empty; the next start fills it", path.display()))
        }
        Err(error) => Check::fail(NAME, format!("{} cannot be read: {error}", path.display())),
        Ok(()) if !head.starts_with(MAGIC) => Check::fail(
            NAME,
            format!("{} is not a SQLite database; restore it from a backup", path.display()),
        ),
        Ok(()) => {
            let version = head.last_chunk::<4>().copied().map_or(0, u32::from_be_bytes);
            match version <= CONTROL_SCHEMA_VERSION {
                true => Check::ok(NAME, format!("schema version {version}")),
                false => Check::fail(
                    NAME,
                    format!(
                        "schema version {version} is newer than this program, which reads versions up to \
                         {CONTROL_SCHEMA_VERSION}; use the newer program that wrote it, or restore a backup"
                    ),
                ),
            }
        }
    }
}

pub(super) fn cells(cell: &Cell) -> Option<Check> {
    const NAME: &str = "cells";
    let (name, map) = cell.name.as_ref().zip(cell.map.as_ref())?;
    Some(match MapFile::open(map, name) {
        Ok(_) => Check::ok(NAME, format!("{} has the cell {name}", map.display())),
        Err(error) => Check::fail(NAME, error.message()),
    })
}

pub(super) fn tls(server: &Server) -> Vec<Check> {
    const NAME: &str = "tls";
    let Some((certificate, key)) = server.tls() else {
        let check = match is_loopback(&server.listen) {
            true => Check::ok(NAME, "off; the server accepts connections from this machine only"),
            false => Check::warn(
                NAME,
                "off, and the server accepts connections from other machines: keys travel unencrypted; set server.tls_certificate \
                 and server.tls_key, or put a proxy that terminates TLS in front",
            ),
        };
        return vec![check];
    };
    let mut checks = vec![match Tls::open(certificate, key) {
        Ok(_) => Check::ok(NAME, format!("{} matches its key", certificate.display())),
        Err(error) => return vec![Check::fail(NAME, error.message())],
    }];
    checks.push(expiry(certificate));
    if has_mode(key, 0o004) {
        checks.push(Check::warn(
            "tls key",
            format!(
                "everybody on this machine can read {}; restrict it (chmod 600)",
                key.display()
            ),
        ));
    }
    checks
}

fn expiry(certificate: &Path) -> Check {
    const NAME: &str = "tls certificate";
    let validity = match tls::validity(certificate) {
        Ok(validity) => validity,
        Err(error) => return Check::warn(NAME, error.message()),
    };
    let now = Timestamp::now().as_seconds();
    let at = |seconds| date(Timestamp::from_seconds(seconds));
    let (from, to) = (at(validity.not_before), at(validity.not_after));
    if now < validity.not_before {
        Check::fail(NAME, format!("valid from {from} UTC on; wait, or check the clock"))
    } else if now > validity.not_after {
        Check::fail(NAME, format!("expired on {to} UTC; renew it"))
    } else if validity.not_after - now < EXPIRES_SOON_SECONDS {
        Check::warn(
            NAME,
            format!("expires on {to} UTC; renew it, the server reloads it by itself"),
        )
    } else {
        Check::ok(NAME, format!("valid until {to} UTC"))
    }
}

fn is_loopback(listen: &str) -> bool {
    let ip = listen.parse::<SocketAddr>().map(|address| address.ip());
    match ip {
        Ok(ip) => IpAddr::is_loopback(&ip),
        Err(_) => listen.starts_with("localhost:"),
    }
}

/// Whether any of these bits is set.
#[cfg(unix)]
fn has_mode(path: &Path, bits: u32) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|metadata| metadata.permissions().mode() & bits != 0)
}

#[cfg(not(unix))]
fn has_mode(_: &Path, _: u32) -> bool {
    false
}
