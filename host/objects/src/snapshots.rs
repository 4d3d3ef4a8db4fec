//! The snapshots of all rooms: the port, and what the operator asks.

use crate::{
    errors::{self, damaged},
    keys::{MasterKey, TenantKey},
    location::Location,
    pruning,
    restoring::OpenSnapshot,
    room_objects::RoomObjects,
    saving::Saving,
};
use async_trait::async_trait;
use object_store::{ObjectStore, path::Path};
use riad_core::{
    Error, ErrorKind, Result, RoomId, Secret, SnapshotId, TenantId,
    ports::{RoomCopy, SaveOutcome, SnapshotStore, StoredSnapshot},
    snapshot::{Snapshot, SnapshotOwner},
};
use std::{ffi::OsString, sync::Arc};

/// The object that says with which key a store was begun.
const MARK: &str = "riad";

pub struct ObjectsConfig {
    /// As in `s3://bucket/prefix`.
    pub url: String,
    /// 32 bytes in base64, which encrypt the tenants' keys.
    pub key: Secret<String>,
    /// Snapshots of a room that are kept.
    pub keep: usize,
}

/// An object store with snapshots.
#[derive(Clone)]
pub struct Snapshots {
    location: Location,
    master: Arc<MasterKey>,
    keep: usize,
}

/// The snapshots of one room, which may be another server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSnapshots {
    pub room: RoomId,
    pub tenant: TenantId,
    /// The oldest first.
    pub snapshots: Vec<SnapshotId>,
}

impl Snapshots {
    /// No request is made yet. `environment` has the credentials.
    ///
    /// # Errors
    /// `InvalidRequest` names what cannot be used: the URL, the key or a credential.
    pub fn open(config: &ObjectsConfig, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self> {
        Ok(Self {
            location: Location::open(&config.url, environment)?,
            master: Arc::new(MasterKey::parse(&config.key)?),
            keep: config.keep,
        })
    }

    /// Whether the store can be used with this key. The first time, it leaves a mark by which another key is known.
    ///
    /// # Errors
    /// `InvalidRequest` if it was begun with another key, or if it refuses the credentials or the place; `Unavailable` if it does not answer.
    pub async fn check(&self) -> Result<()> {
        let path = self.location.root.clone().join(MARK);
        for _ in 0..2 {
            let mark = self.location.try_get(&path).await;
            if let Some(mark) = mark.map_err(|error| self.refusal(&format!("read {path}"), &error))? {
                return match self.master.opens_mark(&mark) {
                    true => Ok(()),
                    false => Err(Error::invalid(format!(
                        "RIAD_SNAPSHOT_KEY is not the key that the snapshots in {} were begun with; set that one, or another objects.url",
                        self.location.url
                    ))),
                };
            }
            let created = self.location.create(&path, self.master.seal_mark()?).await;
            if created.map_err(|error| self.refusal(&format!("write {path}"), &error))? {
                return Ok(());
            }
            // Another server began at the same time.
        }
        Err(damaged(format!(
            "the object {path} in {} comes and goes",
            self.location.url
        )))
    }

    /// What is configured wrongly is another error than a store that is away.
    fn refusal(&self, doing: &str, error: &object_store::Error) -> Error {
        let told = errors::unavailable(&self.location.url, doing, error);
        match errors::is_refusal(error) {
            true => Error::invalid(told.message()).with_param("objects.url"),
            false => told,
        }
    }

    /// All rooms that have snapshots, of this server and of others.
    ///
    /// # Errors
    /// `Conflict` if a tenant's key is damaged; `Unavailable` if the store does not answer.
    pub async fn rooms(&self) -> Result<Vec<RoomSnapshots>> {
        let below = self.location.rooms();
        let listed = self.location.store.list_with_delimiter(Some(&below)).await;
        let listed =
            listed.map_err(|error| errors::unavailable(&self.location.url, &format!("list {below}"), &error))?;
        let mut rooms = Vec::new();
        for room in listed.common_prefixes.iter().filter_map(Path::filename) {
            let Ok(room) = room.parse::<RoomId>() else { continue };
            let objects = RoomObjects::new(&self.location, &room);
            let Some(key) = objects.open_key(&self.master).await? else {
                continue;
            };
            rooms.push(RoomSnapshots {
                room,
                tenant: key.owner().tenant.clone(),
                snapshots: objects.snapshots().await?,
            });
        }
        Ok(rooms)
    }

    /// The snapshots of a room, the oldest first.
    ///
    /// # Errors
    /// `Conflict` if one is damaged; `Unavailable` if the store does not answer.
    pub async fn list(&self, owner: &SnapshotOwner) -> Result<Vec<Snapshot>> {
        let Some((objects, key)) = self.open_room(owner).await? else {
            return Ok(Vec::new());
        };
        let mut snapshots = Vec::new();
        for id in objects.snapshots().await? {
            // One may have been removed meanwhile.
            if let Some(manifest) = objects.manifest(&key, &id).await? {
                snapshots.push(manifest.describe(id));
            }
        }
        Ok(snapshots)
    }

    /// A snapshot of a room, the newest if none is named.
    ///
    /// # Errors
    /// `NotFound` if there is none; `Conflict` if it is damaged or another tenant's; `Unavailable` if the store does not answer.
    pub async fn open_snapshot(&self, owner: &SnapshotOwner, id: Option<&SnapshotId>) -> Result<OpenSnapshot> {
        let none = || {
            let what = match id {
                Some(id) => format!("no snapshot {id}"),
                None => "no snapshot".to_owned(),
            };
            Error::not_found(format!(
                "the room {} of the tenant \"{}\" has {what} in {}; riad room snapshots lists what is there",
                owner.room, owner.tenant, self.location.url
            ))
        };
        let (objects, key) = self.open_room(owner).await?.ok_or_else(none)?;
        let id = match id {
            Some(id) => id.clone(),
            None => objects.snapshots().await?.pop().ok_or_else(none)?,
        };
        let manifest = objects.manifest(&key, &id).await?.ok_or_else(none)?;
        Ok(OpenSnapshot::new(id, manifest, objects, key))
    }

    /// As [`SnapshotStore::save`]; sends also what is there already, which may be damaged.
    ///
    /// # Errors
    /// As there.
    pub async fn save_whole(&self, copy: &RoomCopy) -> Result<SaveOutcome> {
        self.save_room(copy, true).await
    }

    async fn save_room(&self, copy: &RoomCopy, is_whole: bool) -> Result<SaveOutcome> {
        let objects = RoomObjects::new(&self.location, &copy.owner.room);
        let key = objects.open_or_make_key(&self.master, &copy.owner).await?;
        check_owner(&key, &copy.owner)?;
        let saving = Saving { objects, key, is_whole };
        saving.save(copy).await
    }

    async fn open_room(&self, owner: &SnapshotOwner) -> Result<Option<(RoomObjects, Arc<TenantKey>)>> {
        let objects = RoomObjects::new(&self.location, &owner.room);
        let Some(key) = objects.open_key(&self.master).await? else {
            return Ok(None);
        };
        check_owner(&key, owner)?;
        Ok(Some((objects, key)))
    }
}

#[async_trait]
impl SnapshotStore for Snapshots {
    async fn save(&self, copy: &RoomCopy) -> Result<SaveOutcome> {
        self.save_room(copy, false).await
    }

    async fn prune(&self, owner: &SnapshotOwner) -> Result<()> {
        match self.open_room(owner).await? {
            Some((objects, key)) => pruning::prune(&objects, &key, self.keep).await,
            None => Ok(()),
        }
    }

    async fn open(&self, owner: &SnapshotOwner, id: &SnapshotId) -> Result<Box<dyn StoredSnapshot>> {
        Ok(Box::new(self.open_snapshot(owner, Some(id)).await?))
    }

    async fn delete_room(&self, room: &RoomId) -> Result<()> {
        RoomObjects::new(&self.location, room).delete_all().await
    }
}

fn check_owner(key: &TenantKey, owner: &SnapshotOwner) -> Result<()> {
    match key.owner().tenant == owner.tenant {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "the snapshots of the room {} are of another tenant than \"{}\"",
                owner.room, owner.tenant
            ),
        )),
    }
}
