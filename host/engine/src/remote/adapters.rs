//! The folder that the servers read adapters from: `POST /load_lora_adapter` names a path, so that it must be shared with them.

use crate::{
    AdapterFolderConfig,
    tokens::{blocking, engine_error},
};
use parking_lot::Mutex;
use riad_core::{
    Digest, Error, ErrorKind, Result,
    adapter::{AdapterFiles, AdapterSource},
};
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

pub(super) struct AdapterFolder {
    config: AdapterFolderConfig,
    shared: Mutex<HashMap<Digest, Weak<SharedAdapter>>>,
    /// No two folders have the same name, so that one that is being removed is never one that is being written.
    next: AtomicU64,
}

/// A generation that servers can read, until no server has it.
pub(super) struct SharedAdapter {
    here: PathBuf,
    /// As the servers name it.
    pub there: String,
    pub bytes: u64,
}

impl AdapterFolder {
    /// Removes what an earlier process has left: the servers have read it.
    pub fn open(config: AdapterFolderConfig) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::invalid(format!(
                "engine.adapter_folder: {} cannot be used: {error}",
                config.here.display()
            ))
            .with_param("engine.adapter_folder")
        };
        fs::create_dir_all(&config.here).map_err(failed)?;
        for entry in fs::read_dir(&config.here).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().to_str().is_some_and(is_ours) {
                fs::remove_dir_all(entry.path()).map_err(failed)?;
            }
        }
        Ok(Self {
            config,
            shared: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// # Errors
    /// `ModelNotFound` if the adapter's files are gone.
    pub async fn put(&self, source: &AdapterSource) -> Result<Arc<SharedAdapter>> {
        if let Some(shared) = self.shared.lock().get(&source.generation).and_then(Weak::upgrade) {
            return Ok(shared);
        }
        let name = format!("{}-{}", source.generation, self.next.fetch_add(1, Ordering::Relaxed));
        let here = self.config.here.join(&name);
        let there = format!("{}/{name}", self.config.there.trim_end_matches('/'));
        let (from, generation) = (source.folder.clone(), source.generation);
        let shared = Arc::new(blocking(move || copy(&from, here, there, generation)).await?);
        let mut all = self.shared.lock();
        all.retain(|_, shared| shared.strong_count() > 0);
        all.insert(source.generation, Arc::downgrade(&shared));
        Ok(shared)
    }
}

impl Drop for SharedAdapter {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.here) {
            tracing::warn!(%error, "an adapter stays in engine.adapter_folder until the next start");
        }
    }
}

fn copy(from: &Path, here: PathBuf, there: String, generation: Digest) -> Result<SharedAdapter> {
    let read = |name: &str| {
        fs::read(from.join(name)).map_err(|error| {
            Error::new(
                ErrorKind::ModelNotFound,
                "the adapter's files are gone; upload it again",
            )
            .with_source(error)
        })
    };
    let files = AdapterFiles {
        config: read(CONFIG)?.into(),
        weights: read(WEIGHTS)?.into(),
    };
    if files.generation() != generation {
        return Err(engine_error(
            "found an adapter damaged on disk; upload it again",
            generation.to_string(),
        ));
    }
    // Removed when it is dropped, also if writing fails.
    let shared = SharedAdapter {
        here,
        there,
        bytes: files.weights.len() as u64,
    };
    let failed = |error: std::io::Error| engine_error("cannot write into engine.adapter_folder", error);
    fs::create_dir_all(&shared.here).map_err(failed)?;
    fs::write(shared.here.join(WEIGHTS), &files.weights).map_err(failed)?;
    fs::write(shared.here.join(CONFIG), &files.config).map_err(failed)?;
    Ok(shared)
}

/// A generation's digest and a number.
fn is_ours(name: &str) -> bool {
    name.split_once('-').is_some_and(|(digest, number)| {
        digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) && number.parse::<u64>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(here: &Path) -> AdapterFolderConfig {
        AdapterFolderConfig {
            here: here.to_owned(),
            there: "/models/adapters/".to_owned(),
        }
    }

    fn source(folder: &Path) -> AdapterSource {
        let files = AdapterFiles {
            config: b"{}".as_slice().into(),
            weights: b"weights".as_slice().into(),
        };
        fs::write(folder.join(CONFIG), &files.config).unwrap();
        fs::write(folder.join(WEIGHTS), &files.weights).unwrap();
        AdapterSource {
            generation: files.generation(),
            folder: folder.to_owned(),
            tensors: 2,
            pin: Arc::default(),
        }
    }

    #[tokio::test]
    async fn an_adapter_is_there_as_long_as_a_server_has_it() {
        let (room, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = AdapterFolder::open(config(shared.path())).unwrap();
        let source = source(room.path());
        let first = folder.put(&source).await.unwrap();
        let second = folder.put(&source).await.unwrap();
        assert_eq!(first.there, second.there);
        assert_eq!(first.there, format!("/models/adapters/{}-0", source.generation));
        assert_eq!(fs::read(first.here.join(WEIGHTS)).unwrap(), b"weights");
        drop(first);
        assert_eq!(fs::read_dir(shared.path()).unwrap().count(), 1);
        drop(second);
        assert_eq!(fs::read_dir(shared.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn damaged_and_lost_files_reach_no_server() {
        let (room, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = AdapterFolder::open(config(shared.path())).unwrap();
        let source = source(room.path());
        fs::write(room.path().join(WEIGHTS), b"others").unwrap();
        assert!(folder.put(&source).await.is_err());
        fs::remove_file(room.path().join(WEIGHTS)).unwrap();
        let error = folder.put(&source).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::ModelNotFound);
        assert_eq!(fs::read_dir(shared.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_start_removes_what_is_left_and_nothing_else() {
        let shared = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"x");
        fs::create_dir(shared.path().join(format!("{digest}-3"))).unwrap();
        fs::create_dir(shared.path().join("notes-3")).unwrap();
        AdapterFolder::open(config(shared.path())).unwrap();
        let left: Vec<_> = fs::read_dir(shared.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["notes-3"]);
    }
}
