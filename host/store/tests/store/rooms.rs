//! Rooms: apart from each other, opened once, closed when there are too many, gone when they are removed.

use crate::host::{Host, add, creation, entry, first_key, query, tenant, titles};
use riad_core::{
    ErrorKind, Limits,
    document::{Metadata, NewChunk, NewDocument, Page, Position},
    ports::SqlValue,
};
use serde_json::{Map, json};
use std::{fs, time::Duration};

#[tokio::test]
async fn two_tenants_see_nothing_of_each_other() {
    let host = Host::new().await;
    let acme = host.room("acme").await;
    let globex = host.room("globex").await;
    let secret = add(&acme, "secret", "canary", [1.0, 0.0, 0.0, 0.0], json!({"k": 1})).await;
    let mut settings = Map::new();
    settings.insert("canary".into(), json!(true));
    acme.settings.put(&settings).await.unwrap();
    acme.sql.execute("CREATE TABLE canary (x)", vec![]).await.unwrap();

    assert!(
        titles(&globex, &query("canary", &[1.0, 0.0, 0.0, 0.0]))
            .await
            .is_empty()
    );
    for error in [
        globex.documents.get(&secret.id, 0..1).await.map(drop).unwrap_err(),
        globex.documents.delete(&secret.id).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    assert!(
        globex
            .documents
            .list(&Page { after: None, limit: 10 })
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(globex.documents.watermark().await.unwrap(), 0);
    assert!(globex.settings.get().await.unwrap().is_empty());
    assert!(globex.sql.query("SELECT * FROM canary", vec![]).await.is_err());
    assert!(globex.plugins.list().await.unwrap().is_empty());
    assert!(globex.adapters.list().await.unwrap().is_empty());
    assert_eq!(acme.settings.get().await.unwrap(), settings);
    assert_eq!(titles(&acme, &query("canary", &[])).await, ["secret"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_room_that_many_open_at_once_is_one_room() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let rooms = host.store.rooms();
    let mut tasks = Vec::new();
    for n in 0..16 {
        let (rooms, pass) = (rooms.clone(), pass.clone());
        tasks.push(tokio::spawn(async move {
            let room = rooms.open(&pass).await.unwrap();
            add(&room, &n.to_string(), "text", [1.0, 0.0, 0.0, 0.0], json!({})).await;
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let room = host.open(&pass).await;
    // Two rooms on one folder would each have an index of a part.
    let mut query = query("", &[1.0, 0.0, 0.0, 0.0]);
    query.limit = 100;
    assert_eq!(titles(&room, &query).await.len(), 16);
}

#[tokio::test]
async fn the_least_recently_used_room_is_closed_but_none_in_use() {
    let host = Host::with(Limits {
        open_rooms: 1,
        ..Limits::default()
    })
    .await;
    let held = host.room("held").await;
    add(&held, "mine", "lamp", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    let idle = host.room("idle").await;
    add(&idle, "yours", "lamp", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    let index = |tenant: &str| host.room_folder(tenant).join("index.usearch").exists();
    assert!(!index("held") && !index("idle"));
    drop(idle);
    // Opening a third closes the idle one, which saves its index; the held one stays.
    let third = host.room("third").await;
    assert!(index("idle"));
    assert!(!index("held"));
    assert_eq!(titles(&held, &query("lamp", &[])).await, ["mine"]);
    drop(third);
    let idle = host.open(&host.pass("idle").await).await;
    assert_eq!(titles(&idle, &query("", &[1.0, 0.0, 0.0, 0.0])).await, ["yours"]);
}

#[tokio::test]
async fn rooms_beyond_their_memory_are_closed_oldest_first() {
    const MOST: u64 = 4 << 20;
    let host = Host::with(Limits {
        open_room_bytes: MOST,
        ..Limits::default()
    })
    .await;
    let rooms = host.store.rooms();
    assert_eq!(rooms.open_room_bytes(), 0);
    let first = host.room("first").await;
    add(&first, "mine", "lamp", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    let small = rooms.open_room_bytes();
    assert!((50_000..MOST / 4).contains(&small), "{small}");
    let many = |number: u64| {
        let chunks = (0..20_000_u64).map(move |chunk| NewChunk {
            text: format!("{number} {chunk}"),
            offset: 0,
            position: Position::default(),
            embedding: (0..4).map(|at| ((number + chunk * 31 + at * 7) % 101) as f32).collect(),
        });
        chunks.collect::<Vec<_>>()
    };
    let document = |title: &str| NewDocument {
        title: title.into(),
        text: String::new(),
        metadata: Metadata::new(),
        file: None,
    };
    let second = host.room("second").await;
    second.documents.insert(document("big"), many(1), None).await.unwrap();
    let both = rooms.open_room_bytes();
    assert!((MOST..8 * MOST).contains(&both), "{both}");
    drop(first);
    // The second one is in use, and the third is too small to matter.
    let third = host.room("third").await;
    assert_eq!(rooms.open_rooms(), 2);
    drop(second);
    rooms.close_idle(Duration::from_secs(3_600)).await.unwrap();
    assert_eq!(rooms.open_rooms(), 1, "the third one is in use, and small enough");
    drop(third);
    rooms.close_idle(Duration::from_secs(3_600)).await.unwrap();
    assert_eq!(rooms.open_rooms(), 1);
    let first = host.open(&host.pass("first").await).await;
    assert_eq!(titles(&first, &query("lamp", &[])).await, ["mine"]);
}

#[tokio::test]
async fn a_room_that_nobody_uses_is_closed_and_takes_no_memory() {
    let host = Host::new().await;
    let rooms = host.store.rooms();
    let used = host.room("used").await;
    drop(host.room("idle").await);
    assert_eq!(rooms.open_rooms(), 2);
    rooms.close_idle(Duration::from_secs(3_600)).await.unwrap();
    assert_eq!(rooms.open_rooms(), 2, "both were used a moment ago");
    rooms.close_idle(Duration::ZERO).await.unwrap();
    assert_eq!(rooms.open_rooms(), 1);
    assert!(host.room_folder("idle").join("room.db").exists());
    drop(used);
    rooms.close_idle(Duration::ZERO).await.unwrap();
    assert_eq!((rooms.open_rooms(), rooms.open_room_bytes()), (0, 0));
}

#[tokio::test]
async fn a_deleted_tenants_pass_opens_nothing_and_its_room_goes() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let room = host.open(&pass).await;
    add(&room, "x", "lamp", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    room.sql.execute("CREATE TABLE t (x)", vec![]).await.unwrap();
    let rooms = host.store.rooms();
    let error = rooms.remove(&host.operator, pass.tenant()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);

    host.store
        .tenant_store()
        .delete(&host.operator, pass.tenant(), entry("tenant.delete", "acme"))
        .await
        .unwrap();
    let error = rooms.open(&pass).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    // The name is not free while the room is there.
    let tenant_store = host.store.tenant_store();
    let error = tenant_store
        .create(&host.operator, &tenant("acme"), &first_key("acme"), creation("acme"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);

    rooms.remove(&host.operator, pass.tenant()).await.unwrap();
    assert!(!host.room_folder("acme").exists());
    let error = rooms.open(&pass).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(!host.room_folder("acme").exists());
    // Whoever still holds the room can neither read nor bring it back.
    for error in [
        room.documents.search(&query("lamp", &[])).await.map(drop).unwrap_err(),
        room.settings.put(&Map::new()).await.unwrap_err(),
        room.sql.query("SELECT 1", vec![]).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    drop(room);
    assert!(!host.room_folder("acme").exists());
    // A room that never existed is no error, and the name is free for somebody new.
    rooms.remove(&host.operator, pass.tenant()).await.unwrap();
    let room = host.room("acme").await;
    assert!(titles(&room, &query("lamp", &[])).await.is_empty());
    assert!(room.sql.query("SELECT * FROM t", vec![]).await.is_err());
}

#[tokio::test]
async fn an_interrupted_deletion_is_finished_at_the_next_start() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    host.open(&pass).await;
    host.store
        .tenant_store()
        .delete(&host.operator, pass.tenant(), entry("tenant.delete", "acme"))
        .await
        .unwrap();
    assert!(host.room_folder("acme").exists());
    let host = host.reopen(|_| ()).await;
    assert!(!host.room_folder("acme").exists());
    host.room("acme").await;
}

#[tokio::test]
async fn a_leftover_folder_does_not_become_a_new_tenants_room() {
    let host = Host::new().await;
    fs::create_dir_all(host.room_folder("acme")).unwrap();
    let error = host
        .store
        .tenant_store()
        .create(&host.operator, &tenant("acme"), &first_key("acme"), creation("acme"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_room_written_by_a_newer_server_is_refused() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    host.open(&pass).await;
    let host = host
        .reopen(|data| {
            #[expect(clippy::disallowed_methods, reason = "the test looks into the store from outside")]
            let connection = rusqlite::Connection::open(data.join("rooms/acme/room.db")).unwrap();
            connection.pragma_update(None, "user_version", 99).unwrap();
        })
        .await;
    let error = host.store.rooms().open(&pass).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("99"), "{error}");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_a_whole_document() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let room = host.open(&pass).await;
    for n in 0..50 {
        let title = n.to_string();
        let insert = add(&room, &title, "lamp", [1.0, 0.0, 0.0, 0.0], json!({}));
        // Polled once, so that it has begun, and dropped.
        drop(poll_once(insert).await);
    }
    let _ = room.sql.query("SELECT 1", vec![SqlValue::Null]).await;
    let host = {
        drop(room);
        host.reopen(|_| ()).await
    };
    let room = host.open(&host.pass("acme").await).await;
    let mut query = query("lamp", &[1.0, 0.0, 0.0, 0.0]);
    query.limit = 100;
    let listed = room
        .documents
        .list(&Page {
            after: None,
            limit: 100,
        })
        .await
        .unwrap();
    let found = room.documents.search(&query).await.unwrap();
    assert_eq!(found.len(), listed.len());
    assert!(listed.iter().all(|document| document.chunks == 1));
}

#[test]
fn calls_that_wait_in_one_room_leave_threads_for_the_others() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let host = Host::new().await;
        let acme = host.room("acme").await;
        let globex = host.room("globex").await;
        #[expect(
            clippy::disallowed_methods,
            reason = "the test keeps the store's writers waiting from outside"
        )]
        let outside = rusqlite::Connection::open(host.room_folder("acme").join("room.db")).unwrap();
        outside.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut waiting = Vec::new();
        for _ in 0..50 {
            let settings = acme.settings.clone();
            waiting.push(tokio::spawn(async move { settings.put(&Map::new()).await }));
        }
        tokio::task::yield_now().await;
        tokio::time::timeout(Duration::from_secs(30), globex.settings.put(&Map::new()))
            .await
            .expect("a thread was left")
            .unwrap();
        outside.execute_batch("ROLLBACK").unwrap();
        for task in waiting {
            task.await.unwrap().unwrap();
        }
    });
}

async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_opens_the_data_folder() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let host = Host::new().await;
    host.room("acme").await;
    for folder in [
        host.data().to_owned(),
        host.data().join("rooms"),
        host.room_folder("acme"),
    ] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
    }
    // As earlier versions made it.
    let host = host
        .reopen(|data| fs::set_permissions(data, fs::Permissions::from_mode(0o755)).unwrap())
        .await;
    assert_eq!(mode(host.data()), 0o700);
}
