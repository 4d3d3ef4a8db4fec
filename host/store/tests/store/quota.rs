//! What a room may store: refused beyond it, of whatever kind, with nothing lost; deleting makes room.

use crate::host::{Host, add, metadata, query, titles};
use bytes::Bytes;
use riad_core::{
    AdapterAlias, Digest, Error, ErrorKind, Limits, PluginName, PluginVersion, Result,
    adapter::{Adapter, AdapterFiles, AdapterInfo},
    document::{Document, NewChunk, NewDocument, Page, Position},
    pipeline::Pipeline,
    plugin::{Stage, StageChoice},
    ports::{Room, SqlValue, StoredResponse},
};
use serde_json::json;
use std::fs;

const MOST: u64 = 1_300_000;
const BIG: usize = 360_000;

async fn host() -> Host {
    Host::with(Limits {
        room_bytes: MOST,
        adapter_generations: 2,
        ..Limits::default()
    })
    .await
}

fn assert_full<T: std::fmt::Debug>(result: Result<T>) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    error
}

async fn insert(room: &Room, title: &str, bytes: usize) -> Result<Document> {
    let document = NewDocument {
        title: title.into(),
        text: "x".repeat(bytes),
        metadata: metadata(json!({})),
        file: None,
    };
    let chunk = NewChunk {
        text: format!("about {title}"),
        offset: 0,
        position: Position::default(),
        embedding: vec![1.0, 0.0, 0.0, 0.0],
    };
    room.documents.insert(document, vec![chunk], None).await
}

fn alias(name: &str) -> AdapterAlias {
    name.parse().unwrap()
}

async fn put_adapter(room: &Room, name: &str, fill: u8) -> Result<Adapter> {
    let files = AdapterFiles {
        config: Bytes::from_static(b"{}"),
        weights: Bytes::from(vec![fill; BIG]),
    };
    let info = AdapterInfo {
        rank: 8,
        bytes: BIG as u64,
        tensors: 1,
    };
    room.adapters.put(&alias(name), &files, &info).await
}

#[tokio::test]
async fn a_document_beyond_the_quota_is_refused_and_a_deleted_one_makes_room() {
    let host = host().await;
    let room = host.room("acme").await;
    add(&room, "small", "small", [0.0, 1.0, 0.0, 0.0], json!({})).await;
    let first = insert(&room, "first", BIG).await.unwrap();
    insert(&room, "second", BIG).await.unwrap();
    let watermark = room.documents.watermark().await.unwrap();
    let refused = assert_full(insert(&room, "third", BIG).await);
    assert!(refused.message().contains("may store 1300000"), "{refused}");
    // Nothing of it is there, and what was there before is.
    assert_eq!(room.documents.watermark().await.unwrap(), watermark);
    let found = titles(&room, &query("about", &[1.0, 0.0, 0.0, 0.0])).await;
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(!found.contains(&"third".to_owned()));
    let other = host.room("globex").await;
    insert(&other, "third", BIG).await.unwrap();

    room.documents.delete(&first.id).await.unwrap();
    insert(&room, "third", BIG).await.unwrap();
    // Counted in the same way when it is opened again.
    drop((room, other));
    let host = host.reopen(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    assert_full(insert(&room, "fourth", BIG).await);
    let page = Page { after: None, limit: 10 };
    assert_eq!(room.documents.list(&page).await.unwrap().len(), 3);
    // Answers are kept, so that no repetition is billed, and then no further request is begun that needs it.
    let response = StoredResponse {
        request: Digest::of(b"request"),
        status: 200,
        content_type: "text/plain".into(),
        body: Bytes::from(vec![b'x'; BIG]),
        created: 1,
    };
    room.storage.check(0).unwrap();
    room.idempotency.put("k", &response, 0).await.unwrap();
    assert_full(host.open(&host.pass("acme").await).await.storage.check(0));
}

#[tokio::test]
async fn an_adapter_beyond_the_quota_is_refused_and_its_alias_stays() {
    let host = host().await;
    let room = host.room("acme").await;
    put_adapter(&room, "tone", 1).await.unwrap();
    put_adapter(&room, "tone", 2).await.unwrap();
    // The alias forgets its first generation for the third.
    let third = put_adapter(&room, "tone", 3).await.unwrap();
    assert_full(put_adapter(&room, "other", 4).await);
    assert_full(insert(&room, "text", BIG).await);
    let folder = host.room_folder("acme").join("adapters");
    let folders = || fs::read_dir(&folder).unwrap().count();
    assert_eq!(folders(), 2);
    assert_eq!(room.adapters.list().await.unwrap(), [third]);
    drop(room);
    // A full room can replace one by another of the same size; a lowered limit changes nothing about that.
    let host = host.with_limits_changed(|limits| limits.room_bytes = 1).await;
    let room = host.open(&host.pass("acme").await).await;
    put_adapter(&room, "tone", 5).await.unwrap();
    assert_full(put_adapter(&room, "new", 6).await);
    put_adapter(&room, "tone", 3).await.unwrap();
    drop(room);
    let host = host.with_limits_changed(|limits| limits.room_bytes = MOST).await;
    let room = host.open(&host.pass("acme").await).await;
    // The same files under another alias take no bytes.
    put_adapter(&room, "other", 3).await.unwrap();
    room.adapters.delete(&alias("tone")).await.unwrap();
    assert_eq!(folders(), 1);
    insert(&room, "text", BIG).await.unwrap();
}

#[tokio::test]
async fn a_plugin_beyond_the_quota_is_refused_and_leaves_no_file() {
    let host = host().await;
    let room = host.room("acme").await;
    let put = async |name: &str, fill: u8| {
        let component = Bytes::from(vec![fill; BIG]);
        let version = PluginVersion {
            name: name.parse().unwrap(),
            version: Digest::of(&component),
            stages: [Stage::Prompting].into(),
            manifest: None,
            bytes: BIG as u64,
            created: 1,
        };
        room.plugins.put(&version, component).await
    };
    put("p", 1).await.unwrap();
    put("p", 2).await.unwrap();
    assert_full(put("p", 3).await);
    // The same bytes again, also under another name, are no more.
    put("p", 2).await.unwrap();
    put("q", 2).await.unwrap();
    assert_eq!(room.plugins.list().await.unwrap().len(), 3);
    let files = || fs::read_dir(host.room_folder("acme").join("plugins")).unwrap().count();
    assert_eq!(files(), 2);
    // Deleted versions make room; a file goes with the last that has it, and what serves stays.
    let digest = |fill: u8| Digest::of(&[fill; BIG]);
    let name = |name: &str| -> PluginName { name.parse().unwrap() };
    let serving = StageChoice::Plugin {
        name: name("q"),
        version: digest(2),
    };
    let pipeline = Pipeline {
        stages: [(Stage::Prompting, serving)].into(),
        ..Pipeline::default()
    };
    room.plugins.set_pipeline(&pipeline).await.unwrap();
    room.plugins.delete(&name("p"), &digest(2)).await.unwrap();
    assert_eq!(files(), 2, "q has it too");
    let refused = room.plugins.delete(&name("q"), &digest(2)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let absent = room.plugins.delete(&name("p"), &digest(2)).await.unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    room.plugins.delete(&name("p"), &digest(1)).await.unwrap();
    assert_eq!(files(), 1);
    put("p", 3).await.unwrap();
    // A pipeline cannot name what is gone.
    let gone = StageChoice::Plugin {
        name: name("p"),
        version: digest(1),
    };
    let pipeline = Pipeline {
        stages: [(Stage::Prompting, gone)].into(),
        ..Pipeline::default()
    };
    let refused = room.plugins.set_pipeline(&pipeline).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn the_sql_store_gets_what_the_rest_of_the_room_leaves() {
    let host = host().await;
    let room = host.room("acme").await;
    let document = insert(&room, "text", BIG).await.unwrap();
    room.sql.execute("CREATE TABLE t (x)", vec![]).await.unwrap();
    let insert_row = async || {
        let blob = SqlValue::Blob(vec![7; 100_000]);
        room.sql.execute("INSERT INTO t VALUES (?1)", vec![blob]).await
    };
    let mut rows = 0;
    let refused = loop {
        match insert_row().await {
            Ok(_) => rows += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::StorageFull, "{refused}");
    assert!((1..10).contains(&rows), "{rows}");
    let count = room.sql.query("SELECT count(*) FROM t", vec![]).await.unwrap();
    assert_eq!(count.rows, [[SqlValue::Integer(rows)]]);
    assert_full(insert(&room, "more", BIG).await);
    // Deleted rows make room for documents.
    room.sql.execute("DELETE FROM t", vec![]).await.unwrap();
    let more = insert(&room, "more", BIG).await.unwrap();
    room.documents.delete(&more.id).await.unwrap();
    for _ in 0..rows {
        insert_row().await.unwrap();
    }
    room.documents.delete(&document.id).await.unwrap();
    insert_row().await.unwrap();
    // Also from the opening on.
    drop(room);
    let host = host.reopen(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    assert!(room.storage.stored > 100_000 * u64::try_from(rows).unwrap());
}
