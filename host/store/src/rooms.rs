//! Which rooms are open: each at most once, the least recently used closed when there are too many. The `Rooms` port.
//! Not here: what is in a room (`room`).

mod copies;

pub(crate) use copies::TenantRoomCopies;

use crate::{
    adapters::RoomAdapters,
    audit_lines,
    control::Control,
    document_jobs::{self, RoomDocumentJobs},
    erasure,
    error::{BlockingPermits, Failure, StoreResult, run_blocking, run_with_permit},
    expired, files,
    generations::Pins,
    idempotency::RoomIdempotencyStore,
    kv::{self, RoomKv},
    plugins::RoomPlugins,
    reserve::Reserve,
    responses::{self, RoomResponses},
    room::{self, RoomState},
    room_documents::RoomDocuments,
    room_vector_stores::{self, RoomVectorStores},
    settings::RoomSettings,
    sql_store::RoomSql,
    sqlite,
    stored_files::RoomFiles,
    stored_uploads::RoomUploads,
};
use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use riad_core::{
    Account, Error, ErrorKind, Limits, OperatorPass, Result, TenantId, TenantPass,
    ports::{EmbeddingSpace, Room, Rooms, StoredBytes},
};
use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A tenant's room, open or not. A slot is never removed from the map, so that all callers for one tenant share one lock.
#[derive(Default)]
struct Slot {
    /// Locked while the room is opened, closed or removed.
    room: Mutex<Option<OpenRoom>>,
    /// Which of two was used later.
    used: AtomicU64,
    /// Milliseconds from the registry's beginning.
    used_at: AtomicU64,
    /// Async callers wait for these permits instead of blocking a thread on `room` while the room is opened, which may take long.
    /// `resources::ROOM_THREADS`.
    opening: BlockingPermits,
    /// Outlives the open room: a generation in use stays pinned while the room is closed and opened again.
    pins: Arc<Pins>,
}

/// Passes are compared by account: a tenant's id may be used again, an account never is.
struct OpenRoom {
    account: Account,
    state: Arc<RoomState>,
}

pub(crate) struct Registry {
    folder: PathBuf,
    space: EmbeddingSpace,
    limits: Limits,
    control: Arc<Control>,
    reserve: Arc<Reserve>,
    slots: Mutex<HashMap<TenantId, Arc<Slot>>>,
    /// Tenants that leave this server, as `control.db` says.
    leaving: RwLock<HashSet<TenantId>>,
    clock: AtomicU64,
    begun: Instant,
    closed: AtomicBool,
}

impl Registry {
    pub(crate) fn new(
        folder: PathBuf,
        space: EmbeddingSpace,
        limits: Limits,
        control: Arc<Control>,
        reserve: Arc<Reserve>,
    ) -> Self {
        Self {
            folder,
            space,
            limits,
            control,
            reserve,
            slots: Mutex::default(),
            leaving: RwLock::default(),
            clock: AtomicU64::new(0),
            begun: Instant::now(),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn has_folder(&self, tenant: &TenantId) -> StoreResult<bool> {
        Ok(self.room_folder(tenant).try_exists()?)
    }

    /// Removes the rooms of deleted tenants whose removal was interrupted by a stop of the server.
    pub(crate) fn finish_deletions(&self) -> StoreResult<()> {
        for tenant in self.control.deletions()? {
            tracing::info!(%tenant, "finishing the deletion of a room");
            match self.remove(&tenant) {
                // The server starts for all others.
                Err(Failure::Known(error)) => tracing::error!(%tenant, %error, "a room was not removed"),
                removed => removed?,
            }
        }
        Ok(())
    }

    /// Closes the room of a deleted tenant, but not that of a new tenant with the same id.
    pub(crate) fn close_deleted(&self, tenant: &TenantId, account: Account) {
        let slot = self.slot(tenant);
        let mut place = slot.room.lock();
        if let Some(room) = place.take_if(|room| room.account == account) {
            room.state.discard();
        }
    }

    /// Refuses changes of the room from when it returns, or takes them again, as `control.db` says.
    pub(crate) fn follow_move(&self, tenant: &TenantId) -> StoreResult<()> {
        let slot = self.slot(tenant);
        let place = slot.room.lock();
        let leaves = self.control.moves_out(tenant)?;
        match leaves {
            true => self.leaving.write().insert(tenant.clone()),
            false => self.leaving.write().remove(tenant),
        };
        if let Some(room) = place.as_ref() {
            room.state.set_sealed(leaves);
        }
        Ok(())
    }

    /// After the start: who left before it still does.
    pub(crate) fn continue_moves(&self) -> StoreResult<()> {
        *self.leaving.write() = self.control.leaving()?;
        Ok(())
    }

    /// Removes what was written of a room whose tenant has not come.
    pub(crate) fn remove_incoming(&self, tenant: &TenantId) -> StoreResult<()> {
        let slot = self.slot(tenant);
        let mut place = slot.room.lock();
        if let Some(room) = place.take() {
            room.state.discard();
        }
        files::remove_folder(&self.room_folder(tenant))?;
        Ok(files::sync_folder(&self.folder)?)
    }

    pub(crate) fn close(&self) -> StoreResult<()> {
        self.closed.store(true, Ordering::SeqCst);
        let slots: Vec<Arc<Slot>> = self.slots.lock().values().cloned().collect();
        let mut outcome = Ok(());
        for slot in slots {
            // Locked while it closes: a concurrent `open` either finished before and is closed here, or sees `closed` and is refused.
            let mut room = slot.room.lock();
            if let Some(room) = room.take() {
                outcome = outcome.and(room.state.close());
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

    /// The pass's room if it is open and its slot is not locked; does not block.
    fn find_open(&self, pass: &TenantPass) -> Option<Arc<RoomState>> {
        let slot = self.slots.lock().get(pass.tenant()).cloned()?;
        let state = {
            let place = slot.room.try_lock()?;
            place
                .as_ref()
                .filter(|room| room.account == pass.account())?
                .state
                .clone()
        };
        self.touch(&slot);
        Some(state)
    }

    fn touch(&self, slot: &Slot) {
        slot.used
            .store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        slot.used_at.store(self.now_ms(), Ordering::Relaxed);
    }

    fn open(&self, tenant: &TenantId, account: Account) -> StoreResult<Arc<RoomState>> {
        let slot = self.slot(tenant);
        let opened = {
            let mut place = slot.room.lock();
            if let Some(room) = place.as_ref() {
                if room.account != account {
                    return Err(deleted());
                }
                self.touch(&slot);
                return Ok(room.state.clone());
            }
            if self.closed.load(Ordering::SeqCst) {
                return Err(Failure::Known(Error::new(
                    ErrorKind::Unavailable,
                    "the server is shutting down",
                )));
            }
            // Under the slot's lock: a tenant that is deleted after this has its room removed after this, and no other tenant
            // gets the id before that.
            if self.control.account(tenant)? != Some(account) {
                return Err(deleted());
            }
            self.touch(&slot);
            let folder = self.room_folder(tenant);
            let check_id = |stored: Option<&str>| {
                self.control.room_id(account, stored).inspect_err(|error| {
                    tracing::error!(%tenant, %account, %error, "a room was not opened");
                })
            };
            // Also on a full disk: whoever wants to delete something opens a room first.
            let room = self.reserve.spend(|| {
                RoomState::open(
                    &folder,
                    &self.space,
                    &self.limits,
                    slot.pins.clone(),
                    &self.reserve,
                    check_id,
                )
            })?;
            // A tenant that sends nothing any more makes none that would delete them.
            responses::delete_expired(&room, self.limits.response_days)?;
            kv::delete_expired(&room)?;
            expired::delete_expired(&room)?;
            document_jobs::delete_ended(&room)?;
            room_vector_stores::sweep(&room)?;
            room.database.empty_log()?;
            // What a crash or a full disk has left. The room serves also while the log cannot be written.
            if let Err(error) = audit_lines::move_to_log(&room.database, &self.control) {
                tracing::error!(%tenant, %error, "lines of the audit log stay in their room; its next opening tries to write them again");
            }
            if self.leaving.read().contains(tenant) {
                room.set_sealed(true);
            }
            let state = Arc::new(room);
            // Chunks that were removed before a crash may be in the index's file.
            erasure::erase_later(&state);
            *place = Some(OpenRoom {
                account,
                state: state.clone(),
            });
            state
        };
        self.evict();
        Ok(opened)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Closes the least recently used rooms beyond the limits, but none that is in use.
    fn evict(&self) {
        self.close_some(None);
    }

    /// And those that nobody has used for so long.
    fn close_some(&self, idle: Option<Duration>) {
        let now_ms = self.now_ms();
        let is_idle = |slot: &Slot| {
            let unused = now_ms.saturating_sub(slot.used_at.load(Ordering::Relaxed));
            idle.is_some_and(|idle| u128::from(unused) >= idle.as_millis())
        };
        let mut slots = self.maybe_open();
        let sizes: Vec<u64> = slots.iter().map(|(_, slot)| slot.memory()).collect();
        let mut bytes: u64 = sizes.iter().sum();
        let mut sized: Vec<_> = slots.drain(..).zip(sizes).collect();
        // resources::OPEN_ROOMS
        let mut surplus = sized.len().saturating_sub(self.limits.open_rooms as usize);
        sized.sort_by_key(|((_, slot), _)| slot.used.load(Ordering::Relaxed));
        for ((tenant, slot), size) in sized {
            if surplus == 0 && bytes <= self.limits.open_room_bytes && !is_idle(&slot) {
                break;
            }
            let Some(mut place) = slot.room.try_lock() else {
                continue;
            };
            // Clones are made under the slot's lock or from other clones: with the count at 1 under the lock, none can appear.
            if let Some(room) = place.take_if(|room| Arc::strong_count(&room.state) == 1) {
                if let Err(error) = room.state.close() {
                    tracing::warn!(%tenant, %error, "the index of a room was not saved; it is rebuilt at the next opening");
                }
                surplus = surplus.saturating_sub(1);
                bytes = bytes.saturating_sub(size);
            }
        }
    }

    fn maybe_open(&self) -> Vec<(TenantId, Arc<Slot>)> {
        let slots = self.slots.lock();
        let open = slots.iter().filter(|(_, slot)| slot.may_be_open());
        open.map(|(tenant, slot)| (tenant.clone(), slot.clone())).collect()
    }

    fn remove(&self, tenant: &TenantId) -> StoreResult<()> {
        let slot = self.slot(tenant);
        let mut place = slot.room.lock();
        if self.control.account(tenant)?.is_some() {
            return Err(Failure::Known(Error::new(
                ErrorKind::Conflict,
                format!("the tenant \"{tenant}\" still exists; delete it before its room"),
            )));
        }
        if let Some(room) = place.take() {
            room.state.discard();
        }
        let folder = self.room_folder(tenant);
        // After an older control.db was restored, a later account may have the name on the disk.
        if let Some(stored) = room::stored_id(&folder)
            && self.control.deleted_room_id(tenant)?.as_ref() != Some(&stored)
        {
            return Err(Failure::Known(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "the room \"{tenant}\" on the disk belongs to another account than the one that is being deleted; the operator must \
                     restore control.db and rooms of the same time"
                ),
            )));
        }
        files::remove_folder(&folder)?;
        files::sync_folder(&self.folder)?;
        self.control.finish_deletion(tenant)?;
        // What `control.db` has forgotten of the tenant is in its log too. A reader that is in the way leaves it to the next deletion.
        if let Err(error) = self.control.database.empty_log() {
            tracing::warn!(%error, "the log of control.db was not emptied after the deletion of a tenant");
        }
        Ok(())
    }

    fn stored(&self) -> StoreResult<Vec<StoredBytes>> {
        let mut stored = Vec::new();
        for (tenant, account) in self.control.accounts()? {
            let Some(bytes) = size_of_folder(&self.room_folder(&tenant))? else {
                continue;
            };
            // Another tenant may have got the id while the folder was read: its bytes are not this account's.
            if self.control.account(&tenant)? == Some(account) {
                stored.push(StoredBytes { account, tenant, bytes });
            }
        }
        Ok(stored)
    }

    fn open_rooms(&self) -> u64 {
        let slots = self.slots.lock();
        let open = slots.values().filter(|slot| slot.may_be_open());
        open.count() as u64
    }

    fn open_room_bytes(&self) -> u64 {
        self.maybe_open().iter().map(|(_, slot)| slot.memory()).sum()
    }
}

impl Slot {
    /// A room that somebody is opening or closing at this moment counts; does not block.
    fn may_be_open(&self) -> bool {
        self.room.try_lock().is_none_or(|room| room.is_some())
    }

    /// Bytes; 0 of a room that somebody is opening or closing at this moment.
    fn memory(&self) -> u64 {
        let state = self.room.try_lock().and_then(|room| Some(room.as_ref()?.state.clone()));
        state.map_or(0, |state| state.memory())
    }
}

fn deleted() -> Failure {
    Failure::Known(Error::new(
        ErrorKind::Unauthenticated,
        "the tenant of this key has been deleted",
    ))
}

/// Bytes of the files below a folder, links not followed; `None` if there is no folder. What goes while it is read counts
/// nothing.
fn size_of_folder(path: &Path) -> StoreResult<Option<u64>> {
    let Some(metadata) = none_if_missing(path.symlink_metadata())? else {
        return Ok(None);
    };
    if !metadata.is_dir() {
        return Ok(None);
    }
    let mut bytes = 0_u64;
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let Some(entries) = none_if_missing(fs::read_dir(&folder))? else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            // Of the entry itself, not of what a link points to.
            match none_if_missing(entry.metadata())? {
                Some(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Some(metadata) if metadata.is_file() => bytes = bytes.saturating_add(metadata.len()),
                Some(_) | None => {}
            }
        }
    }
    Ok(Some(bytes))
}

fn none_if_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
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
        let state = match self.registry.find_open(pass) {
            Some(state) => state,
            None => {
                let (registry, pass) = (self.registry.clone(), pass.clone());
                let slot = registry.slot(pass.tenant());
                run_with_permit(&slot.opening, move || registry.open(pass.tenant(), pass.account())).await?
            }
        };
        if expired::is_due(&state) {
            let room = state.clone();
            let deleted = run_with_permit(&state.file_permits, move || expired::delete_expired(&room));
            // They are not there for anybody. Their bytes count until a later request deletes them.
            if let Err(error) = deleted.await {
                tracing::warn!(tenant = %pass.tenant(), %error, "what has expired was not deleted");
            }
        }
        let own = pass.policy().limits.stored_bytes;
        let most = own.unwrap_or(self.registry.limits.room_bytes);
        Ok(Room {
            documents: Arc::new(RoomDocuments(state.clone(), most)),
            document_jobs: Arc::new(RoomDocumentJobs::new(
                state.clone(),
                most,
                self.registry.control.clone(),
            )),
            sql: Arc::new(RoomSql::new(state.clone(), most)),
            kv: Arc::new(RoomKv::new(state.clone(), most, &self.registry.limits)),
            settings: Arc::new(RoomSettings(state.clone())),
            plugins: Arc::new(RoomPlugins(state.clone(), most, self.registry.control.clone())),
            adapters: Arc::new(RoomAdapters(state.clone(), most)),
            files: Arc::new(RoomFiles(state.clone(), most)),
            uploads: Arc::new(RoomUploads(state.clone(), most)),
            vector_stores: Arc::new(RoomVectorStores(state.clone(), most)),
            responses: Arc::new(RoomResponses(state.clone())),
            storage: state.storage(most),
            idempotency: Arc::new(RoomIdempotencyStore(state)),
        })
    }

    fn check_change(&self, pass: &TenantPass) -> Result<()> {
        match self.registry.leaving.read().contains(pass.tenant()) {
            true => Err(sqlite::sealed()),
            false => Ok(()),
        }
    }

    async fn remove(&self, _operator: &OperatorPass, tenant: &TenantId) -> Result<()> {
        let (registry, tenant) = (self.registry.clone(), tenant.clone());
        run_blocking(move || registry.remove(&tenant)).await
    }

    async fn stored(&self) -> Result<Vec<StoredBytes>> {
        let registry = self.registry.clone();
        run_blocking(move || registry.stored()).await
    }

    async fn close_idle(&self, idle: Duration) -> Result<()> {
        let registry = self.registry.clone();
        run_blocking(move || {
            registry.close_some(Some(idle));
            Ok(())
        })
        .await
    }

    fn open_rooms(&self) -> u64 {
        self.registry.open_rooms()
    }

    fn open_room_bytes(&self) -> u64 {
        self.registry.open_room_bytes()
    }
}
