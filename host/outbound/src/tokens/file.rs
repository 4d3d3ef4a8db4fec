//! Keys in a file, which is read again when the operator changes it.

use super::{
    errors::invalid_setting,
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
    loaded: Mutex<LoadedKeys>,
}

struct LoadedKeys {
    /// `None` while there is no file.
    version: Option<FileVersion>,
    keys: Arc<KeySet>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct FileVersion {
    modified: SystemTime,
    bytes: u64,
}

impl FileKeys {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let cannot = |why: &dyn std::fmt::Display| {
            invalid_setting(
                "jwks",
                format_args!("names {}, which cannot be used: {why}", path.display()),
            )
        };
        // The version first: a file that is written in between has another one, and is read at the next use.
        let version = path.metadata().and_then(version).map_err(|error| cannot(&error))?;
        let keys = read(path).map_err(|error| cannot(&error))?;
        if keys.is_empty() {
            return Err(cannot(
                &"it has no public key for verifying (RSA of at least 2048 bits, P-256, P-384, Ed25519)",
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            loaded: Mutex::new(LoadedKeys {
                version: Some(version),
                keys: Arc::new(keys),
            }),
        })
    }

    /// The keys as the file has them now, or the last ones if it cannot be read.
    pub(super) async fn keys(&self) -> Arc<KeySet> {
        let version = tokio::fs::metadata(&self.path).await.and_then(version).ok();
        {
            let loaded = self.loaded.lock();
            if loaded.version == version {
                return Arc::clone(&loaded.keys);
            }
        }
        let path = self.path.clone();
        let keys = tokio::task::spawn_blocking(move || read(&path))
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        let mut loaded = self.loaded.lock();
        // For a bad file too, so that it is read and logged once.
        loaded.version = version;
        match keys {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), "read auth.jwks again");
                loaded.keys = Arc::new(keys);
            }
            Err(error) => tracing::warn!(%error, "auth.jwks cannot be read; its last keys stay in use"),
        }
        Arc::clone(&loaded.keys)
    }
}

fn version(file: Metadata) -> io::Result<FileVersion> {
    Ok(FileVersion {
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
