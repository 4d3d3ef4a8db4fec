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
    /// The last change that it could not follow: it must be built anew before it is used.
    missing: Option<u64>,
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

    pub(crate) fn search(&self, connection: &Connection, query: &[f32], count: usize) -> StoreResult<Vec<i64>> {
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
    ) -> StoreResult<Vec<i64>> {
        let mut inner = self.inner.lock();
        self.renew(&mut inner, connection)?;
        inner.vectors.search_among(query, count, candidates)
    }

    /// Builds the index anew if a change is missing. If that fails, it is neither used nor saved, and the next caller tries again.
    fn renew(&self, inner: &mut Inner, connection: &Connection) -> StoreResult<()> {
        if let Some(missing) = inner.missing {
            let built = build(self.dimensions, connection)?;
            // The caller may read a state from before the change.
            let missing = Some(missing).filter(|missing| *missing > built.watermark);
            *inner = Inner { missing, ..built };
        }
        self.watermark.store(inner.watermark, Ordering::Release);
        Ok(())
    }

    pub(crate) fn should_save(&self) -> bool {
        let inner = self.inner.lock();
        inner.missing.is_none()
            && inner.unsaved.unwrap_or(inner.vectors.len()) >= SAVE_AFTER.max(inner.vectors.len() / 4)
    }

    /// Writes the file if it is behind. The caller holds the room's lock over files.
    pub(crate) fn save(&self, database: &Database) -> StoreResult<()> {
        let (bytes, watermark, unsaved) = {
            let mut inner = self.inner.lock();
            if inner.missing.is_some() {
                return Err(Failure::Index("a change is missing in it".into()));
            }
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
        missing: None,
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
        missing: None,
        watermark,
        // An empty room needs no file.
        unsaved: (watermark == 0).then_some(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::Schema;

    /// What the index reads of a room.
    const SCHEMA: Schema = Schema {
        what: "the test database",
        steps: &["
            CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL);
            CREATE TABLE chunks (id INTEGER PRIMARY KEY AUTOINCREMENT, embedding BLOB);
            CREATE TABLE changes (number INTEGER PRIMARY KEY AUTOINCREMENT, removed INTEGER, first_chunk INTEGER, last_chunk INTEGER)
        "],
    };

    /// Adds a chunk, and lets the index follow.
    fn add(database: &Database, index: &RoomIndex, vector: &[f32]) -> StoreResult<i64> {
        database.write_then(
            |connection| {
                connection.execute("INSERT INTO chunks (embedding) VALUES (?1)", [changes::to_blob(vector)])?;
                let key = connection.last_insert_rowid();
                Ok((key, changes::record(connection, false, key, key)?))
            },
            |connection, (key, change)| {
                index.follow(connection, change);
                Ok(key)
            },
        )
    }

    fn find(database: &Database, index: &RoomIndex, vector: &[f32]) -> StoreResult<Vec<i64>> {
        database.read(|connection| index.search(connection, vector, 1))
    }

    #[test]
    fn a_change_that_was_missed_is_there_after_the_next_or_at_the_next_search() {
        const X: [f32; 2] = [1.0, 0.0];
        const Y: [f32; 2] = [0.0, 1.0];
        for by_search in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let database = Database::open(&folder.path().join("test.db"), &SCHEMA).unwrap();
            let index = RoomIndex::open(&folder.path().join("index"), 2, &database).unwrap();
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
                    Ok((key, changes::record(connection, false, key, key)?))
                },
                |connection, (_, change)| {
                    index.follow(connection, change);
                    Ok(())
                },
            );
            assert!(missed.is_ok(), "it is in the database");
            assert_eq!(index.watermark(), 1);
            assert!(find(&database, &index, &Y).is_err());
            assert!(index.save(&database).is_err());
            rename("gone", "embedding");
            let y = x + 1;
            if !by_search {
                add(&database, &index, &[-1.0, 0.0]).unwrap();
            }
            assert_eq!(find(&database, &index, &Y).unwrap(), [y]);
            assert_eq!(find(&database, &index, &X).unwrap(), [x]);
            assert_eq!(index.watermark(), if by_search { 2 } else { 3 });
            index.save(&database).unwrap();
        }
    }

    #[test]
    fn a_state_from_before_the_missed_change_does_not_heal_the_index() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("test.db"), &SCHEMA).unwrap();
        let index = RoomIndex::open(&folder.path().join("index"), 2, &database).unwrap();
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
