//! One tenant's room in a data folder that no server uses: checking and mending it, taking it out and bringing it in. Not here: what
//! that is (`room_check`, `room_repair`, `room_archive`, `room_copy`, `incoming_room`).

use crate::{
    CONTROL, control,
    data_lock::DataLock,
    error::{Failure, StoreResult},
    files,
    incoming_room::{IncomingRoom, Origin},
    offline, offline_rooms, room, room_archive,
    room_check::{self, Remedy, RoomReport},
    room_copy::BegunCopy,
    room_repair,
};
use riad_core::{
    Error, ErrorKind, Result, RoomId, TenantId,
    ports::RoomCopy,
    snapshot::{RoomPart, SnapshotOwner},
};
use std::{
    fs::File,
    path::{Path, PathBuf},
};

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
    tenant: TenantId,
    id: Option<RoomId>,
    _lock: DataLock,
}

/// A snapshot that is being written beside its room's place. Dropped, it leaves nothing.
pub struct RoomRestore {
    incoming: IncomingRoom,
    room: OfflineRoom,
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

    /// What its snapshots are bound to.
    ///
    /// # Errors
    /// `NotFound` if the room has no id yet, because it was never opened by a server that gives them.
    pub fn owner(&self) -> Result<SnapshotOwner> {
        offline_rooms::owner(&self.tenant, self.id.clone())
    }

    /// One state of it for a snapshot, and what is in it. The room stays as it is.
    ///
    /// # Errors
    /// As of [`Self::check`]; `Conflict` if the room is damaged.
    pub fn copy(&self) -> Result<(RoomReport, RoomCopy)> {
        let report = self.check()?;
        if let Some(fault) = report.faults.iter().find(|fault| fault.remedy == Remedy::Nothing) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("the room is damaged, so that no snapshot was taken: {}", fault.what),
            ));
        }
        let owner = self.owner()?;
        let copy = BegunCopy::begin(&self.folder).and_then(|begun| begun.finish(owner));
        Ok((report, copy.map_err(|failure| command_error(failure, &self.folder))?))
    }

    /// Begins to write a snapshot in the place of this tenant's room, which has nothing in it. `most` is how many bytes it may have. Whatever
    /// fails, the tenant's room is as it was before.
    ///
    /// # Errors
    /// `Conflict` if the tenant's room has something in it; `InvalidRequest` if a room cannot have these parts; `TooLarge` if they have too
    /// many bytes.
    pub fn begin_restore(self, parts: &[RoomPart], most: u64) -> Result<RoomRestore> {
        match IncomingRoom::begin(&self.folder, parts, most, Origin::Snapshot) {
            Ok(incoming) => Ok(RoomRestore { incoming, room: self }),
            Err(failure) => Err(command_error(failure, &self.folder)),
        }
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
        let connection = offline::open(&path)?;
        let account = control::account_of(&connection, tenant)?.ok_or_else(|| control::no_tenant(tenant))?;
        Ok(Self {
            folder: rooms.join(tenant.as_str()),
            tenant: tenant.clone(),
            id: control::room_of(&connection, account)?,
            _lock: lock,
        })
    }
}

impl RoomRestore {
    /// The file of a part, to be written and synced.
    ///
    /// # Errors
    /// `StorageFull` if the disk is full; `Internal` if it fails.
    pub fn create(&self, part: &str) -> Result<File> {
        let created = self.incoming.create(part);
        Ok(created.map_err(|failure| command_error(failure, &self.room.folder))?.1)
    }

    /// Checks the whole room and puts it in place. Returns what is in it.
    ///
    /// # Errors
    /// `InvalidRequest` if it is damaged, or no room; `StorageFull` if the disk is full.
    pub fn finish(self) -> Result<RoomReport> {
        let Self { incoming, room } = self;
        incoming
            .finish()
            .map_err(|failure| command_error(failure, &room.folder))
    }
}
