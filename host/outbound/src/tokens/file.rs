//! Keys in a file that the operator changes. Not here: keys behind an address (`provider`).

use super::{
    config::wrong,
    keys::{KeySet, SET_MAX_BYTES},
};
use parking_lot::Mutex;
use riad_core::Result;
use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

pub(super) struct FileKeys {
    path: PathBuf,
    held: Mutex<Held>,
}

struct Held {
    /// `None` while there is no file.
    stamp: Option<Stamp>,
    keys: Arc<KeySet>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    bytes: u64,
}

impl FileKeys {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let cannot = |why: &dyn std::fmt::Display| {
            wrong(
                "jwks",
                format_args!("names {}, which cannot be used: {why}", path.display()),
            )
        };
        // The stamp first: what is written in between has another one, and is read at the next use.
        let stamp = path.metadata().and_then(stamp).map_err(|error| cannot(&error))?;
        let keys = read(path).map_err(|error| cannot(&error))?;
        if keys.is_empty() {
            return Err(cannot(
                &"it has no public key for verifying (RSA of 2048 bits or more, P-256, P-384, Ed25519)",
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            held: Mutex::new(Held {
                stamp: Some(stamp),
                keys: Arc::new(keys),
            }),
        })
    }

    /// The keys as the file has them now. A file that cannot be read leaves those that were there.
    pub(super) async fn keys(&self) -> Arc<KeySet> {
        let stamp = tokio::fs::metadata(&self.path).await.and_then(stamp).ok();
        {
            let held = self.held.lock();
            if held.stamp == stamp {
                return Arc::clone(&held.keys);
            }
        }
        let path = self.path.clone();
        let keys = tokio::task::spawn_blocking(move || read(&path))
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        let mut held = self.held.lock();
        // Kept for a bad file too: it is read, and complained about, once.
        held.stamp = stamp;
        match keys {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), "read auth.jwks again");
                held.keys = Arc::new(keys);
            }
            Err(error) => tracing::warn!(%error, "auth.jwks cannot be read; the keys that it had go on working"),
        }
        Arc::clone(&held.keys)
    }
}

fn stamp(file: Metadata) -> io::Result<Stamp> {
    Ok(Stamp {
        modified: file.modified()?,
        bytes: file.len(),
    })
}

fn read(path: &Path) -> io::Result<KeySet> {
    let mut json = Vec::new();
    File::open(path)?
        .take(SET_MAX_BYTES as u64 + 1)
        .read_to_end(&mut json)?;
    if json.len() > SET_MAX_BYTES {
        return Err(io::Error::other(format!("it has more than {SET_MAX_BYTES} bytes")));
    }
    KeySet::read(&json).map_err(io::Error::other)
}
