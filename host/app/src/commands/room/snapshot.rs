//! `riad room snapshot`, `snapshots` and `restore`, without a server.

use super::blocking;
use crate::{
    cli::SnapshotPlace,
    commands::date,
    config::{self, Config, Overrides, Secrets},
    output::{Output, note, table},
};
use riad_core::{
    Error, ErrorKind, Limits, Result, RoomId, SnapshotId, TenantId,
    ports::{SaveOutcome, SnapshotStore, StoredSnapshot},
    snapshot::{Snapshot, SnapshotOwner},
};
use riad_objects::Snapshots;
use riad_store::{OfflineRoom, RoomReport, snapshot_owner, tenants_with_rooms};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The data folder and the object store that a command is about.
struct Place {
    data: PathBuf,
    snapshots: Snapshots,
    limits: Limits,
}

impl Place {
    async fn open(place: &SnapshotPlace) -> Result<Self> {
        let overrides = Overrides::default().set("server.data", "--data", place.data.as_ref());
        let config = Config::load(place.config.as_deref(), std::env::vars_os(), &overrides)?;
        let secrets = Secrets::read(std::env::vars_os())?;
        let snapshots =
            config::objects(&config.objects, &secrets, std::env::vars_os())?.ok_or_else(config::no_objects)?;
        snapshots.check().await?;
        Ok(Self {
            data: config.server.data,
            snapshots,
            limits: config.limits,
        })
    }

    /// No server can start with the data folder as long as this lives.
    async fn room(&self, tenant: &TenantId) -> Result<OfflineRoom> {
        let (data, tenant) = (self.data.clone(), tenant.clone());
        blocking(move || OfflineRoom::open(&data, &tenant)).await
    }

    async fn save(&self, tenant: &TenantId, whole: bool) -> Result<SaveOutcome> {
        let room = self.room(tenant).await?;
        // The room stays locked until the copy is sent: a server that started meanwhile would save it too.
        let (room, copy) = blocking(move || {
            let (_, copy) = room.copy()?;
            Ok((room, copy))
        })
        .await?;
        let outcome = match whole {
            true => self.snapshots.save_whole(&copy).await,
            false => self.snapshots.save(&copy).await,
        };
        if outcome.as_ref().is_ok_and(|outcome| outcome.is_new)
            && let Err(error) = self.snapshots.prune(&copy.owner).await
        {
            note(&format!(
                "{tenant}: older snapshots were not removed; the next one tries again: {error}"
            ));
        }
        blocking(move || {
            drop(copy);
            drop(room);
            Ok(())
        })
        .await?;
        outcome
    }
}

/// One room, or every one of the data folder.
pub async fn save(place: &SnapshotPlace, tenant: Option<TenantId>, whole: bool) -> Result<()> {
    let opened = Place::open(place).await?;
    let is_all = tenant.is_none();
    let tenants = match tenant {
        Some(tenant) => vec![tenant],
        None => {
            let data = opened.data.clone();
            blocking(move || tenants_with_rooms(&data)).await?
        }
    };
    let (mut saved, mut failed) = (Vec::new(), 0);
    for tenant in tenants {
        match opened.save(&tenant, whole).await {
            Ok(outcome) => saved.push((tenant, outcome)),
            // The others' rooms do not wait for one that is damaged, but for a store that is away.
            Err(error) if is_all && error.kind() != ErrorKind::Unavailable => {
                note(&format!("{tenant}: {}", error.message()));
                failed += 1;
            }
            Err(error) => return Err(error),
        }
    }
    let rows = |(tenant, outcome): &(TenantId, SaveOutcome)| {
        let change = match outcome.is_new {
            true => format!("{} bytes sent", outcome.uploaded_bytes),
            false => "unchanged since then".to_owned(),
        };
        vec![
            tenant.to_string(),
            outcome.snapshot.id.to_string(),
            date(outcome.snapshot.created),
            change,
        ]
    };
    let json = json!({
        "object": "list",
        "data": saved.iter().map(|(tenant, outcome)| {
            let Snapshot { id, created, bytes, files } = &outcome.snapshot;
            json!({
                "object": "room.snapshot",
                "id": id.as_str(),
                "created": created.as_seconds(),
                "bytes": bytes,
                "files": files,
                "tenant": tenant.as_str(),
                "new": outcome.is_new,
                "uploaded_bytes": outcome.uploaded_bytes,
            })
        }).collect::<Vec<_>>(),
    });
    Output::new(place.json).show_json(&json, || {
        let rows: Vec<_> = saved.iter().map(rows).collect();
        table::render(&["tenant", "snapshot", "time", "change"], &rows)
    });
    match failed {
        0 => Ok(()),
        failed => Err(Error::new(
            ErrorKind::Conflict,
            format!("{failed} rooms were not saved, for the reasons above; all others were"),
        )),
    }
}

/// The snapshots of a tenant's room, or all rooms of the object store.
pub async fn list(place: &SnapshotPlace, tenant: Option<TenantId>) -> Result<()> {
    let opened = Place::open(place).await?;
    let Some(tenant) = tenant else {
        return list_rooms(place, &opened.snapshots).await;
    };
    // Also beside a server.
    let data = opened.data.clone();
    let owner = blocking(move || snapshot_owner(&data, &tenant)).await?;
    let snapshots = opened.snapshots.list(&owner).await?;
    let json = json!({"object": "list", "data": snapshots.iter().map(to_json).collect::<Vec<_>>()});
    Output::new(place.json).show_json(&json, || {
        let row = |snapshot: &Snapshot| {
            vec![
                snapshot.id.to_string(),
                date(snapshot.created),
                snapshot.bytes.to_string(),
                snapshot.files.to_string(),
            ]
        };
        let rows: Vec<_> = snapshots.iter().rev().map(row).collect();
        table::render(&["snapshot", "time", "bytes", "files"], &rows)
    });
    Ok(())
}

async fn list_rooms(place: &SnapshotPlace, snapshots: &Snapshots) -> Result<()> {
    let rooms = snapshots.rooms().await?;
    let json = json!({
        "object": "list",
        "data": rooms.iter().map(|room| json!({
            "object": "room",
            "id": room.room.as_str(),
            "tenant": room.tenant.as_str(),
            "snapshots": room.snapshots.iter().map(SnapshotId::as_str).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    });
    Output::new(place.json).show_json(&json, || {
        let rows: Vec<_> = rooms
            .iter()
            .map(|room| {
                let newest = room.snapshots.last().map(ToString::to_string).unwrap_or_default();
                vec![
                    room.tenant.to_string(),
                    room.room.to_string(),
                    room.snapshots.len().to_string(),
                    newest,
                ]
            })
            .collect();
        table::render(&["tenant", "room", "snapshots", "newest"], &rows)
    });
    Ok(())
}

/// Returns what is in the room then.
pub async fn restore(
    place: &SnapshotPlace,
    tenant: &TenantId,
    id: Option<&SnapshotId>,
    saved_room: Option<RoomId>,
    most: Option<u64>,
) -> Result<RoomReport> {
    let opened = Place::open(place).await?;
    let room = opened.room(tenant).await?;
    let owner = match saved_room {
        Some(room) => SnapshotOwner {
            room,
            tenant: tenant.clone(),
        },
        None => room.owner()?,
    };
    let snapshot = opened.snapshots.open_snapshot(&owner, id).await?;
    let (parts, most) = (snapshot.parts(), most.unwrap_or(opened.limits.room_bytes));
    let names: Vec<String> = parts.iter().map(|part| part.name.clone()).collect();
    let mut restore = blocking(move || room.begin_restore(&parts, most)).await?;
    for name in names {
        let (begun, part) = (restore, name.clone());
        let file;
        (restore, file) = blocking(move || {
            let file = begun.create(&part)?;
            Ok((begun, file))
        })
        .await?;
        snapshot.write(&name, file, None).await?;
    }
    blocking(move || restore.finish()).await
}

fn to_json(snapshot: &Snapshot) -> Value {
    json!({
        "object": "room.snapshot",
        "id": snapshot.id.as_str(),
        "created": snapshot.created.as_seconds(),
        "bytes": snapshot.bytes,
        "files": snapshot.files,
    })
}
