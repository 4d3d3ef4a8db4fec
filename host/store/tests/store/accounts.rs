//! Rooms by account: what was made for a tenant opens nothing of a later tenant with the same id. Not here: rooms of different
//! tenants (`rooms`).

use crate::host::{Host, add, connect, entry, query, secret, titles};
use riad_core::{ErrorKind, Limits, TenantPass};
use serde_json::json;
use std::{collections::BTreeMap, fs, path::Path};

async fn is_refused(host: &Host, pass: &TenantPass) {
    let error = host.store.rooms().open(pass).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn a_former_tenants_pass_does_not_open_the_new_room() {
    let host = Host::new().await;
    let former = host.create_tenant("acme").await;
    host.delete_tenant(&former).await;
    let new = host.create_tenant("acme").await;
    is_refused(&host, &former).await;
    assert!(!host.room_folder("acme").exists(), "the wrong pass made the room");
    let room = host.open(&new).await;
    assert!(titles(&room, &query("lamp", &[])).await.is_empty());
    is_refused(&host, &former).await;
}

#[tokio::test]
async fn a_former_tenants_pass_does_not_join_the_new_open_room() {
    let host = Host::new().await;
    let former = host.create_tenant("acme").await;
    let old_room = host.open(&former).await;
    add(&old_room, "old", "lamp", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    host.delete_tenant(&former).await;
    let new = host.create_tenant("acme").await;
    let room = host.open(&new).await;
    add(&room, "new", "lamp", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    is_refused(&host, &former).await;
    // Nor does the room that was open before lead into the new one.
    let error = old_room
        .documents
        .search(&query("lamp", &[]))
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    for _ in 0..2 {
        let room = host.open(&new).await;
        assert_eq!(titles(&room, &query("lamp", &[])).await, ["new"]);
        is_refused(&host, &former).await;
    }
    drop((room, old_room));
    // It holds after a restart, with the room closed and then open.
    let host = host.reopen(|_| ()).await;
    is_refused(&host, &former).await;
    let room = host.open(&new).await;
    is_refused(&host, &former).await;
    assert_eq!(titles(&room, &query("lamp", &[])).await, ["new"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn passes_of_deleted_tenants_never_open_a_later_room() {
    let host = Host::new().await;
    let first = host.create_tenant("acme").await;
    let mut attempts = Vec::new();
    let (stop, stopped) = tokio::sync::watch::channel(first.clone());
    for _ in 0..4 {
        let (rooms, stopped) = (host.store.rooms(), stopped.clone());
        attempts.push(tokio::spawn(async move {
            let mut opened = 0_u32;
            while stopped.has_changed().is_ok() {
                let pass = stopped.borrow().clone();
                if let Ok(room) = rooms.open(&pass).await
                    && let Ok(found) = room.documents.search(&query("lamp", &[])).await
                {
                    // Each tenant's room has one document, which names its account, or none yet.
                    let account = pass.account().to_string();
                    assert!(found.iter().all(|passage| passage.title == account), "{found:?}");
                    opened += 1;
                }
                tokio::task::yield_now().await;
            }
            opened
        }));
    }
    let mut pass = first;
    for _ in 0..12 {
        // Those who try keep the pass while its tenant goes and the next one comes.
        stop.send_replace(pass.clone());
        let room = host.open(&pass).await;
        let title = pass.account().to_string();
        add(&room, &title, "lamp", [1.0, 0.0, 0.0, 0.0], json!({})).await;
        drop(room);
        host.delete_tenant(&pass).await;
        let next = host.create_tenant("acme").await;
        let room = host.open(&next).await;
        let title = next.account().to_string();
        add(&room, &title, "lamp", [1.0, 0.0, 0.0, 0.0], json!({})).await;
        is_refused(&host, &pass).await;
        host.delete_tenant(&next).await;
        pass = host.create_tenant("acme").await;
    }
    drop(stop);
    let mut opened = 0;
    for attempt in attempts {
        opened += attempt.await.unwrap();
    }
    assert!(opened > 0, "nobody ever saw a room");
}

#[tokio::test]
async fn no_account_number_is_given_twice() {
    let host = Host::new().await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let pass = host.create_tenant("acme").await;
        assert!(!seen.contains(&pass.account()));
        seen.push(pass.account());
        host.delete_tenant(&pass).await;
    }
    let host = host.reopen(|_| ()).await;
    let pass = host.create_tenant("globex").await;
    assert!(!seen.contains(&pass.account()));
    assert!(host.authorize(&secret("acme"), 1).await.is_err());
}

#[tokio::test]
async fn every_rooms_size_is_read_without_opening_it() {
    let host = Host::with(Limits {
        open_rooms: 1,
        ..Limits::default()
    })
    .await;
    let rooms = host.store.rooms();
    assert_eq!((rooms.stored().await.unwrap().len(), rooms.open_rooms()), (0, 0));
    let small = host.create_tenant("small").await;
    let large = host.create_tenant("large").await;
    host.create_tenant("roomless").await;
    drop(host.open(&small).await);
    let room = host.open(&large).await;
    add(&room, "x", &"lamp ".repeat(20_000), [1.0, 0.0, 0.0, 0.0], json!({})).await;
    drop(room);
    assert_eq!(rooms.open_rooms(), 1);
    // Closed, so that nothing is written while we weigh too.
    let host = host.reopen(|_| ()).await;
    let rooms = host.store.rooms();
    // What a link points to belongs to somebody else, or comes back here forever.
    fs::write(host.data().join("outside"), [0_u8; 50_000]).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink(host.data().join("outside"), host.room_folder("small").join("link")).unwrap();
        symlink(host.data(), host.room_folder("small").join("loop")).unwrap();
        symlink(host.room_folder("large"), host.room_folder("roomless")).unwrap();
    }
    let stored = rooms.stored().await.unwrap();
    assert_eq!(rooms.open_rooms(), 0);
    let by_account: BTreeMap<_, _> = stored.iter().map(|room| (room.account, room.bytes)).collect();
    let expected = BTreeMap::from([
        (small.account(), bytes_of(&host.room_folder("small"))),
        (large.account(), bytes_of(&host.room_folder("large"))),
    ]);
    assert_eq!(by_account, expected);
    assert!(by_account[&large.account()] > 100_000 && by_account[&small.account()] > 0);
    for room in &stored {
        assert_eq!(room.tenant.as_str() == "small", room.account == small.account());
    }
    // A tenant that is forgotten is billed no more, though its room may still be there.
    let tenant_store = host.store.tenant_store();
    tenant_store
        .delete(&host.operator, large.tenant(), entry("tenant.delete", "large"))
        .await
        .unwrap();
    assert!(host.room_folder("large").exists());
    assert_eq!(rooms.stored().await.unwrap().len(), 1);
}

fn bytes_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.file_type().unwrap() {
            kind if kind.is_dir() => bytes_of(&entry.path()),
            kind if kind.is_file() => entry.metadata().unwrap().len(),
            _ => 0,
        })
        .sum()
}

#[tokio::test]
async fn an_older_control_database_does_not_open_a_later_accounts_room() {
    let host = Host::new().await;
    let former = host.create_tenant("acme").await;
    host.open(&former).await;
    let backup = tempfile::tempdir().unwrap();
    let backup = backup.path().join("control.db");
    let host = host
        .reopen(|data| {
            fs::copy(data.join("control.db"), &backup).unwrap();
        })
        .await;
    host.delete_tenant(&host.pass("acme").await).await;
    let new = host.create_tenant("acme").await;
    add(&host.open(&new).await, "new", "lamp", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    let kept = tempfile::tempdir().unwrap();
    let kept = kept.path().join("control.db");
    let host = host
        .reopen(|data| {
            fs::rename(data.join("control.db"), &kept).unwrap();
            fs::copy(&backup, data.join("control.db")).unwrap();
        })
        .await;
    // The former tenant lives again, and its key is good.
    let pass = host.pass("acme").await;
    assert_eq!(pass.account(), former.account());
    let refused = host.store.rooms().open(&pass).await.map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.message().contains("belongs to another account"), "{refused}");
    // With the database that belongs to the room it opens, and nothing is lost.
    let host = host
        .reopen(|data| fs::rename(&kept, data.join("control.db")).unwrap())
        .await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(titles(&room, &query("lamp", &[])).await, ["new"]);
}

#[tokio::test]
async fn a_deletion_in_an_older_control_database_does_not_remove_a_later_accounts_room() {
    let host = Host::new().await;
    let former = host.create_tenant("acme").await;
    host.open(&former).await;
    let id = former.tenant();
    let deleted = host.store.tenant_store();
    deleted
        .delete(&host.operator, id, entry("tenant.delete", id.as_str()))
        .await
        .unwrap();
    let backup = tempfile::tempdir().unwrap();
    let backup = backup.path().join("control.db");
    // The room is removed when the server starts again.
    let host = host
        .reopen(|data| {
            fs::copy(data.join("control.db"), &backup).unwrap();
        })
        .await;
    assert!(!host.room_folder("acme").exists());
    let new = host.create_tenant("acme").await;
    add(&host.open(&new).await, "new", "lamp", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    let host = host
        .reopen(|data| {
            fs::copy(&backup, data.join("control.db")).unwrap();
        })
        .await;
    assert!(host.room_folder("acme").exists());
    let refused = host
        .store
        .rooms()
        .remove(&host.operator, new.tenant())
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.message().contains("belongs to another account"), "{refused}");
    assert!(host.room_folder("acme").exists());
}

#[tokio::test]
async fn a_room_from_before_rooms_had_ids_gets_one_when_it_is_opened() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    add(&host.open(&pass).await, "old", "lamp", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    let forget_in_control = |data: &Path| {
        connect(data).execute("UPDATE accounts SET room = NULL", []).unwrap();
    };
    let room_id = |data: &Path| -> Option<String> {
        #[expect(clippy::disallowed_methods, reason = "this test looks into a room from outside")]
        let room = rusqlite::Connection::open(data.join("rooms/acme/room.db")).unwrap();
        let mut select = room.prepare("SELECT value FROM state WHERE key = 'room_id'").unwrap();
        let mut rows = select.query([]).unwrap();
        rows.next().unwrap().map(|row| row.get(0).unwrap())
    };
    let host = host
        .reopen(|data| {
            forget_in_control(data);
            #[expect(clippy::disallowed_methods, reason = "this test looks into a room from outside")]
            let room = rusqlite::Connection::open(data.join("rooms/acme/room.db")).unwrap();
            room.execute("DELETE FROM state WHERE key = 'room_id'", []).unwrap();
        })
        .await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(titles(&room, &query("lamp", &[])).await, ["old"]);
    drop(room);
    let host = host.reopen(|_| ()).await;
    host.open(&host.pass("acme").await).await;
    let of_account: String = connect(host.data())
        .query_row("SELECT room FROM accounts", [], |row| row.get(0))
        .unwrap();
    assert_eq!(of_account.len(), 32);
    assert_eq!(room_id(host.data()), Some(of_account));
    // A control database from before is an older one.
    let host = host.reopen(forget_in_control).await;
    let refused = host.store.rooms().open(&host.pass("acme").await).await;
    assert_eq!(refused.map(drop).unwrap_err().kind(), ErrorKind::Unavailable);
}
