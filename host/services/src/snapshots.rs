//! Snapshots of rooms while the server runs: when a room is saved, and that those of deleted tenants go. Rooms are saved one at a time, so that
//! requests keep the disk and the network. Not here: how a room is copied (`store`), how a copy is kept (`objects`).

mod prefetched;

pub(crate) use prefetched::{PrefetchedRoom, PrefetchedRooms};

use crate::Services;
use parking_lot::Mutex;
use riad_core::{
    Error, ErrorKind, OperatorPass, Result, RoomId, SnapshotId, TenantId, Timestamp,
    moving::MovedRoom,
    ports::{RoomCopies, SaveOutcome, SnapshotStore, UnsavedRoom},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{sync::Notify, time::sleep};

/// Between two looks at what has changed, if the interval is not short.
const TICK: Duration = Duration::from_secs(60);
const SHORTEST_TICK: Duration = Duration::from_secs(1);
/// Looks in an interval: a room is saved later than it should be by such a part of it.
const LOOKS: u32 = 4;

/// Where rooms are saved, and how soon.
pub struct SnapshotDependencies {
    pub copies: Arc<dyn RoomCopies>,
    pub store: Arc<dyn SnapshotStore>,
    /// How old a change gets before it is saved. `None`: only the operator's commands save rooms.
    pub interval: Option<Duration>,
}

/// The rooms of this server as the object store has them.
pub(crate) struct RoomSnapshots {
    parts: SnapshotDependencies,
    one: tokio::sync::Mutex<()>,
    /// The room that is being saved, and what ends that.
    current: Mutex<Option<(RoomId, Arc<Notify>)>>,
    /// When each room's oldest change that is not saved was found.
    unsaved: Mutex<HashMap<RoomId, Timestamp>>,
    pub(crate) prefetched: PrefetchedRooms,
}

/// What becomes of older snapshots when a room is saved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Older {
    Pruned,
    /// While changes of the room are refused, nothing is done that can wait.
    Kept,
}

/// Which rooms a round saves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Those that have waited long enough, and those that were closed.
    Now,
    All,
}

/// Saves rooms until it is dropped.
pub async fn run(services: Services) {
    let Some(snapshots) = services.0.snapshots.as_ref() else {
        return;
    };
    let tick = match snapshots.parts.interval {
        Some(interval) => (interval / LOOKS).clamp(SHORTEST_TICK, TICK),
        None => TICK,
    };
    loop {
        snapshots.round(Due::Now).await;
        sleep(tick).await;
    }
}

/// Saves what has changed before the server ends, as far as there is time for it.
pub async fn finish(services: &Services, patience: Duration) {
    if let Some(snapshots) = services.0.snapshots.as_ref()
        && tokio::time::timeout(patience, snapshots.round(Due::All)).await.is_err()
    {
        tracing::warn!("not all rooms were saved before the end; the next start saves the others");
    }
}

impl RoomSnapshots {
    pub(crate) fn new(parts: SnapshotDependencies) -> Self {
        Self {
            parts,
            one: tokio::sync::Mutex::default(),
            current: Mutex::default(),
            unsaved: Mutex::default(),
            prefetched: PrefetchedRooms::default(),
        }
    }

    /// How old the oldest change is that no snapshot has; `None` if rooms are not saved by themselves.
    pub(crate) fn unsaved_age(&self) -> Option<Duration> {
        self.parts.interval?;
        let oldest = self.unsaved.lock().values().min().copied();
        Some(oldest.map_or(Duration::ZERO, age))
    }

    /// Deletes the snapshots of deleted tenants. What fails stays to be done.
    pub(crate) async fn delete_due(&self) -> Result<()> {
        for room in self.parts.copies.deleted().await? {
            // Another one cannot begin: its tenant is gone.
            if self.end_saving(&room) {
                drop(self.one.lock().await);
            }
            self.parts.store.delete_room(&room).await?;
            self.parts.copies.record_deleted(&room).await?;
            self.unsaved.lock().remove(&room);
        }
        Ok(())
    }

    pub(crate) fn dependencies(&self) -> &SnapshotDependencies {
        &self.parts
    }

    /// Saves a room at once; `None` if its tenant has stored nothing yet.
    pub(crate) async fn save_now(
        &self,
        operator: &OperatorPass,
        tenant: &TenantId,
        older: Older,
    ) -> Result<Option<MovedRoom>> {
        let _one = self.one.lock().await;
        let Some(room) = self.parts.copies.find(operator, tenant).await? else {
            return Ok(None);
        };
        let saved = self.save_alone(&room, older).await?;
        let snapshot = saved.ok_or_else(|| Error::not_found(format!("the tenant \"{tenant}\" has been deleted")))?;
        Ok(Some(MovedRoom {
            room: room.owner.room,
            snapshot,
        }))
    }

    async fn round(&self, due: Due) {
        if let Err(error) = self.delete_due().await {
            tracing::error!(%error, "the snapshots of a deleted tenant were not deleted; the next round tries again");
        }
        let Some(interval) = self.parts.interval else { return };
        let rooms = match self.parts.copies.unsaved().await {
            Ok(rooms) => rooms,
            Err(error) => {
                tracing::error!(%error, "rooms were not looked at, and none is saved; the next round tries again");
                return;
            }
        };
        for room in self.note_changes(rooms, interval, due) {
            match self.save(&room).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::error!(%error, tenant = %room.owner.tenant, "a room was not saved; the next round tries again");
                    if error.kind() == ErrorKind::Unavailable {
                        // The store; all others would wait for it too.
                        return;
                    }
                }
            }
        }
    }

    /// Those that are to be saved, the oldest change first.
    fn note_changes(&self, rooms: Vec<UnsavedRoom>, interval: Duration, due: Due) -> Vec<UnsavedRoom> {
        let mut unsaved = self.unsaved.lock();
        let now = Timestamp::now();
        let mut changes = HashMap::new();
        let mut found = Vec::new();
        for room in rooms {
            let noted = unsaved.get(&room.owner.room).copied();
            let since = noted.unwrap_or(room.changed).min(now);
            changes.insert(room.owner.room.clone(), since);
            if due == Due::All || !room.is_open || age(since) >= interval {
                found.push((since, room));
            }
        }
        *unsaved = changes;
        found.sort_by_key(|(since, _)| *since);
        found.into_iter().map(|(_, room)| room).collect()
    }

    async fn save(&self, room: &UnsavedRoom) -> Result<()> {
        let _one = self.one.lock().await;
        self.save_alone(room, Older::Pruned).await.map(drop)
    }

    /// While `one` is held.
    async fn save_alone(&self, room: &UnsavedRoom, older: Older) -> Result<Option<SnapshotId>> {
        let ended = Arc::new(Notify::new());
        *self.current.lock() = Some((room.owner.room.clone(), Arc::clone(&ended)));
        let saved = self.save_until(room, &ended).await;
        *self.current.lock() = None;
        let Some(outcome) = saved? else { return Ok(None) };
        // The room is saved whatever becomes of older ones.
        if outcome.is_new
            && older == Older::Pruned
            && let Err(error) = self.parts.store.prune(&room.owner).await
        {
            tracing::warn!(%error, tenant = %room.owner.tenant, "older snapshots were not removed; the next one tries again");
        }
        Ok(Some(outcome.snapshot.id))
    }

    /// Without a result if the tenant is deleted meanwhile.
    async fn save_until(&self, room: &UnsavedRoom, ended: &Notify) -> Result<Option<SaveOutcome>> {
        let Some(copy) = self.parts.copies.copy(room).await? else {
            return Ok(None);
        };
        let outcome = tokio::select! {
            outcome = self.parts.store.save(&copy) => Some(outcome),
            () = ended.notified() => None,
        };
        // It removes files.
        drop(tokio::task::spawn_blocking(move || drop(copy)).await);
        let Some(outcome) = outcome else { return Ok(None) };
        let outcome = outcome?;
        self.parts.copies.record_saved(room).await?;
        self.unsaved.lock().remove(&room.owner.room);
        if outcome.is_new {
            tracing::info!(
                tenant = %room.owner.tenant,
                snapshot = %outcome.snapshot.id,
                bytes = outcome.snapshot.bytes,
                uploaded_bytes = outcome.uploaded_bytes,
                "saved a room"
            );
        }
        Ok(Some(outcome))
    }

    /// Whether the room is being saved; that ends soon.
    fn end_saving(&self, room: &RoomId) -> bool {
        match self.current.lock().as_ref() {
            Some((current, ended)) if current == room => {
                ended.notify_one();
                true
            }
            Some(_) | None => false,
        }
    }
}

fn age(since: Timestamp) -> Duration {
    Duration::from_millis(Timestamp::now().as_millis().saturating_sub(since.as_millis()))
}

#[cfg(test)]
#[path = "snapshots/tests.rs"]
mod tests;
