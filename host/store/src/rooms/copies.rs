//! The `RoomCopies` port: which rooms have changed, and copying one while it is served.

use super::Registry;
use crate::{
    error::{StoreResult, run_blocking},
    room_copy::{BegunCopy, is_current, version_of},
    snapshot_records,
};
use async_trait::async_trait;
use riad_core::{
    Result, RoomId,
    ports::{RoomCopies, RoomCopy, UnsavedRoom},
};
use std::sync::Arc;

pub(crate) struct TenantRoomCopies {
    registry: Arc<Registry>,
}

impl TenantRoomCopies {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }
}

impl Registry {
    fn unsaved(&self) -> StoreResult<Vec<UnsavedRoom>> {
        let records = self.control.database.read(snapshot_records::rooms)?;
        let mut unsaved = Vec::new();
        for record in records {
            let Some((version, changed)) = version_of(&self.room_folder(&record.owner.tenant))? else {
                continue;
            };
            if record.saved.as_ref() == Some(&version) {
                continue;
            }
            let slot = self.slots.lock().get(&record.owner.tenant).cloned();
            unsaved.push(UnsavedRoom {
                owner: record.owner,
                account: record.account,
                version,
                changed,
                is_open: slot.is_some_and(|slot| slot.may_be_open()),
            });
        }
        Ok(unsaved)
    }

    fn copy(&self, room: &UnsavedRoom) -> StoreResult<Option<RoomCopy>> {
        let tenant = &room.owner.tenant;
        let folder = self.room_folder(tenant);
        let slot = self.slot(tenant);
        let place = slot.room.lock();
        if self.control.account(tenant)? != Some(room.account) {
            return Ok(None);
        }
        let open = place.as_ref().map(|open| open.state.clone());
        if open.is_none() && is_current(&folder)? {
            // Nobody opens it until its files are linked.
            let begun = BegunCopy::begin(&folder)?;
            drop(place);
            return begun.finish(room.owner.clone()).map(Some);
        }
        drop(place);
        let state = match open {
            Some(state) => state,
            // That brings it up to date.
            None => self.open(tenant, room.account)?,
        };
        let begun = {
            // Fails if the room has been closed meanwhile; then it is copied the next time.
            let _lock = state.lock_folder()?;
            BegunCopy::begin(&folder)?
        };
        drop(state);
        begun.finish(room.owner.clone()).map(Some)
    }
}

#[async_trait]
impl RoomCopies for TenantRoomCopies {
    async fn unsaved(&self) -> Result<Vec<UnsavedRoom>> {
        let registry = self.registry.clone();
        run_blocking(move || registry.unsaved()).await
    }

    async fn copy(&self, room: &UnsavedRoom) -> Result<Option<RoomCopy>> {
        let (registry, room) = (self.registry.clone(), room.clone());
        run_blocking(move || registry.copy(&room)).await
    }

    async fn record_saved(&self, room: &UnsavedRoom) -> Result<()> {
        let (registry, room) = (self.registry.clone(), room.clone());
        run_blocking(move || {
            let record = |connection: &_| snapshot_records::record_saved(connection, room.account, &room.version);
            registry.control.database.write(record)
        })
        .await
    }

    async fn deleted(&self) -> Result<Vec<RoomId>> {
        let registry = self.registry.clone();
        run_blocking(move || registry.control.database.read(snapshot_records::deleted)).await
    }

    async fn record_deleted(&self, room: &RoomId) -> Result<()> {
        let (registry, room) = (self.registry.clone(), room.clone());
        run_blocking(move || {
            let finish = |connection: &_| snapshot_records::finish_deletion(connection, &room);
            registry.control.database.write_reserved(finish)
        })
        .await
    }
}
