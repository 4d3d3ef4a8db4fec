//! Over fakes of both ports, which say what was asked of them.

use super::*;
use async_trait::async_trait;
use riad_core::{
    Account,
    ports::{RoomCopy, RoomRestore, StoredSnapshot},
    snapshot::{RoomPart, Snapshot, SnapshotOwner},
};
use std::collections::HashSet;

#[derive(Default)]
struct Fake {
    unsaved: Mutex<Vec<UnsavedRoom>>,
    deleted: Mutex<Vec<RoomId>>,
    /// Rooms that are saved, in order.
    saved: Mutex<Vec<String>>,
    /// Rooms whose older snapshots are removed, in order.
    pruned: Mutex<Vec<String>>,
    /// Rooms whose saving fails, and how.
    fails: Mutex<HashMap<String, ErrorKind>>,
    /// Rooms whose saving never ends.
    hangs: Mutex<HashSet<String>>,
    began: Notify,
    copies: Mutex<Vec<std::sync::Weak<()>>>,
    objects_deleted: Mutex<Vec<RoomId>>,
}

#[async_trait]
impl RoomCopies for Fake {
    async fn unsaved(&self) -> Result<Vec<UnsavedRoom>> {
        Ok(self.unsaved.lock().clone())
    }

    async fn find(&self, _operator: &OperatorPass, tenant: &TenantId) -> Result<Option<UnsavedRoom>> {
        let unsaved = self.unsaved.lock();
        Ok(unsaved.iter().find(|room| room.owner.tenant == *tenant).cloned())
    }

    async fn begin_restore(
        &self,
        _operator: &OperatorPass,
        _tenant: &TenantId,
        _parts: &[RoomPart],
        _most: u64,
    ) -> Result<Box<dyn RoomRestore>> {
        Err(Error::internal("these tests restore nothing"))
    }

    async fn copy(&self, room: &UnsavedRoom) -> Result<Option<RoomCopy>> {
        let hold = Arc::new(());
        self.copies.lock().push(Arc::downgrade(&hold));
        Ok(Some(RoomCopy {
            owner: room.owner.clone(),
            schema: 1,
            files: Vec::new(),
            hold: Box::new(hold),
        }))
    }

    async fn record_saved(&self, room: &UnsavedRoom) -> Result<()> {
        self.unsaved.lock().retain(|other| other.owner != room.owner);
        self.saved.lock().push(room.owner.tenant.to_string());
        Ok(())
    }

    async fn deleted(&self) -> Result<Vec<RoomId>> {
        Ok(self.deleted.lock().clone())
    }

    async fn record_deleted(&self, room: &RoomId) -> Result<()> {
        self.deleted.lock().retain(|other| other != room);
        Ok(())
    }
}

#[async_trait]
impl SnapshotStore for Fake {
    async fn save(&self, copy: &RoomCopy) -> Result<SaveOutcome> {
        let tenant = copy.owner.tenant.as_str();
        self.began.notify_one();
        if self.hangs.lock().contains(tenant) {
            std::future::pending::<()>().await;
        }
        if let Some(kind) = self.fails.lock().get(tenant) {
            return Err(Error::new(*kind, "no"));
        }
        Ok(SaveOutcome {
            snapshot: Snapshot {
                id: "snap_1".parse()?,
                created: Timestamp::now(),
                bytes: 0,
                files: 0,
            },
            is_new: true,
            uploaded_bytes: 0,
        })
    }

    async fn prune(&self, owner: &SnapshotOwner) -> Result<()> {
        self.pruned.lock().push(owner.tenant.to_string());
        Ok(())
    }

    async fn open(&self, _owner: &SnapshotOwner, _id: &SnapshotId) -> Result<Box<dyn StoredSnapshot>> {
        Err(Error::internal("these tests restore nothing"))
    }

    async fn delete_room(&self, room: &RoomId) -> Result<()> {
        if self.fails.lock().contains_key("deletion") {
            return Err(Error::new(ErrorKind::Unavailable, "no"));
        }
        self.objects_deleted.lock().push(room.clone());
        Ok(())
    }
}

fn room(tenant: &str, changed_before: u64, is_open: bool) -> UnsavedRoom {
    UnsavedRoom {
        owner: SnapshotOwner {
            room: format!("room-{tenant}").parse().unwrap(),
            tenant: tenant.parse().unwrap(),
        },
        account: Account::new(1),
        version: "1".into(),
        changed: Timestamp::now().minus(Duration::from_secs(changed_before)),
        is_open,
    }
}

fn snapshots(fake: &Arc<Fake>, interval: Option<u64>) -> Arc<RoomSnapshots> {
    Arc::new(RoomSnapshots::new(SnapshotDependencies {
        copies: fake.clone(),
        store: fake.clone(),
        interval: interval.map(Duration::from_secs),
    }))
}

#[tokio::test]
async fn rooms_are_saved_when_their_change_is_old_or_they_are_closed() {
    let fake = Arc::new(Fake::default());
    *fake.unsaved.lock() = vec![
        room("new", 5, true),
        room("closed", 5, false),
        room("old", 500, true),
        room("older", 900, true),
    ];
    let snapshots = snapshots(&fake, Some(300));
    assert_eq!(snapshots.unsaved_age(), Some(Duration::ZERO));
    snapshots.round(Due::Now).await;
    assert_eq!(*fake.saved.lock(), ["older", "old", "closed"]);
    let age = snapshots.unsaved_age().unwrap();
    assert!((5..60).contains(&age.as_secs()), "{age:?}");
    // Its next change does not make the first one younger.
    fake.unsaved.lock()[0].changed = Timestamp::now();
    snapshots.round(Due::Now).await;
    assert!(snapshots.unsaved_age().unwrap() >= age);
    snapshots.round(Due::All).await;
    assert_eq!(fake.saved.lock().last().unwrap(), "new");
    assert_eq!(snapshots.unsaved_age(), Some(Duration::ZERO));
    assert!(fake.copies.lock().iter().all(|copy| copy.strong_count() == 0));
}

#[tokio::test]
async fn without_an_interval_nothing_is_saved_but_deletions_are_done() {
    let fake = Arc::new(Fake::default());
    *fake.unsaved.lock() = vec![room("acme", 500, false)];
    *fake.deleted.lock() = vec!["gone".parse().unwrap()];
    let snapshots = snapshots(&fake, None);
    snapshots.round(Due::All).await;
    assert!(fake.saved.lock().is_empty());
    assert_eq!(*fake.objects_deleted.lock(), ["gone".parse().unwrap()]);
    assert_eq!(snapshots.unsaved_age(), None);
}

#[tokio::test]
async fn a_room_that_fails_keeps_no_other_from_being_saved() {
    let fake = Arc::new(Fake::default());
    *fake.unsaved.lock() = vec![room("bad", 900, true), room("good", 500, true)];
    fake.fails.lock().insert("bad".into(), ErrorKind::Internal);
    let snapshots = snapshots(&fake, Some(1));
    snapshots.round(Due::Now).await;
    assert_eq!(*fake.saved.lock(), ["good"]);
    assert!(snapshots.unsaved_age().unwrap() >= Duration::from_secs(900));
    // A store that does not answer is asked once in a round.
    fake.fails.lock().insert("bad".into(), ErrorKind::Unavailable);
    fake.unsaved.lock().push(room("good", 500, true));
    snapshots.round(Due::Now).await;
    assert_eq!(fake.saved.lock().len(), 1);
}

#[tokio::test]
async fn deleting_a_tenant_ends_the_saving_of_its_room() {
    let fake = Arc::new(Fake::default());
    *fake.unsaved.lock() = vec![room("acme", 500, true)];
    fake.hangs.lock().insert("acme".into());
    let snapshots = snapshots(&fake, Some(1));
    let round = {
        let snapshots = snapshots.clone();
        tokio::spawn(async move { snapshots.round(Due::Now).await })
    };
    fake.began.notified().await;
    fake.deleted.lock().push("room-acme".parse().unwrap());
    snapshots.delete_due().await.unwrap();
    round.await.unwrap();
    assert!(fake.saved.lock().is_empty());
    assert_eq!(fake.objects_deleted.lock().len(), 1);
    assert!(fake.copies.lock().iter().all(|copy| copy.strong_count() == 0));
}

#[tokio::test]
async fn a_deletion_that_fails_is_tried_again() {
    let fake = Arc::new(Fake::default());
    fake.deleted.lock().push("gone".parse().unwrap());
    fake.fails.lock().insert("deletion".into(), ErrorKind::Unavailable);
    let snapshots = snapshots(&fake, Some(300));
    assert!(snapshots.delete_due().await.is_err());
    fake.fails.lock().clear();
    snapshots.round(Due::Now).await;
    assert_eq!(fake.objects_deleted.lock().len(), 1);
    assert!(fake.deleted.lock().is_empty());
}
