//! One tenant's room in a data folder that no server uses: checking and mending it, taking it out as one file and bringing it in. Not here: what
//! that is (`room_check`, `room_repair`, `room_archive`).

use crate::{
    CONTROL, control,
    data_lock::DataLock,
    error::{Failure, StoreResult},
    files, offline, room, room_archive,
    room_check::{self, RoomReport},
    room_repair,
};
use riad_core::{Error, ErrorKind, Result, TenantId};
use std::path::{Path, PathBuf};

/// With its cause: whoever runs a command has no server whose log would tell it.
fn command_error(failure: Failure, folder: &Path) -> Error {
    let is_full = failure.is_full_disk();
    let text = format!("{}: {failure}", folder.display());
    if let Failure::Known(error) = failure
        && error.kind() != ErrorKind::Internal
    {
        return error;
    }
    match is_full {
        true => Error::new(
            ErrorKind::StorageFull,
            "the disk is full; make room on it and try again",
        ),
        false => Error::new(ErrorKind::Internal, text),
    }
}

/// No server can start with the data folder as long as this lives.
pub struct OfflineRoom {
    folder: PathBuf,
    _lock: DataLock,
}

impl OfflineRoom {
    /// # Errors
    /// `NotFound` if the folder is no data folder or has no such tenant; `Conflict` if a server uses it; `Unavailable` if another version wrote it.
    pub fn open(data_dir: &Path, tenant: &TenantId) -> Result<Self> {
        Self::open_folder(data_dir, tenant).map_err(|failure| command_error(failure, data_dir))
    }

    /// What is wrong in it. Nothing is changed.
    ///
    /// # Errors
    /// `NotFound` if the tenant has no room; `Unavailable` if another version wrote it; `Internal` if it cannot be read.
    pub fn check(&self) -> Result<RoomReport> {
        self.has_room()?;
        room_check::check(&self.folder).map_err(|failure| command_error(failure, &self.folder))
    }

    /// Makes again what follows from other things, and removes files that nothing names. Returns what was wrong before and what is wrong now.
    ///
    /// # Errors
    /// As of [`Self::check`], and if the folder cannot be written.
    pub fn repair(&self) -> Result<(RoomReport, RoomReport)> {
        self.has_room()?;
        room_repair::repair(&self.folder).map_err(|failure| command_error(failure, &self.folder))
    }

    /// Writes the room into one file, which is not there yet. The room stays as it is.
    ///
    /// # Errors
    /// As of [`Self::check`]; `Conflict` if the room is damaged or the file is there.
    pub fn export(&self, archive: &Path) -> Result<RoomReport> {
        self.has_room()?;
        room_archive::export(&self.folder, archive).map_err(|failure| command_error(failure, &self.folder))
    }

    /// Makes the room of an archive this tenant's, which has none yet or an empty one. `most` is how many bytes it may have. Whatever fails, the
    /// tenant's room is as it was before.
    ///
    /// # Errors
    /// `Conflict` if the tenant's room has something in it; `InvalidRequest` if the archive is damaged or no archive of a room; `TooLarge` if it has
    /// too many bytes; `Unavailable` if a newer program wrote it.
    pub fn import(&self, archive: &Path, most: u64) -> Result<RoomReport> {
        room_archive::import(archive, &self.folder, most).map_err(|failure| command_error(failure, &self.folder))
    }

    fn has_room(&self) -> Result<()> {
        match self.folder.join(room::DATABASE).is_file() {
            true => Ok(()),
            false => Err(Error::not_found(format!(
                "{} has no room: the tenant has stored nothing yet",
                self.folder.display()
            ))),
        }
    }

    fn open_folder(data_dir: &Path, tenant: &TenantId) -> StoreResult<Self> {
        let path = data_dir.join(CONTROL);
        if !path.is_file() {
            return Err(Error::not_found(format!("{} has no {CONTROL}", data_dir.display())).into());
        }
        let lock = DataLock::take(data_dir)?;
        let rooms = data_dir.join("rooms");
        if rooms.is_dir() {
            // Of imports that were killed.
            files::remove_unfinished(&rooms)?;
        }
        let tenants = control::tenants(&offline::open(&path)?)?;
        if !tenants.iter().any(|stored| stored.id == *tenant) {
            return Err(Error::not_found(format!("there is no tenant \"{tenant}\"")).into());
        }
        Ok(Self {
            folder: rooms.join(tenant.as_str()),
            _lock: lock,
        })
    }
}
