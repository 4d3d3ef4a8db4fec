//! Files that leave stores: their place in lists, deletion from many stores, a deletion that was cut off.

use super::*;

#[tokio::test]
async fn a_file_that_left_a_store_keeps_its_place_in_the_list() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let (id, other) = (store(&room, "a").await, store(&room, "b").await);
    let mut files = Vec::new();
    for name in ["one", "two", "three", "four"] {
        files.push(file(&room, name).await);
    }
    // In another order than that of their ids.
    files.reverse();
    for file in &files {
        room.vector_stores
            .add(&id, vec![waiting(file, json!({}))])
            .await
            .unwrap();
    }
    let listed = async |room: &Room, page: VectorStoreFilePage| {
        let files = room.vector_stores.files(&id, &page).await?;
        Ok::<_, riad_core::Error>(files.into_iter().map(|file| file.file).collect::<Vec<_>>())
    };
    let after = |file: &FileId| VectorStoreFilePage {
        after: Some(file.clone()),
        ..page()
    };
    let before = |file: &FileId| VectorStoreFilePage {
        before: Some(file.clone()),
        ..page()
    };
    room.vector_stores.remove(&id, &files[1]).await.unwrap();
    assert_eq!(listed(&room, after(&files[1])).await.unwrap(), files[2..]);
    assert_eq!(listed(&room, before(&files[1])).await.unwrap(), files[..1]);
    room.files.delete(&files[2]).await.unwrap();
    let (host, room) = reopen(host).await;
    assert_eq!(listed(&room, after(&files[2])).await.unwrap(), files[3..]);
    // Added again, it stands at the end.
    room.vector_stores
        .add(&id, vec![waiting(&files[1], json!({}))])
        .await
        .unwrap();
    assert_eq!(
        listed(&room, before(&files[1])).await.unwrap(),
        [files[0].clone(), files[3].clone()]
    );
    // One that was in another store only has no place.
    let stranger = file(&room, "five").await;
    room.vector_stores
        .add(&other, vec![waiting(&stranger, json!({}))])
        .await
        .unwrap();
    room.vector_stores.remove(&other, &stranger).await.unwrap();
    for (page, param) in [(after(&stranger), "after"), (before(&stranger), "before")] {
        let error = listed(&room, page).await.unwrap_err();
        assert_eq!((error.kind(), error.param()), (ErrorKind::InvalidRequest, Some(param)));
    }
    room.vector_stores.delete(&other).await.unwrap();
    drop(host);
}

#[tokio::test]
async fn a_file_of_many_stores_is_deleted_in_bounded_transactions() {
    const STORES: usize = 150;
    let host = Host::new().await;
    let room = host.room("acme").await;
    let shared = file(&room, "shared").await;
    let mut stores = Vec::new();
    for number in 0..STORES {
        let id = store(&room, &format!("store {number}")).await;
        put(&room, &id, &shared, "pump", json!({})).await;
        stores.push(id);
    }
    // Another connection counts what each commit has left, and goes on until nothing is.
    let path = host.data().join("rooms/acme/room.db");
    let (looks, first) = tokio::sync::oneshot::channel();
    let watch = std::thread::spawn(move || {
        #[expect(clippy::disallowed_methods, reason = "the test looks into the store from outside")]
        let connection = rusqlite::Connection::open(&path).unwrap();
        let mut count = connection.prepare("SELECT count(*) FROM vector_store_files").unwrap();
        let mut left = move || -> i64 { count.query_row([], |row| row.get(0)).unwrap() };
        let mut seen = std::collections::BTreeSet::from([left()]);
        looks.send(()).unwrap();
        while !seen.contains(&0) {
            seen.insert(left());
        }
        seen
    });
    first.await.unwrap();
    room.files.delete(&shared).await.unwrap();
    let seen = watch.join().unwrap();
    assert!(
        seen.iter().any(|left| (1..STORES as i64).contains(left)),
        "one transaction has deleted all: {seen:?}"
    );
    assert!(room.files.get(&shared).await.is_err());
    for id in &stores {
        assert!(found(&room, &[id], "pump", None).await.is_empty());
    }
}

#[tokio::test]
async fn what_is_left_of_a_deletion_that_was_cut_off_goes_at_the_next_opening() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let (id, one) = (store(&room, "a").await, file(&room, "one").await);
    put(&room, &id, &one, "pump", json!({})).await;
    drop(room);
    // As a deletion begins.
    let host = host
        .reopen(|data| {
            connect_room(data).execute("UPDATE files SET expires = 0", []).unwrap();
        })
        .await;
    let room = host.open(&host.pass("acme").await).await;
    assert!(found(&room, &[&id], "pump", None).await.is_empty());
    assert_eq!(room.vector_stores.get(&id).await.unwrap().files.total(), 0);
    let files = std::fs::read_dir(host.data().join("rooms/acme/files")).unwrap();
    assert_eq!(files.count(), 0);
}
