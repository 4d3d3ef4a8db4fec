//! The folder that the servers read adapters from: `POST /load_lora_adapter` names a path, so that it must be shared with them.

use crate::{
    AdapterFolderConfig, adapter_files,
    tokens::{blocking, engine_error},
};
use parking_lot::Mutex;
use riad_core::{
    Digest, Error, Result,
    adapter::{AdapterSource, CONFIG, WEIGHTS},
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
use tokio::runtime::Handle;

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
    /// In a folder of its own, because other processes may use the same one. Removes what an earlier run has left there.
    pub fn open(mut config: AdapterFolderConfig, instance: &str) -> Result<Self> {
        config.here.push(instance);
        config.there = format!("{}/{instance}", config.there.trim_end_matches('/'));
        let failed = |error: std::io::Error| {
            Error::invalid(format!(
                "engine.adapter_folder: {} cannot be used: {error}",
                config.here.display()
            ))
            .with_param("engine.adapter_folder")
        };
        fs::create_dir_all(&config.here).map_err(failed)?;
        for entry in fs::read_dir(&config.here).map_err(failed)? {
            fs::remove_dir_all(entry.map_err(failed)?.path()).map_err(failed)?;
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
        let there = format!("{}/{name}", self.config.there);
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
        let here = std::mem::take(&mut self.here);
        let remove = move || {
            if let Err(error) = fs::remove_dir_all(here) {
                tracing::warn!(%error, "an adapter stays in engine.adapter_folder until the next start");
            }
        };
        // The folder may be another machine's.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

fn copy(from: &Path, here: PathBuf, there: String, generation: Digest) -> Result<SharedAdapter> {
    let files = adapter_files::read(from, generation)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::{ErrorKind, adapter::AdapterFiles};

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
        let folder = AdapterFolder::open(config(shared.path()), "one").unwrap();
        let source = source(room.path());
        let first = folder.put(&source).await.unwrap();
        let second = folder.put(&source).await.unwrap();
        assert_eq!(first.there, second.there);
        assert_eq!(first.there, format!("/models/adapters/one/{}-0", source.generation));
        assert_eq!(fs::read(first.here.join(WEIGHTS)).unwrap(), b"weights");
        drop(first);
        let here = shared.path().join("one");
        assert_eq!(fs::read_dir(&here).unwrap().count(), 1);
        drop(second);
        while fs::read_dir(&here).unwrap().count() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn damaged_and_lost_files_reach_no_server() {
        let (room, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = AdapterFolder::open(config(shared.path()), "one").unwrap();
        let source = source(room.path());
        fs::write(room.path().join(WEIGHTS), b"others").unwrap();
        assert!(folder.put(&source).await.is_err());
        fs::remove_file(room.path().join(WEIGHTS)).unwrap();
        let error = folder.put(&source).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::ModelNotFound);
        assert_eq!(fs::read_dir(shared.path().join("one")).unwrap().count(), 0);
    }

    #[test]
    fn a_start_removes_what_its_own_run_has_left_and_nothing_else() {
        let shared = tempfile::tempdir().unwrap();
        for folder in ["one/old", "other/old"] {
            fs::create_dir_all(shared.path().join(folder)).unwrap();
        }
        AdapterFolder::open(config(shared.path()), "one").unwrap();
        assert!(!shared.path().join("one/old").exists());
        assert!(shared.path().join("other/old").exists());
    }
}
