//! Which rooms are open: each at most once, the least recently used closed when there are too many. The `Rooms` port.
//! Not here: what is in a room (`room`).

use crate::{
    adapters::{Pins, RoomAdapters},
    control::Control,
    documents::RoomDocuments,
    error::{Failure, Outcome, off_thread},
    files,
    plugins::RoomPlugins,
    room::RoomState,
    settings::RoomSettings,
    sql::RoomSql,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use riad_core::{
    Error, ErrorKind, Limits, OperatorPass, Result, TenantId, TenantPass,
    ports::{EmbeddingSpace, Room, Rooms},
};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// The place of a tenant's room, open or not. Never forgotten, so that whoever waits for it waits for the right one.
#[derive(Default)]
struct Slot {
    /// Locked while the room is opened, closed or removed.
    room: Mutex<Option<Arc<RoomState>>>,
    used: AtomicU64,
    /// Outlives the open room: a generation in use stays pinned while the room is closed and opened again.
    pins: Arc<Pins>,
}

pub(crate) struct Registry {
    folder: PathBuf,
    space: EmbeddingSpace,
    limits: Limits,
    control: Arc<Control>,
    slots: Mutex<HashMap<TenantId, Arc<Slot>>>,
    clock: AtomicU64,
    closed: AtomicBool,
}

impl Registry {
    pub(crate) fn new(folder: PathBuf, space: EmbeddingSpace, limits: Limits, control: Arc<Control>) -> Self {
        Self {
            folder,
            space,
            limits,
            control,
            slots: Mutex::default(),
            clock: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn has_folder(&self, tenant: &TenantId) -> Outcome<bool> {
        Ok(self.room_folder(tenant).try_exists()?)
    }

    /// Deletes the rooms of tenants that were forgotten when the server was stopped in between.
    pub(crate) fn finish_deletions(&self) -> Outcome<()> {
        for tenant in self.control.deletions()? {
            tracing::info!(%tenant, "finishing the deletion of a room");
            self.remove(&tenant)?;
        }
        Ok(())
    }

    /// Closes a room whose tenant was forgotten.
    pub(crate) fn shut(&self, tenant: &TenantId) {
        let slot = self.slot(tenant);
        let mut room = slot.room.lock();
        if let Some(room) = room.take() {
            room.discard();
        }
    }

    pub(crate) fn close(&self) -> Outcome<()> {
        self.closed.store(true, Ordering::SeqCst);
        let slots: Vec<Arc<Slot>> = self.slots.lock().values().cloned().collect();
        let mut outcome = Ok(());
        for slot in slots {
            // Held while it closes: whoever opens at this moment is refused after it, or closed by it.
            let mut room = slot.room.lock();
            if let Some(room) = room.take() {
                outcome = outcome.and(room.close());
            }
        }
        outcome
    }

    fn room_folder(&self, tenant: &TenantId) -> PathBuf {
        self.folder.join(tenant.as_str())
    }

    fn slot(&self, tenant: &TenantId) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.get(tenant) {
            return slot.clone();
        }
        let slot = Arc::new(Slot::default());
        slots.insert(tenant.clone(), slot.clone());
        slot
    }

    /// The room if it is open and nobody is busy with it; does not block.
    fn joined(&self, tenant: &TenantId) -> Option<Arc<RoomState>> {
        let slot = self.slots.lock().get(tenant).cloned()?;
        let room = slot.room.try_lock()?.clone()?;
        self.touch(&slot);
        Some(room)
    }

    fn touch(&self, slot: &Slot) {
        slot.used
            .store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }

    fn open(&self, tenant: &TenantId) -> Outcome<Arc<RoomState>> {
        let slot = self.slot(tenant);
        self.touch(&slot);
        let opened = {
            let mut place = slot.room.lock();
            if let Some(room) = place.as_ref() {
                return Ok(room.clone());
            }
            if self.closed.load(Ordering::SeqCst) {
                return Err(Failure::Known(Error::new(
                    ErrorKind::Unavailable,
                    "the server is shutting down",
                )));
            }
            // Under the slot's lock: a tenant that is deleted after this has its room removed after this.
            if !self.control.has_tenant(tenant)? {
                return Err(Failure::Known(Error::new(
                    ErrorKind::Unauthenticated,
                    "the tenant of this key has been deleted",
                )));
            }
            let folder = self.room_folder(tenant);
            let room = RoomState::open(&folder, &self.space, &self.limits, slot.pins.clone())?;
            let room = Arc::new(room);
            *place = Some(room.clone());
            room
        };
        self.evict();
        Ok(opened)
    }

    /// Closes the least recently used rooms beyond the limit, but none that somebody holds.
    fn evict(&self) {
        let mut slots: Vec<(TenantId, Arc<Slot>)> = {
            let slots = self.slots.lock();
            slots
                .iter()
                .map(|(tenant, slot)| (tenant.clone(), slot.clone()))
                .collect()
        };
        slots.retain(|(_, slot)| slot.room.try_lock().is_none_or(|room| room.is_some()));
        let mut surplus = slots.len().saturating_sub(self.limits.open_rooms as usize);
        slots.sort_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed));
        for (tenant, slot) in slots {
            if surplus == 0 {
                break;
            }
            let Some(mut place) = slot.room.try_lock() else {
                continue;
            };
            // Clones are made under the slot's lock or from other clones: nobody can take one up meanwhile.
            if let Some(room) = place.take_if(|room| Arc::strong_count(room) == 1) {
                if let Err(error) = room.close() {
                    tracing::warn!(%tenant, %error, "the index of a room was not saved; it is rebuilt at the next opening");
                }
                surplus -= 1;
            }
        }
    }

    fn remove(&self, tenant: &TenantId) -> Outcome<()> {
        let slot = self.slot(tenant);
        let mut place = slot.room.lock();
        if self.control.has_tenant(tenant)? {
            return Err(Failure::Known(Error::new(
                ErrorKind::Conflict,
                format!("the tenant \"{tenant}\" still exists; delete it before its room"),
            )));
        }
        if let Some(room) = place.take() {
            room.discard();
        }
        files::remove_folder(&self.room_folder(tenant))?;
        files::sync_folder(&self.folder)?;
        self.control.finish_deletion(tenant)
    }
}

pub(crate) struct TenantRooms {
    registry: Arc<Registry>,
}

impl TenantRooms {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }
}

#[async_trait]
impl Rooms for TenantRooms {
    async fn open(&self, pass: &TenantPass) -> Result<Room> {
        let state = match self.registry.joined(pass.tenant()) {
            Some(state) => state,
            None => {
                let (registry, tenant) = (self.registry.clone(), pass.tenant().clone());
                off_thread(move || registry.open(&tenant)).await?
            }
        };
        Ok(Room {
            documents: Arc::new(RoomDocuments(state.clone())),
            sql: Arc::new(RoomSql(state.clone())),
            settings: Arc::new(RoomSettings(state.clone())),
            plugins: Arc::new(RoomPlugins(state.clone())),
            adapters: Arc::new(RoomAdapters(state)),
        })
    }

    async fn remove(&self, _operator: &OperatorPass, tenant: &TenantId) -> Result<()> {
        let (registry, tenant) = (self.registry.clone(), tenant.clone());
        off_thread(move || registry.remove(&tenant)).await
    }
}
