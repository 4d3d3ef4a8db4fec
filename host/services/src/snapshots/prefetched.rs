//! Rooms of tenants that will come from another cell, fetched while their changes are still taken there: when they come, only what has
//! changed since is fetched. Not here: the steps of a move (`moves`).

use parking_lot::Mutex;
use riad_core::{
    Result, TenantId,
    moving::MovedRoom,
    ports::{EarlierFile, RoomRestore, StoredSnapshot},
    resources,
};
use std::collections::HashMap;

/// Each takes as much of the disk as a room.
const ROOMS: usize = 4;

// resources::PREFETCHED_ROOMS
#[derive(Default)]
pub(crate) struct PrefetchedRooms(Mutex<HashMap<TenantId, PrefetchedRoom>>);

/// Dropped, it leaves nothing on the disk.
pub(crate) struct PrefetchedRoom {
    pub saved: MovedRoom,
    pub snapshot: Box<dyn StoredSnapshot>,
    pub files: Box<dyn RoomRestore>,
}

impl PrefetchedRooms {
    /// # Errors
    /// `Busy` if there is no place for one more.
    pub fn check(&self, tenant: &TenantId) -> Result<()> {
        let rooms = self.0.lock();
        match rooms.len() < ROOMS || rooms.contains_key(tenant) {
            true => Ok(()),
            false => Err(resources::PREFETCHED_ROOMS.refuse()),
        }
    }

    /// In the place of the tenant's earlier one.
    ///
    /// # Errors
    /// As of [`Self::check`].
    pub fn keep(&self, tenant: &TenantId, room: PrefetchedRoom) -> Result<()> {
        self.check(tenant)?;
        let replaced = self.0.lock().insert(tenant.clone(), room);
        drop(replaced);
        Ok(())
    }

    pub fn take(&self, tenant: &TenantId) -> Option<PrefetchedRoom> {
        self.0.lock().remove(tenant)
    }
}

impl PrefetchedRoom {
    /// A part of it, if it has one of this name.
    pub fn file(&self, part: &str) -> Option<EarlierFile> {
        self.snapshot.earlier(part, self.files.path(part).ok()?)
    }
}
