//! The command line of rooms without a server.

use clap::{Args, Subcommand};
use riad_core::TenantId;
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
