//! `riad cell move` and `abort`: asks the two cells for one step after the other, and changes the map in between. The cells remember how far they
//! are, so that the same command goes on after anything.

use crate::{
    cli::{MapPlace, MoveOptions, OperatorKey},
    client::Client,
    output::{Output, line, note},
};
use riad_api_types::{
    moves::{
        AbortedMove, ArrivingTenant, Cell, ComingRoom, EndedMove, LeavingTenant, MoveEnd, NewMove, PrefetchedRoom,
        SavedRoom,
    },
    tenants::{Tenant, TenantList},
};
use riad_cells::{CellMap, SlotRange, read_map, write_map};
use riad_core::{
    CellName, Error, ErrorKind, Result, TenantId,
    moving::{ClosedAccount, Direction},
    slot::Slot,
};
use serde_json::json;
use std::{
    process::Command,
    time::{Duration, Instant},
};

/// Servers look every few seconds whether the map has changed. One that reads another file than ours never does.
const MAP_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Where a slot goes from and to.
struct Route {
    slot: Slot,
    from: CellName,
    to: CellName,
    from_client: Client,
    to_client: Client,
}

/// # Errors
/// Whatever a cell answers, with what to do then. The same command again goes on where this one has stopped.
pub async fn move_slot(options: &MoveOptions) -> Result<()> {
    let map = read_map(&options.map.file)?;
    let slot = Slot::of(&options.tenant);
    let Some(route) = Route::find(&map, slot, options).await? else {
        line(&format!(
            "The cell {} has slot {slot}, with the tenant {}, already.",
            options.to, options.tenant
        ));
        return Ok(());
    };
    let begun = Instant::now();
    let tenants = match map.owner(slot).name == route.to {
        true => route.arrived().await?,
        false => route.copy(map, options).await?,
    };
    if let Some(command) = &options.proxies {
        run_proxies(command)?;
    }
    let refused = begun.elapsed();
    route.wait_for_map().await?;
    let mut closed = Vec::new();
    for tenant in &tenants {
        closed.push(route.finish(tenant).await?);
    }
    let json = json!({
        "object": "cell.moved",
        "slot": slot.number(),
        "from": route.from,
        "to": route.to,
        "tenants": tenants.iter().zip(&closed).map(|(tenant, closed)| json!({
            "tenant": tenant,
            "closed_number": closed.number,
            "closed_receipt": closed.receipt,
        })).collect::<Vec<_>>(),
    });
    let ids: Vec<_> = tenants.iter().map(ToString::to_string).collect();
    Output::new(options.json).show_json(&json, || {
        format!(
            "Moved {} (slot {slot}) from the cell {} to {}. Changes were refused for at most {:.1} s.",
            ids.join(", "),
            route.from,
            route.to,
            refused.as_secs_f64()
        )
    });
    if options.proxies.is_none() {
        note(
            "Requests through proxies that do not know the new map get 421 now. Write their configuration again: riad cell routes --for …",
        );
    }
    Ok(())
}

/// # Errors
/// `Conflict` once the map says that the tenant has moved.
pub async fn abort(map: &MapPlace, tenant: &TenantId, key: &OperatorKey) -> Result<()> {
    let map = read_map(&map.file)?;
    let mut found = false;
    // The new cell first: as long as the old one refuses changes, nothing is lost.
    let mut sides = Vec::new();
    for cell in map.cells() {
        let client = Client::new(&cell.url.to_string(), key.get()?)?;
        let state: Cell = client.get("/operator/v1/cell").await?.body;
        let side = state.moves.iter().find(|moving| moving.tenant == tenant.as_str());
        sides.extend(side.map(|moving| (moving.direction, client.clone())));
    }
    sides.sort_by_key(|(direction, _)| match direction {
        Direction::In => 0,
        Direction::Out => 1,
    });
    for (_, client) in sides {
        client
            .delete::<AbortedMove>(&format!("/operator/v1/tenants/{tenant}/move"))
            .await?;
        found = true;
    }
    match found {
        true => {
            line(&format!("The tenant {tenant} stays where it is."));
            Ok(())
        }
        false => Err(Error::not_found(format!(
            "no cell of the map moves the tenant \"{tenant}\""
        ))),
    }
}

impl Route {
    /// `None` if nothing is to be done.
    async fn find(map: &CellMap, slot: Slot, options: &MoveOptions) -> Result<Option<Self>> {
        let key = options.key.get()?;
        let client = |name: &CellName| {
            let cell = map
                .cells()
                .find(|cell| cell.name == *name)
                .ok_or_else(|| Error::invalid(format!("{} has no cell \"{name}\"", options.map.file.display())))?;
            Client::new(&cell.url.to_string(), key.clone())
        };
        let to_client = client(&options.to)?;
        let there = state(&to_client, &options.to).await?;
        let owner = &map.owner(slot).name;
        let from = match *owner == options.to {
            false => owner.clone(),
            // Another attempt has changed the map and did not end.
            true => {
                let coming = there
                    .moves
                    .iter()
                    .find(|moving| moving.direction == Direction::In && slot_of(&moving.tenant) == Some(slot));
                match coming {
                    Some(moving) => moving.cell.parse()?,
                    None => return Ok(None),
                }
            }
        };
        let from_client = client(&from)?;
        state(&from_client, &from).await?;
        Ok(Some(Self {
            slot,
            from,
            to: options.to.clone(),
            from_client,
            to_client,
        }))
    }

    /// Copies all tenants of the slot, and writes the map.
    async fn copy(&self, mut map: CellMap, options: &MoveOptions) -> Result<Vec<TenantId>> {
        let list: TenantList = self.from_client.get("/operator/v1/tenants").await?.body;
        let mut tenants = Vec::new();
        for tenant in list.data {
            let tenant: TenantId = tenant.id.parse()?;
            if Slot::of(&tenant) == self.slot {
                tenants.push(tenant);
            }
        }
        if !tenants.contains(&options.tenant) {
            return Err(Error::not_found(format!(
                "the cell \"{}\" has slot {} and no tenant \"{}\"",
                self.from, self.slot, options.tenant
            )));
        }
        for tenant in &tenants {
            self.prefetch(tenant).await?;
        }
        for tenant in &tenants {
            let path = path_of(tenant);
            let to = NewMove { to: self.to.clone() };
            let leaving: LeavingTenant = self
                .from_client
                .post(&path, &to)
                .await
                .map_err(|error| self.stopped(error))?
                .body;
            let arriving = ArrivingTenant {
                from: self.from.clone(),
                tenant: leaving.tenant,
            };
            let _arrived: Tenant = self
                .to_client
                .put(&path, &arriving)
                .await
                .map_err(|error| self.stopped(error))?
                .body;
        }
        let slot: SlotRange = self.slot.to_string().parse()?;
        map.assign(&[slot], &self.to)?;
        write_map(&options.map.file, &map).map_err(|error| self.stopped(error))?;
        Ok(tenants)
    }

    /// Most of the room goes while it can still be changed.
    async fn prefetch(&self, tenant: &TenantId) -> Result<()> {
        let room: SavedRoom = self
            .from_client
            .post(&format!("/operator/v1/tenants/{tenant}/snapshot"), &json!({}))
            .await?
            .body;
        if let Some(saved) = room.saved {
            let from = self.from.clone();
            let path = format!("{}/prefetch", path_of(tenant));
            let _prefetched: PrefetchedRoom = self.to_client.post(&path, &ComingRoom { from, saved }).await?.body;
        }
        Ok(())
    }

    /// Those that an earlier attempt has copied.
    async fn arrived(&self) -> Result<Vec<TenantId>> {
        let there = state(&self.to_client, &self.to).await?;
        let coming = there
            .moves
            .into_iter()
            .filter(|moving| moving.direction == Direction::In);
        let tenants = coming.filter_map(|moving| moving.tenant.parse().ok());
        Ok(tenants.filter(|tenant| Slot::of(tenant) == self.slot).collect())
    }

    async fn wait_for_map(&self) -> Result<()> {
        let begun = Instant::now();
        for (name, client, has) in [
            (&self.to, &self.to_client, true),
            (&self.from, &self.from_client, false),
        ] {
            loop {
                let slots = state(client, name).await?.slots;
                let number = self.slot.number();
                if slots.iter().any(|(first, last)| (*first..=*last).contains(&number)) == has {
                    break;
                }
                if begun.elapsed() > MAP_MAX {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        format!(
                            "the cell \"{name}\" does not follow the map (cell.map): bring the file there, and run this command again. Both cells serve the tenant, \
                             and only \"{}\" takes changes",
                            self.to
                        ),
                    ));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    async fn finish(&self, tenant: &TenantId) -> Result<ClosedAccount> {
        // Before the old cell deletes its own.
        let _saved: SavedRoom = self
            .to_client
            .post(&format!("/operator/v1/tenants/{tenant}/snapshot"), &json!({}))
            .await?
            .body;
        let path = format!("{}/finish", path_of(tenant));
        let ended: EndedMove = self.from_client.post(&path, &MoveEnd { closed: None }).await?.body;
        let end = MoveEnd {
            closed: Some(ended.closed.clone()),
        };
        let _ended: EndedMove = self.to_client.post(&path, &end).await?.body;
        Ok(ended.closed)
    }

    /// An error before the map was written.
    fn stopped(&self, error: Error) -> Error {
        note(&format!(
            "The move has stopped, and the cell {} refuses changes of what was to move. The same command goes on; riad cell abort gives it up.",
            self.from
        ));
        error
    }
}

/// Of the server that must be the cell of this name.
async fn state(client: &Client, name: &CellName) -> Result<Cell> {
    let cell: Cell = client.get("/operator/v1/cell").await?.body;
    match cell.name == name.as_str() {
        true => Ok(cell),
        false => Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "{} is the cell \"{}\", and the map says that it is \"{name}\"",
                client.url(),
                cell.name
            ),
        )),
    }
}

fn run_proxies(command: &str) -> Result<()> {
    let status = Command::new("sh").args(["-c", command]).status();
    let status = status.map_err(|error| Error::invalid(format!("cannot run {command:?}: {error}")))?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "{command:?} failed ({status}), so that proxies may not follow the map. Both cells serve the tenant meanwhile, and only the new one takes changes; \
                 run the same command again"
            ),
        )),
    }
}

fn path_of(tenant: &TenantId) -> String {
    format!("/operator/v1/tenants/{tenant}/move")
}

fn slot_of(tenant: &str) -> Option<Slot> {
    tenant.parse().ok().map(|tenant: TenantId| Slot::of(&tenant))
}
