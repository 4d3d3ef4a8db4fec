//! Where a room's objects lie, and the few things that are done with objects.

use crate::{
    errors::{self, damaged},
    keys::{Damaged, Kind, MasterKey, TenantKey},
    location::Location,
    manifest::{MANIFEST_BYTES, Manifest},
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, path::Path};
use riad_core::{Result, RoomId, SnapshotId, snapshot::SnapshotOwner};
use std::{collections::HashMap, sync::Arc};

/// Of one room; every object of it is below one path.
#[derive(Clone)]
pub(crate) struct RoomObjects {
    location: Location,
    pub(crate) room: RoomId,
}

impl Location {
    /// `None` if there is no such object.
    pub(crate) async fn get(&self, path: &Path) -> Result<Option<Bytes>> {
        self.try_get(path)
            .await
            .map_err(|error| errors::unavailable(&self.url, &format!("read {path}"), &error))
    }

    /// As [`Self::get`].
    pub(crate) async fn try_get(&self, path: &Path) -> object_store::Result<Option<Bytes>> {
        let read = async { self.store.get(path).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn put(&self, path: &Path, bytes: Vec<u8>) -> Result<()> {
        let written = self.store.put(path, PutPayload::from(bytes)).await;
        written
            .map(drop)
            .map_err(|error| errors::unavailable(&self.url, &format!("write {path}"), &error))
    }

    /// `false` if there is an object of that name already.
    pub(crate) async fn create(&self, path: &Path, bytes: Vec<u8>) -> object_store::Result<bool> {
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(path, PutPayload::from(bytes), options).await {
            Ok(_) => Ok(true),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The names right below a path, and the bytes of each object.
    async fn list(&self, below: &Path) -> Result<HashMap<String, u64>> {
        let found = self.store.list(Some(below)).try_filter_map(|object| async move {
            let name = object.location.filename().map(str::to_owned);
            Ok(name.map(|name| (name, object.size)))
        });
        found
            .try_collect()
            .await
            .map_err(|error| errors::unavailable(&self.url, &format!("list {below}"), &error))
    }

    pub(crate) async fn delete(&self, paths: Vec<Path>) -> Result<()> {
        let mut deleted = self
            .store
            .delete_stream(stream::iter(paths.into_iter().map(Ok)).boxed());
        while let Some(outcome) = deleted.next().await {
            match outcome {
                Ok(_) | Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(errors::unavailable(&self.url, "delete objects", &error)),
            }
        }
        Ok(())
    }

    /// Below which each room has a folder.
    pub(crate) fn rooms(&self) -> Path {
        self.root.clone().join("rooms")
    }
}

impl RoomObjects {
    pub(crate) fn new(location: &Location, room: &RoomId) -> Self {
        Self {
            location: location.clone(),
            room: room.clone(),
        }
    }

    fn path(&self) -> Path {
        self.location.rooms().join(self.room.as_str())
    }

    fn block(&self, name: &str) -> Path {
        self.path().join("blocks").join(name)
    }

    fn snapshot(&self, id: &SnapshotId) -> Path {
        self.path().join("snapshots").join(id.as_str())
    }

    fn key(&self) -> Path {
        self.path().join("key")
    }

    /// `None` if the room has no objects.
    pub(crate) async fn open_key(&self, master: &MasterKey) -> Result<Option<Arc<TenantKey>>> {
        let Some(sealed) = self.location.get(&self.key()).await? else {
            return Ok(None);
        };
        match master.open(&self.room, &sealed) {
            Ok(key) => Ok(Some(Arc::new(key))),
            Err(Damaged) => Err(damaged(format!(
                "the key of the room {} is damaged, or another RIAD_SNAPSHOT_KEY has encrypted it",
                self.room
            ))),
        }
    }

    /// Makes it, if there is none yet.
    pub(crate) async fn open_or_make_key(&self, master: &MasterKey, owner: &SnapshotOwner) -> Result<Arc<TenantKey>> {
        if let Some(key) = self.open_key(master).await? {
            return Ok(key);
        }
        let (key, sealed) = master.make(owner)?;
        let created = self.location.create(&self.key(), sealed).await;
        match created.map_err(|error| errors::unavailable(&self.location.url, "write a tenant's key", &error))? {
            true => Ok(Arc::new(key)),
            // Never two keys: what the other one has encrypted would be lost.
            false => self
                .open_key(master)
                .await?
                .ok_or_else(|| damaged(format!("the key of the room {} comes and goes", self.room))),
        }
    }

    pub(crate) async fn put_block(&self, name: &str, sealed: Vec<u8>) -> Result<()> {
        self.location.put(&self.block(name), sealed).await
    }

    pub(crate) async fn get_block(&self, name: &str) -> Result<Option<Bytes>> {
        self.location.get(&self.block(name)).await
    }

    /// Their names, and the bytes of the objects.
    pub(crate) async fn blocks(&self) -> Result<HashMap<String, u64>> {
        self.location.list(&self.path().join("blocks")).await
    }

    pub(crate) async fn delete_blocks(&self, names: impl Iterator<Item = &String>) -> Result<()> {
        self.location.delete(names.map(|name| self.block(name)).collect()).await
    }

    /// The oldest first.
    pub(crate) async fn snapshots(&self) -> Result<Vec<SnapshotId>> {
        let names = self.location.list(&self.path().join("snapshots")).await?;
        let mut ids: Vec<SnapshotId> = names.into_keys().filter_map(|name| name.parse().ok()).collect();
        ids.sort();
        Ok(ids)
    }

    pub(crate) async fn delete_snapshots(&self, ids: &[SnapshotId]) -> Result<()> {
        self.location
            .delete(ids.iter().map(|id| self.snapshot(id)).collect())
            .await
    }

    pub(crate) async fn put_manifest(&self, key: &TenantKey, id: &SnapshotId, manifest: &Manifest) -> Result<()> {
        let text = serde_json::to_vec(manifest).map_err(riad_core::Error::internal)?;
        let sealed = key.seal(Kind::Snapshot, id.as_str(), &text)?;
        self.location.put(&self.snapshot(id), sealed).await
    }

    /// `None` if there is no such snapshot.
    pub(crate) async fn manifest(&self, key: &TenantKey, id: &SnapshotId) -> Result<Option<Manifest>> {
        let Some(sealed) = self.location.get(&self.snapshot(id)).await? else {
            return Ok(None);
        };
        let opened = match sealed.len() as u64 <= MANIFEST_BYTES {
            true => key.open(Kind::Snapshot, id.as_str(), &sealed),
            false => Err(Damaged),
        };
        match opened.and_then(|text| Manifest::parse(&text)) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(Damaged) => Err(damaged(format!(
                "the snapshot {id} is damaged, or a newer program wrote it"
            ))),
        }
    }

    /// First what makes all others readable.
    pub(crate) async fn delete_all(&self) -> Result<()> {
        self.location.delete(vec![self.key()]).await?;
        let below = self.path();
        let objects: Vec<Path> = self
            .location
            .store
            .list(Some(&below))
            .map_ok(|object| object.location)
            .try_collect()
            .await
            .map_err(|error| errors::unavailable(&self.location.url, &format!("list {below}"), &error))?;
        self.location.delete(objects).await
    }
}
