//! The files of a room: who may write them, which adapter generations are in use, and deleting the others.

use crate::{
    error::{StoreResult, closed},
    files,
    open_files::OpenFiles,
    sqlite::Database,
};
use parking_lot::{Mutex, MutexGuard};
use riad_core::Digest;
use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

/// Below a room's folder, by digest: what the tenant keeps, parts of what it uploads, and what documents are to be made of.
pub(crate) const FILES: &str = "files";
/// The digests and lengths of what lies there.
pub(crate) const KEPT_FILES: &str = "SELECT digest, bytes FROM files UNION SELECT digest, bytes FROM upload_parts
    UNION SELECT digest, bytes FROM document_jobs WHERE digest IS NOT NULL";
/// Below a room's folder: those whose files `room.db` names.
pub(crate) const FOLDERS: [&str; 3] = ["adapters", "plugins", FILES];

/// Who may write files into the folder of a room.
#[derive(Default)]
pub(crate) struct FolderWriter {
    is_closed: Mutex<bool>,
}

/// The right to write files into the folder of an open room. No other writer has it at the same time, and the room stays open.
pub(crate) struct FolderLock<'a> {
    _guard: MutexGuard<'a, bool>,
}

impl FolderWriter {
    pub(crate) fn lock(&self) -> StoreResult<FolderLock<'_>> {
        let guard = self.is_closed.lock();
        if *guard {
            return Err(closed());
        }
        Ok(FolderLock { _guard: guard })
    }

    /// Waits for the current writer; later calls of `lock` fail.
    pub(crate) fn close(&self) {
        *self.is_closed.lock() = true;
    }
}

/// The generations of a room that requests hold, by the names of their folders.
#[derive(Default)]
pub(crate) struct Pins(Mutex<HashMap<String, Weak<()>>>);

impl Pins {
    pub(crate) fn pin(&self, generation: &str) -> Arc<()> {
        let mut pins = self.0.lock();
        if let Some(pin) = pins.get(generation).and_then(Weak::upgrade) {
            return pin;
        }
        pins.retain(|_, pin| pin.strong_count() > 0);
        let pin = Arc::new(());
        pins.insert(generation.to_owned(), Arc::downgrade(&pin));
        pin
    }

    fn holds(&self, generation: &str) -> bool {
        self.0.lock().get(generation).is_some_and(|pin| pin.strong_count() > 0)
    }
}

/// The folder of a room's generations.
pub(crate) fn folder(room: &Path) -> PathBuf {
    room.join("adapters")
}

/// Deletes generations that no alias keeps and no request holds, components that no version names, files that no row of theirs names, and those
/// whose writing was interrupted.
/// The lock proves that no file is being written.
pub(crate) fn sweep(
    room: &Path,
    database: &Database,
    pins: &Pins,
    open: &OpenFiles,
    _lock: &FolderLock<'_>,
) -> StoreResult<()> {
    if database.is_in_doubt() {
        return Ok(());
    }
    let generations = named(database, "SELECT generation FROM adapter_generations")?;
    for entry in fs::read_dir(folder(room))? {
        let entry = entry?;
        let name = entry.file_name();
        let keep = name
            .to_str()
            .is_some_and(|name| generations.contains(name) || pins.holds(name));
        if !keep {
            files::remove_folder(&entry.path())?;
        }
    }
    let components = named(database, "SELECT version FROM plugins")?;
    for entry in fs::read_dir(room.join("plugins"))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(OsStr::to_str);
        if !name.is_some_and(|name| components.contains(name)) {
            fs::remove_file(&path)?;
        }
    }
    let kept = named(database, &format!("SELECT digest FROM ({KEPT_FILES})"))?;
    for entry in fs::read_dir(room.join(FILES))? {
        let entry = entry?;
        let name = entry.file_name();
        let keep = name
            .to_str()
            .is_some_and(|name| kept.contains(name) || pins.holds(name));
        if !keep {
            fs::remove_file(entry.path())?;
            open.close(&name);
        }
    }
    Ok(files::remove_unfinished(room)?)
}

/// Deletes one of the files unless something names or uses it, without a look at the others.
pub(crate) fn delete_unnamed_file(
    room: &Path,
    database: &Database,
    pins: &Pins,
    open: &OpenFiles,
    digest: &Digest,
    _lock: &FolderLock<'_>,
) -> StoreResult<()> {
    let name = digest.hex();
    if database.is_in_doubt() || pins.holds(&name) {
        return Ok(());
    }
    let is_named: bool = database.read(|connection| {
        Ok(connection
            .prepare_cached(&format!(
                "SELECT EXISTS (SELECT 1 FROM ({KEPT_FILES}) WHERE digest = ?1)"
            ))?
            .query_row([digest.to_string()], |row| row.get(0))?)
    })?;
    if is_named {
        return Ok(());
    }
    files::remove_file(&room.join(FILES).join(&name))?;
    open.close(OsStr::new(&name));
    Ok(())
}

/// The digests that a question answers, as names of files.
fn named(database: &Database, sql: &str) -> StoreResult<HashSet<String>> {
    database.read(|connection| {
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|row| Ok(row?.parse::<Digest>()?.hex())).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::Schema;

    const SCHEMA: Schema = Schema {
        what: "the test database",
        steps: &[
            "CREATE TABLE adapter_generations (generation TEXT); CREATE TABLE plugins (version TEXT);
            CREATE TABLE files (digest TEXT, bytes INTEGER); CREATE TABLE upload_parts (digest TEXT, bytes INTEGER);
            CREATE TABLE document_jobs (digest TEXT, bytes INTEGER);
            CREATE TABLE parents (id INTEGER PRIMARY KEY);
            CREATE TABLE children (parent INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED)",
        ],
    };

    #[test]
    fn files_of_a_failed_commit_stay_until_the_next_commit() {
        let folder = tempfile::tempdir().unwrap();
        let room = folder.path();
        let [generation, component, left_over] = ["a", "b", "c"].map(|text| Digest::of(text.as_bytes()));
        let path_of = |component: &Digest| room.join("plugins").join(format!("{}.wasm", component.hex()));
        let database = Database::open(&room.join("room.db"), &SCHEMA).unwrap();
        fs::create_dir_all(super::folder(room).join(generation.hex())).unwrap();
        fs::create_dir(room.join("plugins")).unwrap();
        fs::create_dir(room.join(FILES)).unwrap();
        for component in [&component, &left_over] {
            fs::write(path_of(component), "component").unwrap();
        }
        fs::write(room.join(format!("{}x", files::UNFINISHED)), "half").unwrap();
        let writer = FolderWriter::default();
        let files = || {
            let lock = writer.lock().unwrap();
            sweep(room, &database, &Pins::default(), &OpenFiles::default(), &lock).unwrap();
            drop(lock);
            let generation = super::folder(room).join(generation.hex());
            [generation, path_of(&component), path_of(&left_over)].map(|path| path.exists())
        };
        let write = |fails: bool| {
            database.write(|connection| {
                if fails {
                    // Found when the transaction is committed.
                    connection.execute("INSERT INTO children VALUES (1)", [])?;
                }
                let (generation, component) = (generation.to_string(), component.to_string());
                connection.execute("INSERT INTO adapter_generations VALUES (?1)", [generation])?;
                Ok(connection.execute("INSERT INTO plugins VALUES (?1)", [component])?)
            })
        };
        assert!(write(true).is_err());
        assert_eq!(files(), [true, true, true], "nobody knows what is on the disk");
        write(false).unwrap();
        assert_eq!(files(), [true, true, false]);
        assert!(!room.join(format!("{}x", files::UNFINISHED)).exists());
        database
            .write(|connection| Ok(connection.execute_batch("DELETE FROM adapter_generations; DELETE FROM plugins")?))
            .unwrap();
        assert_eq!(files(), [false, false, false]);
    }
}
