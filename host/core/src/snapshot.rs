//! Rooms outside their folders: the parts that an archive or a snapshot has, and whose a snapshot is. Not here: what a part is called
//! (`store`), where snapshots are kept (`objects`).

use crate::{Digest, RoomId, SnapshotId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// A file of a room, by its name below the room's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomPart {
    pub name: String,
    pub bytes: u64,
    pub digest: Digest,
}

/// Whose a snapshot is. It is encrypted for this room of this tenant, and opens as no other's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotOwner {
    pub room: RoomId,
    pub tenant: TenantId,
}

/// One saved state of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub id: SnapshotId,
    pub created: Timestamp,
    /// Of all its files.
    pub bytes: u64,
    pub files: u64,
}
