//! The Hugging Face cache on disk, which other tools share:
//!
//! ```text
//! models--owner--name/refs/<branch or tag>      the commit that it names
//! models--owner--name/snapshots/<commit>/<file> a link to
//! models--owner--name/blobs/<etag>              the file's bytes; `<etag>.incomplete` while they come
//! .locks/models--owner--name/<etag>.lock        locked by the process that downloads the blob
//! ```

use super::{failure::Failure, model::HubModel};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use uuid::Uuid;

pub(super) const INDEX: &str = "model.safetensors.index.json";
pub(super) const SINGLE: &str = "model.safetensors";
pub(super) const NEEDED: [&str; 2] = ["config.json", "tokenizer.json"];
const LOCK_POLL: Duration = Duration::from_millis(200);

/// A model's part of the cache.
#[derive(Debug, Clone)]
pub(super) struct ModelCache {
    root: PathBuf,
    folder: String,
}

/// What a snapshot in the cache lacks.
#[derive(Debug)]
pub(super) enum Missing {
    Snapshot,
    File(String),
}

impl ModelCache {
    pub(super) fn new(root: &Path, model: &HubModel) -> Self {
        Self {
            root: root.to_owned(),
            folder: format!("models--{}--{}", model.owner(), model.name()),
        }
    }

    fn model(&self) -> PathBuf {
        self.root.join(&self.folder)
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.model().join("snapshots").join(commit)
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.model().join("blobs").join(etag)
    }

    pub(super) fn incomplete(&self, etag: &str) -> PathBuf {
        self.model().join("blobs").join(format!("{etag}.incomplete"))
    }

    /// The commit of a branch or tag when it was last used.
    pub(super) fn commit(&self, model: &HubModel) -> Option<String> {
        if model.is_commit() {
            return Some(model.revision().to_owned());
        }
        let text = std::fs::read_to_string(self.reference(model)).ok()?;
        let commit = text.trim();
        super::model::is_commit(commit).then(|| commit.to_owned())
    }

    fn reference(&self, model: &HubModel) -> PathBuf {
        self.model().join("refs").join(model.revision())
    }

    /// Written when the snapshot is complete: whoever reads it finds all files.
    pub(super) fn set_commit(&self, model: &HubModel, commit: &str) -> io::Result<()> {
        if self.commit(model).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.reference(model);
        create_parent(&path)?;
        let temporary = beside(&path);
        std::fs::write(&temporary, commit)?;
        std::fs::rename(temporary, path)
    }

    /// The snapshot of the model's revision, if all files are there that a model needs.
    pub(super) fn complete_snapshot(&self, model: &HubModel) -> Result<PathBuf, Missing> {
        let commit = self.commit(model).ok_or(Missing::Snapshot)?;
        let folder = self.snapshot(&commit);
        if !folder.is_dir() {
            return Err(Missing::Snapshot);
        }
        let needed = NEEDED.map(str::to_owned).into_iter();
        let weights = weights(&folder).map_err(Missing::File)?;
        match needed.chain(weights).find(|name| !folder.join(name).is_file()) {
            Some(name) => Err(Missing::File(name)),
            None => Ok(folder),
        }
    }

    /// Whether the snapshot has this file, in full.
    pub(super) fn has(&self, commit: &str, name: &str, size: u64) -> bool {
        size_of(&self.snapshot(commit).join(name)) == Some(size)
    }

    /// Makes the blob appear as a file of the snapshot.
    pub(super) fn link(&self, commit: &str, name: &str, etag: &str) -> io::Result<()> {
        let path = self.snapshot(commit).join(name);
        create_parent(&path)?;
        // Another process may link the same file now: a rename replaces its link by an equal one.
        let temporary = beside(&path);
        #[cfg(unix)]
        std::os::unix::fs::symlink(Path::new("../../blobs").join(etag), &temporary)?;
        #[cfg(not(unix))]
        std::fs::hard_link(self.blob(etag), &temporary)?;
        std::fs::rename(temporary, path)
    }

    /// Waits until no other process downloads the blob, and keeps others from it until the file is dropped.
    pub(super) async fn lock(&self, etag: &str) -> Result<File, Failure> {
        let path = self.root.join(".locks").join(&self.folder).join(format!("{etag}.lock"));
        let opened = create_parent(&path).and_then(|()| File::create(&path));
        let file = opened.map_err(|error| Failure::disk(error, &path))?;
        let mut is_first = true;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if is_first => {
                    is_first = false;
                    tracing::info!(lock = %path.display(), "another process downloads this file; waiting for it");
                }
                Err(TryLockError::WouldBlock) => {}
                // Some network file systems have no locks. The digest of a file that two processes wrote shows it.
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(Failure::disk(error, &path)),
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
    }
}

/// The files that hold the weights, as the engine chooses them: those that the index names, else `model.safetensors`, else every
/// one that is there. The error is the name of a file that is missing.
fn weights(folder: &Path) -> Result<BTreeSet<String>, String> {
    if let Ok(index) = std::fs::read(folder.join(INDEX)) {
        return indexed(&index).ok_or_else(|| INDEX.to_owned());
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names: BTreeSet<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_weights(name))
        .collect();
    match names.is_empty() || names.contains(SINGLE) {
        true => Ok(BTreeSet::from([SINGLE.to_owned()])),
        false => Ok(names),
    }
}

/// The files that an index names. `None` if it is not an index, or names files of other folders.
pub(super) fn indexed(index: &[u8]) -> Option<BTreeSet<String>> {
    let index: Value = serde_json::from_slice(index).ok()?;
    let map = index.get("weight_map")?.as_object()?;
    let names: Option<BTreeSet<_>> = map.values().map(|name| Some(name.as_str()?.to_owned())).collect();
    names.filter(|names| !names.is_empty() && names.iter().all(|name| is_file_name(name)))
}

/// Weights in safetensors, without adapters and without the copy in Mistral's own layout.
pub(super) fn is_weights(name: &str) -> bool {
    name.ends_with(".safetensors")
        && is_file_name(name)
        && !name.starts_with("adapter_")
        && !name.starts_with("consolidated")
}

pub(super) fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0', ':'])
}

pub(super) fn size_of(path: &Path) -> Option<u64> {
    let metadata = std::fs::metadata(path).ok()?;
    metadata.is_file().then_some(metadata.len())
}

pub(super) fn create_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)
}

/// A name of its own in the same folder.
fn beside(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{}.tmp", Uuid::now_v7()))
}

#[cfg(test)]
#[path = "cache/tests.rs"]
mod tests;
