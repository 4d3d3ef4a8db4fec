//! The files of a room: who may write them, which adapter generations are in use, and deleting the others.

use crate::{
    error::{StoreResult, closed},
    files,
    sqlite::Database,
};
use parking_lot::{Mutex, MutexGuard};
use riad_core::Digest;
use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

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

/// Deletes generations that no alias keeps and no request holds, and files whose writing was interrupted. The lock
/// proves that no file is being written.
pub(crate) fn sweep(room: &Path, database: &Database, pins: &Pins, _lock: &FolderLock<'_>) -> StoreResult<()> {
    let kept: HashSet<String> = database.read(|connection| {
        let mut statement = connection.prepare_cached("SELECT generation FROM adapter_generations")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|row| Ok(row?.parse::<Digest>()?.hex())).collect()
    })?;
    for entry in fs::read_dir(folder(room))? {
        let entry = entry?;
        let name = entry.file_name();
        let keep = name
            .to_str()
            .is_some_and(|name| kept.contains(name) || pins.holds(name));
        if !keep {
            files::remove_folder(&entry.path())?;
        }
    }
    for entry in fs::read_dir(room.join("plugins"))?.chain(fs::read_dir(room)?) {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(files::UNFINISHED) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
