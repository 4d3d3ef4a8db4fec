//! Snapshots of rooms in an object store: a local folder, S3, Google Cloud Storage or Azure.
//!
//! A room's objects lie below `rooms/<room id>/`: `key` is its tenant's key, encrypted with the operator's (`RIAD_SNAPSHOT_KEY`);
//! `snapshots/<id>` says of which blocks each file of the room is; `blocks/<name>` are pieces of files, named by a keyed digest of what is in
//! them, so that each is stored once and nobody without the key can tell what it is. Every object is encrypted and authenticated under its own
//! name (`keys`). A snapshot is its manifest: it is written last and at once, so that there are no half ones.
//!
//! One server at a time writes a room's objects: the one that has its data folder.
//! Not here: what a room's files are, and copying them while they are used (`store`); when a snapshot is taken (`services`).

mod blocks;
mod errors;
mod keys;
mod location;
mod manifest;
mod pruning;
mod restoring;
mod room_objects;
mod saving;
mod snapshots;

pub use location::Location;
pub use restoring::OpenSnapshot;
pub use snapshots::{ObjectsConfig, RoomSnapshots, Snapshots};
