//! Moving tenants between cells, one side at a time: the old cell refuses changes and saves the room, the new one restores it and serves, the
//! old one closes the account. Every step can be repeated, so that whoever drives them (`riad cell move`) goes on after a crash.
//! Not here: the map of the cells and proxies, which that command changes in between.

use crate::{
    audit,
    shared::Shared,
    snapshots::{Older, PrefetchedRoom, RoomSnapshots},
    tenants,
};
use riad_core::{
    CellName, Error, ErrorKind, OperatorPass, Result, TenantId,
    moving::{ClosedAccount, Direction, Move, MovedRoom, MovedTenant},
    ports::{Cells, RoomRestore, StoredSnapshot},
    slot::Slot,
    snapshot::SnapshotOwner,
    tenant::Tenant,
};
use serde_json::json;
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// How long the end of a move waits for the tenant's requests that still run in the old cell.
const RUNNING_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// This server among the cells.
pub struct CellState {
    pub name: CellName,
    /// Those that the map gives it.
    pub slots: Vec<Slot>,
    /// Of tenants that go or come.
    pub moves: Vec<Move>,
}

pub struct MoveService(pub(crate) Arc<Shared>);

impl MoveService {
    /// # Errors
    /// `Conflict` if this server is no cell.
    pub async fn state(&self, _operator: &OperatorPass) -> Result<CellState> {
        let cells = self.cells()?;
        let slots = Slot::all().filter(|slot| cells.owner(*slot) == *cells.name());
        Ok(CellState {
            name: cells.name().clone(),
            slots: slots.collect(),
            moves: self.0.moves.all().await?,
        })
    }

    /// The first step, in the old cell: saves the room, refuses changes of it from then on, and saves what has changed meanwhile. Reads and
    /// chats go on.
    ///
    /// # Errors
    /// `NotFound` if there is no such tenant; `Conflict` if it moves elsewhere, has keys that no proxy can route, or if this server is no cell
    /// with an object store; `Misdirected` if another cell has it.
    pub async fn begin(&self, operator: &OperatorPass, id: &TenantId, to: &CellName) -> Result<MovedTenant> {
        let (cells, snapshots) = (self.cells()?, self.snapshots()?);
        let begun = self.0.moves.find(id).await?;
        if begun.is_none() {
            cells.check(Slot::of(id))?;
        }
        if to == cells.name() {
            return Err(Error::invalid(format!("this server is the cell \"{to}\"; name another one")).with_param("to"));
        }
        let moved = self.0.moves.export(operator, id).await?;
        check_keys(&moved)?;
        // Most of the room, while it can be changed: the second copy has little to send.
        snapshots.save_now(operator, id, Older::Pruned).await?;
        let entry = audit::by_operator(operator, Some(id), "tenant.move", id.as_str(), Some(&json!({"to": to})));
        self.0.moves.begin(operator, id, to, entry).await?;
        keep_slots(&self.0).await?;
        let room = snapshots.save_now(operator, id, Older::Kept).await?;
        // Again: keys may have been made or revoked, and money spent.
        let moved = self.0.moves.export(operator, id).await?;
        check_keys(&moved)?;
        Ok(MovedTenant { room, ..moved })
    }

    /// Before the first step, in the new cell, so that the second one is short: fetches the room as it was saved. One that is larger than
    /// `limits.room_bytes` is fetched when the tenant comes. Returns how many bytes were fetched.
    ///
    /// # Errors
    /// `Conflict` if there is such a tenant, or if this server is no cell with an object store; `NotFound` without that snapshot; `Busy` if the
    /// rooms of other tenants wait already.
    pub async fn prefetch(
        &self,
        operator: &OperatorPass,
        id: &TenantId,
        from: &CellName,
        saved: &MovedRoom,
    ) -> Result<u64> {
        let snapshots = self.snapshots()?;
        self.check_may_come(id).await?;
        snapshots.prefetched.check(id)?;
        let snapshot = self.open(id, saved).await?;
        let bytes = snapshot.parts().iter().map(|part| part.bytes).sum();
        if bytes > self.0.limits.room_bytes {
            return Ok(0);
        }
        self.0.moves.expect(operator, id, from).await?;
        let files = self.fetch(operator, id, (snapshot.as_ref(), None), bytes).await?;
        let saved = saved.clone();
        let room = PrefetchedRoom { saved, snapshot, files };
        snapshots.prefetched.keep(id, room)?;
        Ok(bytes)
    }

    /// The second step, in the new cell: restores the room, and serves the tenant from then on, whatever the map says.
    ///
    /// # Errors
    /// `Conflict` if there is such a tenant, no such plan, once the map gives this cell the tenant, or if this server is no cell with an object
    /// store; whatever restoring fails with.
    pub async fn receive(&self, operator: &OperatorPass, from: &CellName, moved: &MovedTenant) -> Result<Tenant> {
        self.snapshots()?;
        let id = &moved.id;
        self.check_may_come(id).await?;
        let plan = &moved.policy.plan;
        match self.0.plans.current(plan).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let said = format!("this cell has no plan \"{plan}\"; make it with PUT /operator/v1/plans/{plan}");
                return Err(Error::new(ErrorKind::Conflict, said));
            }
            found => drop(found?),
        }
        self.0.moves.expect(operator, id, from).await?;
        self.restore(operator, moved).await?;
        let detail = json!({"from": from});
        let entry = audit::by_operator(operator, Some(id), "tenant.receive", id.as_str(), Some(&detail));
        let tenant = self.0.moves.receive(operator, moved, entry).await?;
        self.0
            .metering
            .mark_moved(&tenant, &format!("moved_from_{from}"))
            .await?;
        keep_slots(&self.0).await?;
        Ok(tenant)
    }

    /// Gives a move up: in the old cell, whose tenant can be changed again, and in the new one, which forgets the tenant.
    ///
    /// # Errors
    /// `NotFound` if there is none; `Conflict` in the new cell once the map gives it the tenant, whose changes would be lost.
    pub async fn abort(&self, operator: &OperatorPass, id: &TenantId) -> Result<()> {
        let cells = self.cells()?;
        let is_own = cells.owner(Slot::of(id)) == *cells.name();
        let direction = self.0.moves.find(id).await?.map(|found| found.direction);
        if direction == Some(Direction::In) && is_own || direction == Some(Direction::Out) && !is_own {
            return Err(has_moved(id));
        }
        let entry = audit::by_operator(operator, Some(id), "tenant.move.abort", id.as_str(), None);
        self.0.moves.abort(operator, id, entry).await?;
        drop(self.0.snapshots.as_ref().map(|snapshots| snapshots.prefetched.take(id)));
        keep_slots(&self.0).await
    }

    /// Saves a tenant's room now. Returns `None` if it has stored nothing.
    ///
    /// # Errors
    /// `NotFound` if there is no such tenant; `Conflict` if the server has no object store.
    pub async fn save(&self, operator: &OperatorPass, id: &TenantId) -> Result<Option<MovedRoom>> {
        let snapshots = self.snapshots()?;
        self.0.tenant_store.get(operator, id).await?;
        snapshots.save_now(operator, id, Older::Pruned).await
    }

    /// The third step, in the old cell once the map gives the tenant to the new one: refuses the tenant's requests, waits for those that run, ends
    /// its ledger, and removes its room and snapshots.
    ///
    /// # Errors
    /// `NotFound` if the tenant neither moves nor has moved; `Conflict` while the map gives it to this cell; `Busy` if requests run for too long.
    pub async fn leave(&self, operator: &OperatorPass, id: &TenantId) -> Result<ClosedAccount> {
        let cells = self.cells()?;
        let found = self.0.moves.find(id).await?;
        if found.as_ref().is_none_or(|found| found.direction != Direction::Out) {
            let closed = self.0.moves.closed(operator, id).await?;
            let closed = closed.ok_or_else(|| not_moving(id))?;
            self.remove(operator, id).await?;
            return Ok(closed);
        }
        let slot = Slot::of(id);
        if cells.owner(slot) == *cells.name() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("the map still gives slot {slot} to this cell; write the map first (riad cell move does)"),
            ));
        }
        let tenant = self.0.tenant_store.get(operator, id).await?;
        self.0.left_slots.lock().await.insert(slot);
        keep_slots(&self.0).await?;
        self.wait_for_requests(&tenant).await?;
        let to = found.map(|found| found.cell.to_string()).unwrap_or_default();
        let head = self.0.metering.mark_moved(&tenant, &format!("moved_to_{to}")).await?;
        let closed = ClosedAccount {
            number: head.number,
            receipt: head
                .receipt
                .ok_or_else(|| Error::internal("an entry without a receipt"))?,
            spent: self.0.moves.spent(operator, &tenant).await?,
        };
        self.0.moves.close(operator, id, &closed).await?;
        self.remove(operator, id).await?;
        Ok(closed)
    }

    /// The last step, in the new cell: takes over what was spent in the old one until its end.
    ///
    /// # Errors
    /// `NotFound` if there is no such tenant.
    pub async fn finish(&self, operator: &OperatorPass, id: &TenantId, closed: &ClosedAccount) -> Result<()> {
        let tenant = self.0.tenant_store.get(operator, id).await?;
        let detail = json!({"closed_number": closed.number, "closed_receipt": closed.receipt});
        let entry = audit::by_operator(operator, Some(id), "tenant.move.finish", id.as_str(), Some(&detail));
        let more = self.0.moves.finish(operator, &tenant, &closed.spent, entry).await?;
        if let Some(more) = more {
            self.0.metering.add_spent(&tenant, &more).await?;
        }
        keep_slots(&self.0).await
    }

    /// Once the map gives it to this cell, it may have changed here.
    async fn check_may_come(&self, id: &TenantId) -> Result<()> {
        let cells = self.cells()?;
        match cells.owner(Slot::of(id)) == *cells.name() && self.0.moves.find(id).await?.is_some() {
            true => Err(has_moved(id)),
            false => Ok(()),
        }
    }

    async fn restore(&self, operator: &OperatorPass, moved: &MovedTenant) -> Result<()> {
        let earlier = self.snapshots()?.prefetched.take(&moved.id);
        let Some(saved) = &moved.room else { return Ok(()) };
        let earlier = earlier.filter(|earlier| earlier.saved.room == saved.room);
        let snapshot = self.open(&moved.id, saved).await?;
        let own = moved.policy.limits.stored_bytes.unwrap_or(0);
        let most = own.max(self.0.limits.room_bytes);
        let of = (snapshot.as_ref(), earlier.as_ref());
        let files = self.fetch(operator, &moved.id, of, most).await?;
        // It removes files.
        drop(tokio::task::spawn_blocking(move || drop(earlier)).await);
        files.finish().await
    }

    async fn open(&self, id: &TenantId, saved: &MovedRoom) -> Result<Box<dyn StoredSnapshot>> {
        let owner = SnapshotOwner {
            room: saved.room.clone(),
            tenant: id.clone(),
        };
        self.snapshots()?
            .dependencies()
            .store
            .open(&owner, &saved.snapshot)
            .await
    }

    /// All files of a room beside its place, with what an earlier snapshot of it had.
    async fn fetch(
        &self,
        operator: &OperatorPass,
        id: &TenantId,
        (snapshot, earlier): (&dyn StoredSnapshot, Option<&PrefetchedRoom>),
        most: u64,
    ) -> Result<Box<dyn RoomRestore>> {
        let parts = snapshot.parts();
        let copies = &self.snapshots()?.dependencies().copies;
        let mut files = copies.begin_restore(operator, id, &parts, most).await?;
        for part in &parts {
            let place = files.create(&part.name).await?;
            let earlier = earlier.and_then(|earlier| earlier.file(&part.name));
            snapshot.write(&part.name, place, earlier).await?;
        }
        Ok(files)
    }

    /// Of the tenant that has moved; nothing if it is gone.
    async fn remove(&self, operator: &OperatorPass, id: &TenantId) -> Result<()> {
        let removed = tenants::remove(&self.0, operator, id, "tenant.leave").await;
        match removed {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => removed?,
        }
        keep_slots(&self.0).await
    }

    async fn wait_for_requests(&self, tenant: &Tenant) -> Result<()> {
        let begun = Instant::now();
        // Twice: between its admission and its meter a request is not counted.
        let mut idle = 0;
        while idle < 2 {
            if begun.elapsed() > RUNNING_MAX {
                return Err(Error::new(
                    ErrorKind::Busy,
                    format!(
                        "requests of the tenant \"{}\" still run in this cell; send the request again when they have ended",
                        tenant.id
                    ),
                )
                .with_retry_after(Duration::from_secs(5)));
            }
            sleep(LOOK_EVERY).await;
            idle = match self.0.metering.is_idle(tenant.account) {
                true => idle + 1,
                false => 0,
            };
        }
        Ok(())
    }

    fn cells(&self) -> Result<&dyn Cells> {
        self.0.cells.as_deref().ok_or_else(|| {
            Error::new(
                ErrorKind::Conflict,
                "this server is no cell; set cell.name and cell.map, and start it again",
            )
        })
    }

    fn snapshots(&self) -> Result<&RoomSnapshots> {
        self.0.snapshots.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::Conflict,
                "this server has no object store; set objects.url to that of the other cell, and start it again",
            )
        })
    }
}

/// Serves the tenants that go or come, whatever the map says, but those whose move out is at its end.
pub(crate) async fn keep_slots(shared: &Shared) -> Result<()> {
    let Some(cells) = &shared.cells else { return Ok(()) };
    // Held until the cells know: another call would have read less.
    let mut left = shared.left_slots.lock().await;
    let moves = shared.moves.all().await?;
    let going = moves.iter().filter(|found| found.direction == Direction::Out);
    let going: HashSet<Slot> = going.map(|found| Slot::of(&found.tenant)).collect();
    left.retain(|slot| going.contains(slot));
    let kept = moves
        .iter()
        .map(|found| (Slot::of(&found.tenant), found.direction))
        .filter(|(slot, direction)| *direction == Direction::In || !left.contains(slot));
    cells.keep(kept.map(|(slot, _)| slot).collect());
    Ok(())
}

/// A key of a former version goes to the default cell, where a proxy sends what says no slot.
fn check_keys(moved: &MovedTenant) -> Result<()> {
    let prefix = Slot::of(&moved.id).key_prefix();
    match moved.keys.iter().find(|key| !key.prefix.starts_with(&prefix)) {
        None => Ok(()),
        Some(key) => Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "the key \"{}\" of the tenant \"{}\" does not say its slot, so that proxies cannot route it to another cell; rotate it first",
                key.id, moved.id
            ),
        )),
    }
}

fn has_moved(id: &TenantId) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "the map gives the tenant \"{id}\" to its new cell already, where it may have changed; end the move with riad cell move"
        ),
    )
}

fn not_moving(id: &TenantId) -> Error {
    Error::not_found(format!("the tenant \"{id}\" neither leaves this cell nor has left it"))
}
