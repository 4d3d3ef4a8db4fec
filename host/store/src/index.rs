//! The vector index of an open room: a cache of SQLite, checked before it is used, replayed, or built anew.
//! Not here: usearch itself (`vectors`), the changes (`changes`).
//!
//! The file is put in place first, then its BLAKE3 and watermark go into `room.db`. A crash between the two leaves a file
//! with another checksum, and the index is rebuilt from SQLite. usearch does not check what it loads, so this does, before.

use crate::{
    changes::{self, Change},
    error::{Failure, StoreResult},
    files,
    sqlite::Database,
    state::{get_state, set_state},
    vectors::{FORMAT, Vectors},
};
use parking_lot::Mutex;
use rusqlite::Connection;
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// Changed vectors after which the file is written; a quarter of the index if that is more, so that writing stays in
/// proportion to what is uploaded.
const SAVE_AFTER: usize = 1_000;

pub(crate) struct RoomIndex {
    path: PathBuf,
    dimensions: usize,
    inner: Mutex<Inner>,
    /// The watermark of `inner`, readable without its lock.
    watermark: AtomicU64,
}

struct Inner {
    vectors: Vectors,
    watermark: u64,
    /// Vectors added and removed since the file was written; `None` if there is no file that could be loaded.
    unsaved: Option<usize>,
}

impl RoomIndex {
    pub(crate) fn open(path: &Path, dimensions: usize, database: &Database) -> StoreResult<Self> {
        let inner = database.read(|connection| match load(path, dimensions, connection) {
            Ok(inner) => Ok(inner),
            Err(LoadError::Failed(failure)) => Err(failure),
            Err(LoadError::Unusable(reason)) => {
                if changes::last(connection)? > 0 {
                    tracing::info!(reason, "building the vector index of a room from its documents");
                }
                build(dimensions, connection)
            }
        })?;
        Ok(Self {
            path: path.to_owned(),
            dimensions,
            watermark: AtomicU64::new(inner.watermark),
            inner: Mutex::new(inner),
        })
    }

    /// Where its file is, once it was saved.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A search that begins after this call sees at least the changes up to this number.
    pub(crate) fn watermark(&self) -> u64 {
        self.watermark.load(Ordering::Acquire)
    }

    /// Makes room before the transaction, so that a full memory refuses the document instead of breaking the index.
    pub(crate) fn reserve(&self, more: usize) -> StoreResult<()> {
        self.inner.lock().vectors.reserve(more)
    }

    /// Follows a change that was committed. Called in the order of the changes. If it cannot, the index is built anew.
    pub(crate) fn follow(&self, connection: &Connection, change: Change) -> StoreResult<()> {
        let mut inner = self.inner.lock();
        if let Err(error) = inner.follow(connection, change) {
            tracing::error!(%error, "the vector index could not follow a change and is built anew");
            *inner = build(self.dimensions, connection)?;
        }
        self.watermark.store(inner.watermark, Ordering::Release);
        Ok(())
    }

    pub(crate) fn search(&self, query: &[f32], count: usize) -> StoreResult<Vec<i64>> {
        self.inner.lock().vectors.search(query, count)
    }

    pub(crate) fn search_among(&self, query: &[f32], count: usize, candidates: &HashSet<i64>) -> StoreResult<Vec<i64>> {
        self.inner.lock().vectors.search_among(query, count, candidates)
    }

    pub(crate) fn should_save(&self) -> bool {
        let inner = self.inner.lock();
        inner.unsaved.unwrap_or(inner.vectors.len()) >= SAVE_AFTER.max(inner.vectors.len() / 4)
    }

    /// Writes the file if it is behind. The caller holds the room's lock over files.
    pub(crate) fn save(&self, database: &Database) -> StoreResult<()> {
        let (bytes, watermark, unsaved) = {
            let mut inner = self.inner.lock();
            if inner.unsaved == Some(0) {
                return Ok(());
            }
            let bytes = inner.vectors.to_bytes()?;
            (bytes, inner.watermark, inner.unsaved.replace(0))
        };
        let saved = self.write(&bytes, watermark, database);
        if saved.is_err() {
            let mut inner = self.inner.lock();
            inner.unsaved = match (inner.unsaved, unsaved) {
                (Some(since), Some(before)) => Some(since + before),
                _ => None,
            };
        }
        saved
    }

    fn write(&self, bytes: &[u8], watermark: u64, database: &Database) -> StoreResult<()> {
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name().and_then(|name| name.to_str()))
        else {
            return Err(Failure::Index("the path of its file has no folder or no name".into()));
        };
        files::write_file(folder, name, bytes)?;
        database.write(|connection| {
            set_state(connection, "index_blake3", &blake3::hash(bytes).to_hex())?;
            set_state(connection, "index_watermark", &watermark.to_string())?;
            set_state(connection, "index_format", FORMAT)?;
            changes::prune(connection, watermark)
        })
    }
}

impl Inner {
    fn follow(&mut self, connection: &Connection, change: Change) -> StoreResult<()> {
        let mut touched = 0;
        if change.removed {
            for key in change.first_chunk..=change.last_chunk {
                self.vectors.remove(key)?;
                touched += 1;
            }
        } else {
            changes::embedded(connection, change.first_chunk, change.last_chunk, |key, vector| {
                self.vectors.reserve(1)?;
                self.vectors.add(key, vector)?;
                touched += 1;
                Ok(())
            })?;
        }
        self.watermark = change.number;
        // A change without a vector moves the watermark too.
        self.unsaved = self.unsaved.map(|unsaved| unsaved + touched.max(1));
        Ok(())
    }
}

enum LoadError {
    /// The file cannot be used, for this reason.
    Unusable(&'static str),
    /// SQLite or the disk failed: building would too.
    Failed(Failure),
}

impl From<Failure> for LoadError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

fn load(path: &Path, dimensions: usize, connection: &Connection) -> Result<Inner, LoadError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(LoadError::Unusable("there is no file")),
        Err(error) => {
            tracing::warn!(%error, "the vector index of a room cannot be read");
            return Err(LoadError::Unusable("the file cannot be read"));
        }
    };
    if get_state(connection, "index_format")?.as_deref() != Some(FORMAT) {
        return Err(LoadError::Unusable("the file is of another format"));
    }
    if get_state(connection, "index_blake3")?.as_deref() != Some(blake3::hash(&bytes).to_hex().as_str()) {
        return Err(LoadError::Unusable("the file is not the one that was saved"));
    }
    let watermark = get_state(connection, "index_watermark")?.and_then(|number| number.parse::<u64>().ok());
    let Some(watermark) = watermark else {
        return Err(LoadError::Unusable("the file's watermark is unknown"));
    };
    if watermark > changes::last(connection)? {
        return Err(LoadError::Unusable("the file is newer than the documents"));
    }
    let Ok(vectors) = Vectors::from_bytes(dimensions, &bytes) else {
        return Err(LoadError::Unusable("usearch does not read the file"));
    };
    let mut inner = Inner {
        vectors,
        watermark,
        unsaved: Some(0),
    };
    for change in changes::after(connection, watermark)? {
        inner.follow(connection, change)?;
    }
    if inner.watermark != changes::last(connection)? || inner.vectors.len() != changes::count_embedded(connection)? {
        return Err(LoadError::Unusable("the file does not match the documents"));
    }
    Ok(inner)
}

fn build(dimensions: usize, connection: &Connection) -> StoreResult<Inner> {
    let vectors = Vectors::new(dimensions)?;
    vectors.reserve(changes::count_embedded(connection)?)?;
    changes::embedded(connection, i64::MIN, i64::MAX, |key, vector| vectors.add(key, vector))?;
    let watermark = changes::last(connection)?;
    Ok(Inner {
        vectors,
        watermark,
        // An empty room needs no file.
        unsaved: (watermark == 0).then_some(0),
    })
}
