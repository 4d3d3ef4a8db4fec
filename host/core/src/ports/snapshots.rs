//! Copies of rooms, and the object store that keeps them as snapshots.

use crate::{
    Account, OperatorPass, Result, RoomId, SnapshotId, TenantId, Timestamp,
    snapshot::{RoomPart, Snapshot, SnapshotOwner},
};
use async_trait::async_trait;
use std::{fs::File, path::PathBuf};

/// One state of a room, in files that stay as they are while this lives.
pub struct RoomCopy {
    pub owner: SnapshotOwner,
    /// The schema version of its `room.db`.
    pub schema: u32,
    pub files: Vec<CopiedFile>,
    /// Removes what was made for the copy when it is dropped.
    pub hold: Box<dyn Send + Sync>,
}

pub struct CopiedFile {
    /// Below the room's folder, with `/`.
    pub name: String,
    pub path: PathBuf,
    /// Whether a file of this name never has other bytes: it is named by its digest.
    pub is_fixed: bool,
}

/// A room that has changed since its last snapshot.
#[derive(Debug, Clone)]
pub struct UnsavedRoom {
    pub owner: SnapshotOwner,
    pub account: Account,
    /// What its files were when it was found; compared, never read.
    pub version: String,
    /// When its files were last written.
    pub changed: Timestamp,
    pub is_open: bool,
}

/// The rooms of the data folder, for snapshots. Any error is of the one room that was asked for.
#[async_trait]
pub trait RoomCopies: Send + Sync {
    /// Rooms that have changed since what [`Self::record_saved`] says, open or not. Looks at the times of files; opens nothing.
    async fn unsaved(&self) -> Result<Vec<UnsavedRoom>>;

    /// One room, changed or not; `None` if there is no such tenant, or if it has stored nothing yet.
    async fn find(&self, operator: &OperatorPass, tenant: &TenantId) -> Result<Option<UnsavedRoom>>;

    /// Begins to write a room in the place of a tenant's that is not there. `most` is how many bytes it may have. `Conflict` if there is one;
    /// `InvalidRequest` if a room cannot have these parts; `TooLarge` if they have too many bytes.
    async fn begin_restore(
        &self,
        operator: &OperatorPass,
        tenant: &TenantId,
        parts: &[RoomPart],
        most: u64,
    ) -> Result<Box<dyn RoomRestore>>;

    /// Copies a room while it is served; `None` if its tenant has been deleted meanwhile. Requests that store files wait for a moment. Takes
    /// as much of the disk as the room's databases, until the copy is dropped.
    async fn copy(&self, room: &UnsavedRoom) -> Result<Option<RoomCopy>>;

    /// The room has a snapshot that is at least as new as `room` says.
    async fn record_saved(&self, room: &UnsavedRoom) -> Result<()>;

    /// Rooms of deleted tenants whose snapshots may still be there.
    async fn deleted(&self) -> Result<Vec<RoomId>>;

    /// The room's snapshots are gone.
    async fn record_deleted(&self, room: &RoomId) -> Result<()>;
}

/// A room that is being written beside its place. Dropped, it leaves nothing.
#[async_trait]
pub trait RoomRestore: Send + Sync {
    /// The file of a part, to be written and synced.
    async fn create(&mut self, part: &str) -> Result<File>;

    /// Where the file of a part is until the room is put in place.
    fn path(&self, part: &str) -> Result<PathBuf>;

    /// Puts the room in place. `InvalidRequest` if a part is not whole, or if it is no room.
    async fn finish(self: Box<Self>) -> Result<()>;
}

/// A snapshot that was found and decrypted.
#[async_trait]
pub trait StoredSnapshot: Send + Sync {
    fn parts(&self) -> Vec<RoomPart>;

    /// Writes one of the parts, and waits for the disk. What the same part of an earlier snapshot had is taken from there. `Conflict` if one of
    /// its objects is missing or is not what was stored.
    async fn write(&self, part: &str, to: File, earlier: Option<EarlierFile>) -> Result<()>;

    /// One of the parts as [`Self::write`] has written it; `None` if there is no such part.
    fn earlier(&self, part: &str, path: PathBuf) -> Option<EarlierFile>;
}

/// A file of an earlier snapshot of the same room.
#[derive(Debug)]
pub struct EarlierFile {
    pub path: PathBuf,
    pub bytes: u64,
    /// Of each block but the last.
    pub block_bytes: u64,
    /// The names of its blocks, which say what is in them.
    pub blocks: Vec<String>,
}

/// What was done with a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveOutcome {
    /// The newest snapshot of the room now.
    pub snapshot: Snapshot,
    /// `false` if it was there already, because the room is as it was.
    pub is_new: bool,
    /// What was sent, encrypted.
    pub uploaded_bytes: u64,
}

/// Snapshots in an object store. All errors are `Unavailable` if the store does not answer; dropping a future stops its work.
#[async_trait]
pub trait SnapshotStore: Send + Sync {
    /// Keeps a copy as the newest snapshot of its room. One call at a time for a room. A snapshot that could not be written whole is never seen.
    async fn save(&self, copy: &RoomCopy) -> Result<SaveOutcome>;

    /// Removes a room's snapshots beyond those that are kept, and what no other one has. Not while it is being saved.
    async fn prune(&self, owner: &SnapshotOwner) -> Result<()>;

    /// Finds a snapshot. `NotFound` if there is none, or `Conflict` if it is damaged or another tenant's.
    async fn open(&self, owner: &SnapshotOwner, id: &SnapshotId) -> Result<Box<dyn StoredSnapshot>>;

    /// Deletes the room's key, without which its objects are noise, and then its objects. A room that has none is no error.
    async fn delete_room(&self, room: &RoomId) -> Result<()>;
}
