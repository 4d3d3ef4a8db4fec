//! Rooms on disk: SQLite is the truth, usearch a cache of it.
//!
//! `<data>/lock` keeps other processes out, `<data>/control.db` has the tenants and their keys, and each tenant has
//! `<data>/rooms/<tenant>/` with `room.db`, `plugin.db`, `index.usearch`, `adapters/` and `plugins/`.
//! Not here: chunking, embedding and who may call what (`services`), HTTP, wasmtime, the engine.

mod adapters;
mod changes;
mod control;
mod directory;
mod documents;
mod error;
mod files;
mod fusion;
mod index;
mod keyring;
mod metadata;
mod names;
mod plugins;
mod room;
mod rooms;
mod search;
mod settings;
mod sql;
mod sqlite;
mod vectors;
mod words;

use control::Control;
use directory::TenantDirectory;
use error::{Failure, Outcome, off_thread};
use keyring::ControlKeyring;
use parking_lot::Mutex;
use riad_core::{
    Error, ErrorKind, Limits, Result,
    ports::{Directory, EmbeddingSpace, Keyring, Rooms},
};
use rooms::{Registry, TenantRooms};
use std::{
    fs::{File, TryLockError},
    path::Path,
    sync::Arc,
};

/// Everything that one data folder holds. One process at a time.
pub struct Store {
    control: Arc<Control>,
    registry: Arc<Registry>,
    lock: Arc<Mutex<Option<File>>>,
}

impl Store {
    /// Opens the data folder, makes it if it is not there, and finishes deletions of tenants that were interrupted.
    /// Blocks on the disk; no room is opened.
    ///
    /// # Errors
    /// `Conflict` if another process has the folder; `Unavailable` if a newer version wrote it; `Internal` if the disk fails.
    pub fn open(data_dir: &Path, space: EmbeddingSpace, limits: &Limits) -> Result<Self> {
        Ok(Self::open_folder(data_dir, space, limits)?)
    }

    #[must_use]
    pub fn directory(&self) -> Arc<dyn Directory> {
        Arc::new(TenantDirectory::new(self.control.clone(), self.registry.clone()))
    }

    #[must_use]
    pub fn keyring(&self) -> Arc<dyn Keyring> {
        Arc::new(ControlKeyring::new(self.control.clone()))
    }

    #[must_use]
    pub fn rooms(&self) -> Arc<dyn Rooms> {
        Arc::new(TenantRooms::new(self.registry.clone()))
    }

    /// Saves the indexes, closes the rooms and the control database, and lets go of the data folder. Calls that come
    /// later fail with `Unavailable`. Needed for a quick next start only: without it, nothing acknowledged is lost.
    ///
    /// # Errors
    /// The first index that could not be saved; everything is closed all the same.
    pub async fn close(&self) -> Result<()> {
        let (control, registry, lock) = (self.control.clone(), self.registry.clone(), self.lock.clone());
        off_thread(move || {
            let saved = registry.close();
            control.close();
            drop(lock.lock().take());
            saved
        })
        .await
    }

    fn open_folder(data_dir: &Path, space: EmbeddingSpace, limits: &Limits) -> Outcome<Self> {
        files::create_folder(data_dir)?;
        // Absolute, so that a relative path stays right and can never be read as a SQLite URI.
        let data_dir = data_dir.canonicalize()?;
        let lock = lock_folder(&data_dir)?;
        let rooms = data_dir.join("rooms");
        files::create_folder(&rooms)?;
        let control = Arc::new(Control::open(&data_dir.join("control.db"))?);
        files::sync_folder(&data_dir)?;
        let registry = Arc::new(Registry::new(rooms, space, limits.clone(), control.clone()));
        registry.finish_deletions()?;
        Ok(Self {
            control,
            registry,
            lock: Arc::new(Mutex::new(Some(lock))),
        })
    }
}

fn lock_folder(data_dir: &Path) -> Outcome<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(data_dir.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::Known(Error::new(
            ErrorKind::Conflict,
            format!(
                "another process is using the data folder {}; stop it, or choose another folder",
                data_dir.display()
            ),
        ))),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}
