//! One vector index of an open room: a cache of SQLite, checked before it is used, replayed, or built anew.
//! Not here: usearch itself (`vectors`), the changes (`changes`), which indexes a room has (`indexes`).
//!
//! A removed vector stays in usearch's memory until another takes its slot. Before the file is written, the index is built again without it,
//! beside the one that serves (`rebuild`).
//!
//! The file is put in place first, then its BLAKE3 and watermark go into `room.db`. A crash between the two leaves a file
//! with another checksum, and the index is rebuilt from SQLite. usearch does not check what it loads, so this does, before.

mod saved;

pub(crate) use saved::{forget, forget_others, without_deleted};

use crate::{
    changes::{self, Change},
    error::{Failure, StoreResult},
    files,
    sqlite::Database,
    vectors::Vectors,
};
use parking_lot::Mutex;
use rusqlite::Connection;
use saved::Saved;
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// Changed vectors after which the file is written; a quarter of the index if that is more, so that writing stays in
/// proportion to what is uploaded.
const SAVE_AFTER: usize = 1_000;

/// Vectors that are read at once while an index is built beside the one that serves.
const READ_AT_ONCE: usize = 256;
/// A closing room's index is built again if it has no more vectors: a tenth of a second.
const FEW_VECTORS: usize = 2_000;

pub(crate) struct VectorIndex {
    /// The number of the vector store whose chunks it has; 0 is the room's own documents.
    vector_store: i64,
    path: PathBuf,
    dimensions: usize,
    inner: Mutex<Inner>,
    /// As [`Self::memory`] has last seen it.
    memory: AtomicU64,
}

struct Inner {
    vectors: Vectors,
    /// The last change that it could not follow: it must be built anew before it is used.
    missing: Option<u64>,
    watermark: u64,
    /// Vectors added and removed since the file was written; `None` if there is no file that could be loaded.
    unsaved: Option<usize>,
    /// Whether the file has vectors that have been removed since.
    has_deleted: bool,
}

impl VectorIndex {
    pub(crate) fn open(path: &Path, vector_store: i64, dimensions: usize, database: &Database) -> StoreResult<Self> {
        let inner = database.read(|connection| match load(path, vector_store, dimensions, connection) {
            Ok(inner) => Ok(inner),
            Err(LoadError::Failed(failure)) => Err(failure),
            Err(LoadError::Unusable(reason)) => {
                if changes::last(connection)? > 0 {
                    tracing::info!(reason, "building a vector index of a room from its documents");
                }
                // What cannot be used may have vectors of chunks that are gone.
                if let Err(error) = files::remove_file(path) {
                    tracing::warn!(%error, "the vector index of a room that cannot be used was not removed");
                }
                build(vector_store, dimensions, connection)
            }
        })?;
        Ok(Self {
            vector_store,
            path: path.to_owned(),
            dimensions,
            inner: Mutex::new(inner),
            memory: AtomicU64::default(),
        })
    }

    /// Makes room before the transaction, so that a full memory refuses the document instead of breaking the index.
    pub(crate) fn reserve(&self, more: usize) -> StoreResult<()> {
        self.inner.lock().vectors.reserve(more)
    }

    /// Follows a change that was committed. Called in the order of the changes. If it cannot, the index is built anew.
    /// What the change is of is on the disk already, so that it has not failed if this does: whoever searches next renews the index.
    pub(crate) fn follow(&self, connection: &Connection, change: Change) {
        let mut inner = self.inner.lock();
        let followed = match inner.missing {
            None => inner.follow(connection, change),
            Some(_) => Err(Failure::Index("an earlier change is missing".into())),
        };
        if let Err(error) = followed {
            tracing::error!(%error, "the vector index could not follow a change and is built anew");
            inner.missing = Some(change.number);
        }
        if let Err(error) = self.renew(&mut inner, connection) {
            tracing::error!(%error, "the vector index could not be built anew; the next search tries again");
        }
    }

    pub(crate) fn search(&self, connection: &Connection, query: &[f32], count: usize) -> StoreResult<Vec<(i64, f32)>> {
        let mut inner = self.inner.lock();
        self.renew(&mut inner, connection)?;
        inner.vectors.search(query, count)
    }

    pub(crate) fn search_among(
        &self,
        connection: &Connection,
        query: &[f32],
        count: usize,
        candidates: &HashSet<i64>,
    ) -> StoreResult<Vec<(i64, f32)>> {
        let mut inner = self.inner.lock();
        self.renew(&mut inner, connection)?;
        inner.vectors.search_among(query, count, candidates)
    }

    /// Builds the index anew if a change is missing. If that fails, it is neither used nor saved, and the next caller tries again.
    fn renew(&self, inner: &mut Inner, connection: &Connection) -> StoreResult<()> {
        if let Some(missing) = inner.missing {
            let built = build(self.vector_store, self.dimensions, connection)?;
            // The caller may read a state from before the change.
            let missing = Some(missing).filter(|missing| *missing > built.watermark);
            // There may be an older file.
            *inner = Inner {
                missing,
                has_deleted: true,
                ..built
            };
        }
        Ok(())
    }

    /// Bytes of memory; while somebody works with it, as they were before.
    pub(crate) fn memory(&self) -> u64 {
        if let Some(inner) = self.inner.try_lock() {
            self.memory.store(inner.vectors.memory(), Ordering::Relaxed);
        }
        self.memory.load(Ordering::Relaxed)
    }

    /// Whether its file has vectors of chunks that are gone, so that it must be written soon.
    pub(crate) fn has_deleted(&self) -> bool {
        let inner = self.inner.lock();
        inner.missing.is_none() && inner.has_deleted
    }

    pub(crate) fn should_save(&self) -> bool {
        let inner = self.inner.lock();
        inner.missing.is_none()
            && inner.unsaved.unwrap_or(inner.vectors.len()) >= SAVE_AFTER.max(inner.vectors.len() / 4)
    }

    /// Of the vectors that are there, how many must be inserted to save it.
    pub(crate) fn cost_of_saving(&self) -> usize {
        let inner = self.inner.lock();
        match inner.vectors.has_removed() {
            true => inner.vectors.len(),
            false => 0,
        }
    }

    /// As [`Self::save`], but in a short time: a file that would take long is removed, and the next opening builds the index.
    pub(crate) fn save_quickly(&self, database: &Database) -> StoreResult<Option<u64>> {
        if self.cost_of_saving() <= FEW_VECTORS {
            match self.save(database) {
                Err(failure) if failure.is_full_disk() => {}
                saved => return saved,
            }
        }
        self.remove_file()?;
        Ok(None)
    }

    /// Removes its file, which has vectors of chunks that are gone and cannot be written without them now.
    pub(crate) fn remove_file(&self) -> StoreResult<()> {
        let mut inner = self.inner.lock();
        files::remove_file(&self.path)?;
        inner.unsaved = None;
        inner.has_deleted = false;
        Ok(())
    }

    /// Writes the file if it is behind, and says how long it is then. The caller holds the room's lock over files.
    pub(crate) fn save(&self, database: &Database) -> StoreResult<Option<u64>> {
        if self.inner.lock().vectors.has_removed() {
            self.rebuild(database)?;
        }
        let (file, unsaved) = {
            let mut inner = self.inner.lock();
            if inner.missing.is_some() {
                return Err(Failure::Index("a change is missing in it".into()));
            }
            if inner.unsaved == Some(0) {
                return Ok(None);
            }
            if inner.vectors.has_removed() {
                return Err(Failure::Index("vectors were removed at this moment".into()));
            }
            let file = IndexFile {
                bytes: inner.vectors.to_bytes()?,
                watermark: inner.watermark,
            };
            inner.has_deleted = false;
            (file, inner.unsaved.replace(0))
        };
        let saved = self.write(&file, database);
        if saved.is_err() {
            let mut inner = self.inner.lock();
            inner.has_deleted = true;
            inner.unsaved = match (inner.unsaved, unsaved) {
                (Some(since), Some(before)) => Some(since + before),
                _ => None,
            };
        }
        saved?;
        Ok(Some(file.bytes.len() as u64))
    }

    /// Builds the index again, while searches use the one that is there. The caller holds the room's lock over files, so that no change is pruned.
    fn rebuild(&self, database: &Database) -> StoreResult<()> {
        let mut vectors = Vectors::new(self.dimensions)?;
        let (watermark, count) = database.read(|connection| {
            Ok((
                changes::last(connection)?,
                changes::count_embedded(connection, self.vector_store)?,
            ))
        })?;
        vectors.reserve(count)?;
        let mut last = i64::MIN;
        loop {
            let found = database
                .read(|connection| changes::embedded_after(connection, self.vector_store, last, READ_AT_ONCE))?;
            let Some((key, _)) = found.last() else { break };
            last = *key;
            vectors.reserve(found.len())?;
            for (key, vector) in &found {
                vectors.add(*key, vector)?;
            }
        }
        let mut built = Inner {
            vectors,
            missing: None,
            watermark,
            unsaved: None,
            has_deleted: true,
        };
        // First the database, then the index, as searches do.
        database.read(|connection| {
            for change in changes::after(connection, self.vector_store, watermark)? {
                built.follow(connection, change)?;
            }
            // Later ones are of other indexes.
            built.watermark = changes::last(connection)?;
            let mut inner = self.inner.lock();
            // Else the index that serves has followed a change that this transaction does not see.
            if built.watermark >= inner.watermark {
                *inner = built;
            }
            Ok(())
        })
    }

    fn write(&self, file: &IndexFile, database: &Database) -> StoreResult<()> {
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name().and_then(|name| name.to_str()))
        else {
            return Err(Failure::Index("the path of its file has no folder or no name".into()));
        };
        files::write_file(folder, name, &file.bytes)?;
        database.write_sealed(|connection| {
            let saved = Saved {
                blake3: blake3::hash(&file.bytes).to_hex().to_string(),
                watermark: file.watermark,
            };
            saved.set(connection, self.vector_store)?;
            changes::prune(connection, self.vector_store, file.watermark)
        })
    }
}

/// What is written, and what `room.db` says of it.
struct IndexFile {
    bytes: Vec<u8>,
    watermark: u64,
}

impl Inner {
    fn follow(&mut self, connection: &Connection, change: Change) -> StoreResult<()> {
        // An index that was built anew may be ahead.
        if change.number <= self.watermark {
            return Ok(());
        }
        let mut touched = 0;
        if change.removed {
            for key in change.first_chunk..=change.last_chunk {
                self.vectors.remove(key)?;
                touched += 1;
            }
            self.has_deleted = true;
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

/// Why the file is not that of the documents; `None` if it has their vectors under their keys, and nothing else.
pub(crate) fn check(
    path: &Path,
    vector_store: i64,
    dimensions: usize,
    connection: &Connection,
) -> StoreResult<Option<String>> {
    let vectors = match load(path, vector_store, dimensions, connection) {
        Ok(inner) => inner.vectors,
        Err(LoadError::Failed(failure)) => return Err(failure),
        Err(LoadError::Unusable(reason)) => return Ok(Some(reason.to_owned())),
    };
    let mut wrong = 0_u64;
    changes::all_embedded(connection, vector_store, |key, vector| {
        wrong += u64::from(!vectors.has(key, vector)?);
        Ok(())
    })?;
    Ok((wrong > 0).then(|| format!("{wrong} chunks have another vector in it or none")))
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

fn load(path: &Path, vector_store: i64, dimensions: usize, connection: &Connection) -> Result<Inner, LoadError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(LoadError::Unusable("there is no file")),
        Err(error) => {
            tracing::warn!(%error, "the vector index of a room cannot be read");
            return Err(LoadError::Unusable("the file cannot be read"));
        }
    };
    let Some(saved) = Saved::get(connection, vector_store)? else {
        return Err(LoadError::Unusable(
            "the file is of another format, or what it has is unknown",
        ));
    };
    if saved.blake3 != blake3::hash(&bytes).to_hex().as_str() {
        return Err(LoadError::Unusable("the file is not the one that was saved"));
    }
    let last = changes::last(connection)?;
    if saved.watermark > last {
        return Err(LoadError::Unusable("the file is newer than the documents"));
    }
    let Ok(vectors) = Vectors::from_bytes(dimensions, &bytes) else {
        return Err(LoadError::Unusable("usearch does not read the file"));
    };
    let mut inner = Inner {
        vectors,
        missing: None,
        watermark: saved.watermark,
        unsaved: Some(0),
        has_deleted: false,
    };
    for change in changes::after(connection, vector_store, saved.watermark)? {
        inner.follow(connection, change)?;
    }
    if inner.vectors.len() != changes::count_embedded(connection, vector_store)? {
        return Err(LoadError::Unusable("the file does not match the documents"));
    }
    // Later ones are of other indexes.
    inner.watermark = last;
    Ok(inner)
}

fn build(vector_store: i64, dimensions: usize, connection: &Connection) -> StoreResult<Inner> {
    let mut vectors = Vectors::new(dimensions)?;
    vectors.reserve(changes::count_embedded(connection, vector_store)?)?;
    changes::all_embedded(connection, vector_store, |key, vector| vectors.add(key, vector))?;
    let watermark = changes::last(connection)?;
    Ok(Inner {
        vectors,
        missing: None,
        watermark,
        // An empty room needs no file.
        unsaved: (watermark == 0).then_some(0),
        has_deleted: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::Schema;
    use std::collections::BTreeSet;

    /// What the index reads of a room.
    const SCHEMA: Schema = Schema {
        what: "the test database",
        steps: &["
            CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL);
            CREATE TABLE chunks (id INTEGER PRIMARY KEY AUTOINCREMENT, embedding BLOB, vector_store INTEGER NOT NULL DEFAULT 0);
            CREATE TABLE changes (
                number INTEGER PRIMARY KEY AUTOINCREMENT, removed INTEGER, first_chunk INTEGER, last_chunk INTEGER, vector_store INTEGER
            )
        "],
    };

    /// Adds a chunk, and lets the index follow.
    fn add(database: &Database, index: &VectorIndex, vector: &[f32]) -> StoreResult<i64> {
        database.write_then(
            |connection| {
                connection.execute("INSERT INTO chunks (embedding) VALUES (?1)", [changes::to_blob(vector)])?;
                let key = connection.last_insert_rowid();
                Ok((key, changes::record(connection, 0, false, key, key)?))
            },
            |connection, (key, change)| {
                index.follow(connection, change);
                Ok(key)
            },
        )
    }

    fn find(database: &Database, index: &VectorIndex, vector: &[f32]) -> StoreResult<Vec<i64>> {
        database.read(|connection| {
            Ok(index
                .search(connection, vector, 1)?
                .into_iter()
                .map(|found| found.0)
                .collect())
        })
    }

    #[test]
    fn a_change_that_was_missed_is_there_after_the_next_or_at_the_next_search() {
        const X: [f32; 2] = [1.0, 0.0];
        const Y: [f32; 2] = [0.0, 1.0];
        for by_search in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let database = Database::open(&folder.path().join("test.db"), &SCHEMA).unwrap();
            let index = VectorIndex::open(&folder.path().join("index"), 0, 2, &database).unwrap();
            let x = add(&database, &index, &X).unwrap();
            let rename = |from: &str, to: &str| {
                let sql = format!("ALTER TABLE chunks RENAME COLUMN {from} TO {to}");
                database
                    .write(|connection| Ok(connection.execute_batch(&sql)?))
                    .unwrap();
            };
            // Neither following nor building works for a while, such as while memory is full.
            rename("embedding", "gone");
            let missed = database.write_then(
                |connection| {
                    connection.execute("INSERT INTO chunks (gone) VALUES (?1)", [changes::to_blob(&Y)])?;
                    let key = connection.last_insert_rowid();
                    Ok((key, changes::record(connection, 0, false, key, key)?))
                },
                |connection, (_, change)| {
                    index.follow(connection, change);
                    Ok(())
                },
            );
            assert!(missed.is_ok(), "it is in the database");
            assert_eq!(index.inner.lock().watermark, 1);
            assert!(find(&database, &index, &Y).is_err());
            assert!(index.save(&database).is_err());
            rename("gone", "embedding");
            let y = x + 1;
            if !by_search {
                add(&database, &index, &[-1.0, 0.0]).unwrap();
            }
            assert_eq!(find(&database, &index, &Y).unwrap(), [y]);
            assert_eq!(find(&database, &index, &X).unwrap(), [x]);
            assert_eq!(index.inner.lock().watermark, if by_search { 2 } else { 3 });
            index.save(&database).unwrap();
        }
    }

    #[test]
    fn a_file_with_a_deleted_vector_does_not_go_along() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("test.db"), &SCHEMA).unwrap();
        let index = VectorIndex::open(&folder.path().join("index"), 0, 2, &database).unwrap();
        let numbers = || database.read(without_deleted).unwrap();
        let key = add(&database, &index, &[1.0, 0.0]).unwrap();
        assert!(numbers().is_empty(), "there is no file");
        index.save(&database).unwrap();
        add(&database, &index, &[0.0, 1.0]).unwrap();
        assert_eq!(
            numbers(),
            BTreeSet::from([0]),
            "the restored index follows what came later"
        );
        let remove = |connection: &Connection| {
            connection.execute("DELETE FROM chunks WHERE id = ?1", [key])?;
            changes::record(connection, 0, true, key, key)
        };
        database
            .write_then(remove, |connection, change| {
                index.follow(connection, change);
                Ok(())
            })
            .unwrap();
        assert!(numbers().is_empty());
        index.save(&database).unwrap();
        assert_eq!(numbers(), BTreeSet::from([0]));
        database
            .write(|connection| forget_others(connection, &BTreeSet::new()))
            .unwrap();
        assert!(numbers().is_empty());
        assert!(database.read(changes::stores).unwrap().is_empty());
    }

    #[test]
    fn a_state_from_before_the_missed_change_does_not_heal_the_index() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("test.db"), &SCHEMA).unwrap();
        let index = VectorIndex::open(&folder.path().join("index"), 0, 2, &database).unwrap();
        add(&database, &index, &[1.0, 0.0]).unwrap();
        // A search reads the state before the second change, which the index misses.
        index.inner.lock().missing = Some(2);
        find(&database, &index, &[1.0, 0.0]).unwrap();
        assert_eq!(index.inner.lock().missing, Some(2));
        add(&database, &index, &[0.0, 1.0]).unwrap();
        assert_eq!(index.inner.lock().missing, None);
        assert_eq!(find(&database, &index, &[0.0, 1.0]).unwrap(), [2]);
    }
}
