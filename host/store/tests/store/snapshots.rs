//! Rooms that are saved in an object store while they are served, and brought back. Not here: what a store keeps (`riad-objects`).

use crate::{
    host::{Host, add, query, titles},
    offline_room::{acme, answers, faults, filled},
};
use bytes::Bytes;
use riad_core::{
    AdapterAlias, Digest, ErrorKind, PluginVersion, Result, Secret,
    adapter::{AdapterFiles, AdapterInfo},
    plugin::Stage,
    ports::{Room, RoomCopies, RoomCopy, SnapshotStore, StoredSnapshot, UnsavedRoom},
    snapshot::SnapshotOwner,
};
use riad_objects::{ObjectsConfig, Snapshots};
use riad_store::{OfflineRoom, RoomReport, snapshot_owner, tenants_with_rooms};
use serde_json::{Map, json};
use std::{fs, path::Path, sync::Arc};
use tempfile::TempDir;

const MOST: u64 = 1 << 30;

fn object_store(folder: &TempDir) -> Snapshots {
    let config = ObjectsConfig {
        url: format!("file://{}", folder.path().display()),
        // 32 bytes.
        key: Secret::new("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=".into()),
        keep: 3,
    };
    Snapshots::open(&config, []).unwrap()
}

fn copies(host: &Host) -> Arc<dyn RoomCopies> {
    host.store.room_copies()
}

async fn unsaved(host: &Host) -> Vec<UnsavedRoom> {
    copies(host).unsaved().await.unwrap()
}

async fn copy(host: &Host) -> RoomCopy {
    let rooms = unsaved(host).await;
    let room = rooms.iter().find(|room| room.owner.tenant == acme()).unwrap();
    copies(host).copy(room).await.unwrap().unwrap()
}

async fn restore(data: &Path, snapshots: &Snapshots, owner: &SnapshotOwner) -> Result<RoomReport> {
    let room = OfflineRoom::open(data, &owner.tenant)?;
    let snapshot = snapshots.open_snapshot(owner, None).await?;
    let restore = room.begin_restore(&snapshot.parts(), MOST)?;
    for part in snapshot.parts() {
        snapshot.write(&part.name, restore.create(&part.name)?, None).await?;
    }
    restore.finish()
}

fn folders(data: &Path) -> usize {
    fs::read_dir(data.join("rooms")).unwrap().count()
}

fn alias() -> AdapterAlias {
    "tone".parse().unwrap()
}

fn plugin() -> PluginVersion {
    PluginVersion {
        name: "prices".parse().unwrap(),
        version: Digest::of(b"component"),
        stages: vec![Stage::Prompting],
        manifest: None,
        bytes: 9,
        created: 1,
    }
}

/// With what `filled` has not: an adapter, a plugin and settings.
async fn full(host: &Host) -> Room {
    let room = filled(host, "acme").await;
    let files = AdapterFiles {
        config: Bytes::from_static(b"{\"r\":8}"),
        weights: Bytes::from_static(b"weights"),
    };
    let info = AdapterInfo {
        rank: 8,
        bytes: 7,
        tensors: 4,
    };
    room.adapters.put(&alias(), &files, &info).await.unwrap();
    room.plugins
        .put(&plugin(), Bytes::from_static(b"component"))
        .await
        .unwrap();
    room.settings.put(&settings()).await.unwrap();
    room
}

fn settings() -> Map<String, serde_json::Value> {
    json!({"tone": "dry"}).as_object().unwrap().clone()
}

async fn assert_full(room: &Room, before: &serde_json::Value) {
    assert_eq!(answers(room).await, *before);
    let adapter = room.adapters.resolve(&alias()).await.unwrap();
    assert_eq!(
        fs::read(adapter.folder.join("adapter_model.safetensors")).unwrap(),
        b"weights"
    );
    let (found, component) = room.plugins.load(&plugin().name, &plugin().version).await.unwrap();
    assert_eq!((found, &component[..]), (plugin(), &b"component"[..]));
    assert_eq!(room.settings.get().await.unwrap(), settings());
}

#[tokio::test]
async fn a_served_room_is_saved_and_answers_the_same_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = object_store(&folder);
    let host = Host::new().await;
    let room = full(&host).await;
    let before = answers(&room).await;
    let copied = copy(&host).await;
    // What comes later is not in it, and what goes later is.
    add(&room, "later", "A sofa.", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    room.adapters.delete(&alias()).await.unwrap();
    assert_eq!(folders(host.data()), 2);
    let saved = snapshots.save(&copied).await.unwrap();
    assert!(saved.is_new);
    drop(copied);
    assert_eq!(folders(host.data()), 1, "nothing is left over");
    drop(room);

    let owner = snapshot_owner(host.data(), &acme()).unwrap();
    let other = Host::new().await;
    other.create_tenant("acme").await;
    other.store.close().await.unwrap();
    let report = restore(other.data(), &snapshots, &owner).await.unwrap();
    assert_eq!((report.documents, report.files), (27, 2));
    let again = restore(other.data(), &snapshots, &owner).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
    assert!(again.message().contains("something in it"), "{again}");
    assert_eq!(tenants_with_rooms(other.data()).unwrap(), [acme()]);
    let other = other.reopen_unclosed(|_| ()).await;
    let room = other.open(&other.pass("acme").await).await;
    assert_full(&room, &before).await;
    add(&room, "new", "A sofa.", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    assert_eq!(titles(&room, &query("sofa", &[])).await, ["new"]);
    // The other server's room has its own snapshots.
    assert_ne!(snapshot_owner(other.data(), &acme()).unwrap(), owner);
}

#[tokio::test]
async fn a_lost_room_is_restored_in_its_own_place() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = object_store(&folder);
    let host = Host::new().await;
    let room = full(&host).await;
    let before = answers(&room).await;
    drop(room);
    host.store.close().await.unwrap();
    let offline = OfflineRoom::open(host.data(), &acme()).unwrap();
    let (report, copied) = offline.copy().unwrap();
    assert_eq!(report.documents, 27);
    let index = host.room_folder("acme").join("index.usearch");
    let saved_index = fs::read(&index).unwrap();
    assert!(copied.files.iter().any(|file| file.name == "index.usearch"));
    snapshots.save(&copied).await.unwrap();
    drop(copied);
    let owner = offline.owner().unwrap();
    drop(offline);
    fs::remove_dir_all(host.room_folder("acme")).unwrap();
    restore(host.data(), &snapshots, &owner).await.unwrap();
    // Not built again; the check below compares it with the documents.
    assert_eq!(fs::read(&index).unwrap(), saved_index);
    let offline = OfflineRoom::open(host.data(), &acme()).unwrap();
    assert_eq!(faults(&offline.check().unwrap()), []);
    drop(offline);
    let host = host.reopen_unclosed(|_| ()).await;
    assert_full(&host.open(&host.pass("acme").await).await, &before).await;
    assert_eq!(snapshot_owner(host.data(), &acme()).unwrap(), owner);
}

#[tokio::test]
async fn a_small_change_sends_little() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = object_store(&folder);
    let host = Host::new().await;
    let room = host.room("acme").await;
    let text = "a long text about lamps ".repeat(2_000);
    for number in 0..60_u8 {
        let vector = [f32::from(number), 1.0, 0.0, 0.0];
        add(&room, &format!("lamp {number}"), &text, vector, json!({})).await;
    }
    let first = snapshots.save(&copy(&host).await).await.unwrap();
    let again = snapshots.save(&copy(&host).await).await.unwrap();
    assert_eq!((again.is_new, again.uploaded_bytes), (false, 0));
    add(&room, "one more", "A sofa.", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    let changed = snapshots.save(&copy(&host).await).await.unwrap();
    assert!(changed.is_new);
    assert!(
        changed.uploaded_bytes * 2 < first.uploaded_bytes,
        "{} of {}",
        changed.uploaded_bytes,
        first.uploaded_bytes
    );
}

#[tokio::test]
async fn a_room_is_unsaved_while_it_has_changed() {
    let host = Host::new().await;
    assert!(unsaved(&host).await.is_empty());
    let room = filled(&host, "acme").await;
    let found = unsaved(&host).await;
    assert_eq!((found.len(), found[0].is_open), (1, true));
    copies(&host).record_saved(&found[0]).await.unwrap();
    assert!(unsaved(&host).await.is_empty());
    // Reading is no change.
    answers(&room).await;
    assert!(unsaved(&host).await.is_empty());
    room.kv.set("key", b"other".to_vec(), 100_000).await.unwrap();
    let changed = unsaved(&host).await;
    assert_eq!(changed.len(), 1);
    assert!(changed[0].changed >= found[0].changed);
    copies(&host).record_saved(&changed[0]).await.unwrap();
    let insert = "INSERT INTO notes VALUES ('more')";
    room.sql.execute(insert, Vec::new()).await.unwrap();
    assert_eq!(unsaved(&host).await.len(), 1);
    drop(room);
    // Closing writes the log into the database: that is looked at once more.
    let host = host.reopen(|_| ()).await;
    let found = unsaved(&host).await;
    assert_eq!((found.len(), found[0].is_open), (1, false));
    copies(&host).record_saved(&found[0]).await.unwrap();
    let host = host.reopen(|_| ()).await;
    assert!(unsaved(&host).await.is_empty(), "it is remembered");
    let copied = copies(&host).copy(&found[0]).await.unwrap();
    assert!(copied.is_some(), "a closed room can be copied");
}

#[tokio::test]
async fn snapshots_of_a_deleted_tenant_are_remembered_until_they_go() {
    let host = Host::new().await;
    let room = filled(&host, "acme").await;
    drop(room);
    let owner = snapshot_owner(host.data(), &acme()).unwrap();
    let before = unsaved(&host).await.remove(0);
    copies(&host).record_saved(&before).await.unwrap();
    host.delete_tenant(&host.pass("acme").await).await;
    assert!(copies(&host).copy(&before).await.unwrap().is_none());
    copies(&host).record_saved(&before).await.unwrap();
    // Another tenant of that name has another room.
    drop(filled(&host, "acme").await);
    assert!(copies(&host).copy(&before).await.unwrap().is_none());
    let host = host.reopen(|_| ()).await;
    assert_eq!(
        copies(&host).deleted().await.unwrap(),
        std::slice::from_ref(&owner.room)
    );
    copies(&host).record_deleted(&owner.room).await.unwrap();
    assert!(copies(&host).deleted().await.unwrap().is_empty());
    assert_eq!(unsaved(&host).await.len(), 1);
    assert_ne!(snapshot_owner(host.data(), &acme()).unwrap(), owner);
}

#[tokio::test]
async fn a_restore_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = object_store(&folder);
    let host = Host::new().await;
    drop(full(&host).await);
    snapshots.save(&copy(&host).await).await.unwrap();
    let owner = snapshot_owner(host.data(), &acme()).unwrap();
    let other = Host::new().await;
    other.create_tenant("acme").await;
    other.store.close().await.unwrap();
    let open = || OfflineRoom::open(other.data(), &acme()).unwrap();
    let snapshot = snapshots.open_snapshot(&owner, None).await.unwrap();
    let parts = snapshot.parts();
    // The disk is full in the middle.
    #[cfg(target_os = "linux")]
    {
        let restore = open().begin_restore(&parts, MOST).unwrap();
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let error = snapshot.write("room.db", full, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        assert_eq!(folders(other.data()), 1);
        drop(restore);
    }
    // A part is not there, or is not whole.
    let restore = open().begin_restore(&parts, MOST).unwrap();
    for part in &parts[1..] {
        snapshot
            .write(&part.name, restore.create(&part.name).unwrap(), None)
            .await
            .unwrap();
    }
    let error = restore.finish().unwrap_err();
    assert!(error.message().contains("Nothing was restored"), "{error}");
    // Too large, or no room at all.
    let error = open().begin_restore(&parts, 1_000).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let error = open().begin_restore(&parts[1..], MOST).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    for name in [
        "../room.db",
        "index-0.usearch",
        "index-01.usearch",
        "index/room.usearch",
    ] {
        let mut astray = parts.clone();
        astray.last_mut().unwrap().name = name.into();
        assert!(open().begin_restore(&astray, MOST).is_err(), "{name}");
    }
    assert_eq!(folders(other.data()), 0);
    restore_again(&other, &snapshots, &owner).await;
}

async fn restore_again(other: &Host, snapshots: &Snapshots, owner: &SnapshotOwner) {
    restore(other.data(), snapshots, owner).await.unwrap();
    assert_eq!(folders(other.data()), 1);
}

#[tokio::test]
async fn a_damaged_room_replaces_no_snapshot() {
    let host = Host::new().await;
    drop(filled(&host, "acme").await);
    let host = host
        .reopen(|data| {
            let path = data.join("rooms/acme/room.db");
            let mut bytes = fs::read(&path).unwrap();
            for page in (2..bytes.len() / 4_096).step_by(2) {
                bytes[page * 4_096..][..64].fill(0xA5);
            }
            fs::write(&path, bytes).unwrap();
        })
        .await;
    let room = unsaved(&host).await.remove(0);
    assert!(copies(&host).copy(&room).await.is_err());
    assert_eq!(folders(host.data()), 1);
}
