//! The `RoomCopies` port: which rooms have changed, and copying one while it is served.

use super::Registry;
use crate::{
    error::{StoreResult, run_blocking},
    incoming_room::{IncomingRoom, Origin},
    move_records,
    room_copy::{BegunCopy, is_current, version_of},
    snapshot_records::{self, RoomRecord},
};
use async_trait::async_trait;
use riad_core::{
    Error, ErrorKind, OperatorPass, Result, RoomId, TenantId,
    ports::{RoomCopies, RoomCopy, RoomRestore, UnsavedRoom},
    snapshot::RoomPart,
};
use std::{fs::File, path::PathBuf, sync::Arc};

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
        let mut unsaved = Vec::new();
        for record in self.control.database.read(snapshot_records::rooms)? {
            let saved = record.saved.clone();
            unsaved.extend(
                self.look_at(record)?
                    .filter(|room| saved.as_ref() != Some(&room.version)),
            );
        }
        Ok(unsaved)
    }

    /// `None` if there is nothing on the disk.
    fn look_at(&self, record: RoomRecord) -> StoreResult<Option<UnsavedRoom>> {
        let Some((version, changed)) = version_of(&self.room_folder(&record.owner.tenant))? else {
            return Ok(None);
        };
        let slot = self.slots.lock().get(&record.owner.tenant).cloned();
        Ok(Some(UnsavedRoom {
            owner: record.owner,
            account: record.account,
            version,
            changed,
            is_open: slot.is_some_and(|slot| slot.may_be_open()),
        }))
    }

    fn find_room(&self, tenant: &TenantId) -> StoreResult<Option<UnsavedRoom>> {
        let found = self
            .control
            .database
            .read(|connection| snapshot_records::room(connection, tenant))?;
        found.map_or(Ok(None), |record| self.look_at(record))
    }

    fn begin_restore(&self, tenant: &TenantId, parts: &[RoomPart], most: u64) -> StoreResult<IncomingRoom> {
        let is_coming = self
            .control
            .database
            .read(|connection| move_records::is_coming(connection, tenant))?;
        if !is_coming || self.control.account(tenant)?.is_some() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("the tenant \"{tenant}\" is not expected from another cell"),
            )
            .into());
        }
        IncomingRoom::begin(&self.room_folder(tenant), parts, most, Origin::Snapshot)
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

    async fn find(&self, _operator: &OperatorPass, tenant: &TenantId) -> Result<Option<UnsavedRoom>> {
        let (registry, tenant) = (self.registry.clone(), tenant.clone());
        run_blocking(move || registry.find_room(&tenant)).await
    }

    async fn begin_restore(
        &self,
        _operator: &OperatorPass,
        tenant: &TenantId,
        parts: &[RoomPart],
        most: u64,
    ) -> Result<Box<dyn RoomRestore>> {
        let (registry, tenant, parts) = (self.registry.clone(), tenant.clone(), parts.to_vec());
        let incoming = run_blocking(move || registry.begin_restore(&tenant, &parts, most)).await?;
        Ok(Box::new(IncomingFiles(Arc::new(incoming))))
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

struct IncomingFiles(Arc<IncomingRoom>);

#[async_trait]
impl RoomRestore for IncomingFiles {
    async fn create(&mut self, part: &str) -> Result<File> {
        let (incoming, part) = (self.0.clone(), part.to_owned());
        run_blocking(move || Ok(incoming.create(&part)?.1)).await
    }

    fn path(&self, part: &str) -> Result<PathBuf> {
        Ok(self.0.path_of(part)?)
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        run_blocking(move || match Arc::into_inner(self.0) {
            Some(incoming) => incoming.finish_same(),
            // A file is being made at this moment.
            None => Err(Error::internal("a room that is still being written").into()),
        })
        .await
    }
}
