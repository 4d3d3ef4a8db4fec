//! The vector indexes of an open room: that of its own documents, and one of each vector store, which is opened when it is first needed.
//! Not here: one index (`index`).

use crate::{
    changes::{self, Change},
    error::StoreResult,
    files,
    index::{self, VectorIndex},
    sqlite::Database,
};
use parking_lot::Mutex;
use rusqlite::Connection;
use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The room's own documents, as a number of a vector store.
pub(crate) const OWN: i64 = 0;
const EXTENSION: &str = ".usearch";

pub(crate) struct Indexes {
    folder: PathBuf,
    dimensions: usize,
    /// Held while one is opened: a change that is committed meanwhile waits, and is then followed.
    open: Mutex<HashMap<i64, Arc<VectorIndex>>>,
    /// Bytes of the files.
    files: Mutex<HashMap<i64, u64>>,
    /// Those with a file that are not open, and of which something was deleted: their files still have it.
    stale: Mutex<BTreeSet<i64>>,
    /// The last change that was followed.
    watermark: AtomicU64,
}

impl Indexes {
    pub(crate) fn open(folder: &Path, dimensions: usize, database: &Database) -> StoreResult<Self> {
        let mut files = HashMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if let Some(number) = entry.file_name().to_str().and_then(number_of) {
                files.insert(number, entry.metadata()?.len());
            }
        }
        let indexes = Self {
            folder: folder.to_owned(),
            dimensions,
            open: Mutex::default(),
            files: Mutex::new(files),
            stale: Mutex::new(database.read(changes::deleted_from)?),
            watermark: AtomicU64::new(database.read(changes::last)?),
        };
        indexes.of(OWN, database)?;
        Ok(indexes)
    }

    /// The index of a vector store, or of the room's own documents. Opens it, which may build it.
    pub(crate) fn of(&self, vector_store: i64, database: &Database) -> StoreResult<Arc<VectorIndex>> {
        let mut open = self.open.lock();
        if let Some(index) = open.get(&vector_store) {
            return Ok(Arc::clone(index));
        }
        let path = self.path(vector_store);
        let index = Arc::new(VectorIndex::open(&path, vector_store, self.dimensions, database)?);
        open.insert(vector_store, Arc::clone(&index));
        Ok(index)
    }

    /// Bytes of memory of those that are open.
    pub(crate) fn memory(&self) -> u64 {
        self.opened().iter().map(|(_, index)| index.memory()).sum()
    }

    /// A search that begins after this call sees at least the changes up to this number.
    pub(crate) fn watermark(&self) -> u64 {
        self.watermark.load(Ordering::Acquire)
    }

    /// Follows a change that was committed. Called in the order of the changes. An index that is not open finds it when it is opened.
    pub(crate) fn follow(&self, connection: &Connection, change: Change) {
        let index = self.open.lock().get(&change.vector_store).cloned();
        match index {
            Some(index) => index.follow(connection, change),
            None if change.removed => drop(self.stale.lock().insert(change.vector_store)),
            None => {}
        }
        self.watermark.store(change.number, Ordering::Release);
    }

    pub(crate) fn follow_all(&self, connection: &Connection, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.follow(connection, change);
        }
    }

    /// Whether a file has vectors of chunks that are gone, so that it must be written soon.
    pub(crate) fn has_deleted(&self) -> bool {
        !self.stale.lock().is_empty() || self.open.lock().values().any(|index| index.has_deleted())
    }

    /// Those that are behind their files by much.
    pub(crate) fn should_save(&self) -> bool {
        self.open.lock().values().any(|index| index.should_save())
    }

    /// Vectors that must be inserted to save those of which something was removed.
    pub(crate) fn cost_of_saving(&self) -> usize {
        self.open.lock().values().map(|index| index.cost_of_saving()).sum()
    }

    /// As [`Self::save`] for a room that is closed: files that would take long are removed, and built when they are needed.
    pub(crate) fn save_quickly(&self, database: &Database) -> StoreResult<()> {
        let mut result = Ok(());
        for number in std::mem::take(&mut *self.stale.lock()) {
            if let Err(error) = files::remove_file(&self.path(number)) {
                result = Err(error.into());
            }
        }
        for (_, index) in self.opened() {
            if let Err(error) = index.save_quickly(database) {
                result = Err(error);
            }
        }
        result
    }

    /// Writes the files that are behind; with `only_due` those that are so by much and need not be built again first. The caller holds the room's lock over files. One that fails keeps none of the others from it.
    pub(crate) fn save(&self, database: &Database, only_due: bool) -> StoreResult<()> {
        if !only_due {
            let stale = std::mem::take(&mut *self.stale.lock());
            for number in stale
                .into_iter()
                .filter(|number| self.files.lock().contains_key(number))
            {
                self.of(number, database)?;
            }
        }
        let mut result = Ok(());
        for (number, index) in self.opened() {
            if only_due && !(index.should_save() && index.cost_of_saving() == 0) {
                continue;
            }
            match index.save(database) {
                Ok(Some(bytes)) => drop(self.files.lock().insert(number, bytes)),
                Ok(None) => {}
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Removes the files that have what was deleted, while the disk is too full to write them without it. They are built when they are needed.
    pub(crate) fn remove_stale_files(&self) -> StoreResult<()> {
        for number in std::mem::take(&mut *self.stale.lock()) {
            files::remove_file(&self.path(number))?;
            self.files.lock().remove(&number);
        }
        for (number, index) in self.opened() {
            if index.has_deleted() {
                index.remove_file()?;
                self.files.lock().remove(&number);
            }
        }
        Ok(())
    }

    /// Bytes of all files.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.files.lock().values().sum()
    }

    /// Forgets the index of a vector store that has no documents any more, with its file. The caller holds the room's lock over files.
    pub(crate) fn remove(&self, vector_store: i64, database: &Database) -> StoreResult<()> {
        self.open.lock().remove(&vector_store);
        self.stale.lock().remove(&vector_store);
        database.write_reserved(|connection| {
            index::forget(connection, vector_store)?;
            changes::forget(connection, vector_store)
        })?;
        files::remove_file(&self.path(vector_store))?;
        self.files.lock().remove(&vector_store);
        Ok(())
    }

    /// Those that are open, without the lock, which others need while these are worked on.
    fn opened(&self) -> Vec<(i64, Arc<VectorIndex>)> {
        let open = self.open.lock();
        open.iter()
            .map(|(number, index)| (*number, Arc::clone(index)))
            .collect()
    }

    fn path(&self, vector_store: i64) -> PathBuf {
        self.folder.join(file_name(vector_store))
    }
}

pub(crate) fn file_name(vector_store: i64) -> String {
    match vector_store {
        OWN => format!("index{EXTENSION}"),
        number => format!("index-{number}{EXTENSION}"),
    }
}

/// Of the name of an index's file.
pub(crate) fn number_of(name: &str) -> Option<i64> {
    match name.strip_prefix("index")?.strip_suffix(EXTENSION)? {
        "" => Some(OWN),
        number => number.strip_prefix('-')?.parse().ok().filter(|number| *number > OWN),
    }
}
