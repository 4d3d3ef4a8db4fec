//! The command line of rooms without a server.

use clap::{Args, Subcommand};
use riad_core::{RoomId, SnapshotId, TenantId};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum RoomCommand {
    /// Say what is wrong in a room, and change nothing
    Check(RoomPlace),
    /// Make again what follows from other things, remove files that nothing names, and say what is lost
    Repair(RoomPlace),
    /// Write a room into one file
    Export {
        #[command(flatten)]
        place: RoomPlace,
        /// The file, which is not there yet
        #[arg(value_name = "FILE")]
        archive: PathBuf,
    },
    /// Bring an exported room in, as that of a tenant that has stored nothing yet
    Import {
        #[command(flatten)]
        place: RoomPlace,
        /// What `room export` wrote
        #[arg(value_name = "FILE")]
        archive: PathBuf,
        /// Bytes that the room may have; limits.room_bytes if it is not given
        #[arg(long, value_name = "BYTES")]
        most: Option<u64>,
    },
    /// Save a room, or all of them, in the object store (objects.url)
    Snapshot {
        #[command(flatten)]
        place: SnapshotPlace,
        /// Whose room
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        tenant: Option<TenantId>,
        /// Every room of the data folder
        #[arg(long)]
        all: bool,
        /// Send also what the store has already, because it may be damaged
        #[arg(long)]
        whole: bool,
    },
    /// List the snapshots of a room, or the rooms that the object store has
    Snapshots {
        #[command(flatten)]
        place: SnapshotPlace,
        /// Whose room; if it is not given, all rooms of the store, those of other servers too
        tenant: Option<TenantId>,
    },
    /// Bring a snapshot in, as the room of its tenant, who has stored nothing yet
    Restore {
        #[command(flatten)]
        place: SnapshotPlace,
        /// Whose room
        tenant: TenantId,
        /// The snapshot; the newest if it is not given
        #[arg(long, value_name = "ID")]
        snapshot: Option<SnapshotId>,
        /// The room that was saved, if it is another server's or an earlier one of this tenant, as `room snapshots` lists it
        #[arg(long, value_name = "ROOM")]
        room: Option<RoomId>,
        /// Bytes that the room may have; limits.room_bytes if it is not given
        #[arg(long, value_name = "BYTES")]
        most: Option<u64>,
    },
}

/// A room of a data folder that no server uses.
#[derive(Debug, Args)]
pub struct RoomPlace {
    /// Whose room
    pub tenant: TenantId,
    /// The data folder of a server that has been stopped
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The rooms of a data folder that no server uses, and the object store of the server's configuration.
#[derive(Debug, Args)]
pub struct SnapshotPlace {
    /// The data folder of a server that has been stopped [config: server.data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Configuration file of that server
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
