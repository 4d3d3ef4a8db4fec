//! Vector stores: what they find and what not, files that are added anew, removed or deleted, and stores that end.

mod deletion;

use crate::host::{DIMENSIONS, Host, add, metadata, query, titles};
use riad_core::{
    ErrorKind, FileBatchId, FileId, VectorStoreId,
    document::{Metadata, NewChunk, NewDocument, Page, Position},
    file::{FilePurpose, NewFile},
    ports::Room,
    search_scope::{AttributeFilter, AttributeValue, Comparison, SearchScope},
    vector_store::{
        IndexingError, IndexingErrorCode, IndexingStatus, NewVectorStore, NewVectorStoreFile, VectorStoreFilePage,
        VectorStorePage,
    },
};
use serde_json::{Value, json};
use std::path::Path;

async fn store(room: &Room, name: &str) -> VectorStoreId {
    let new = NewVectorStore {
        name: name.into(),
        description: None,
        metadata: Metadata::new(),
        expires_after_days: None,
    };
    room.vector_stores.create(new).await.unwrap().id
}

async fn file(room: &Room, name: &str) -> FileId {
    let mut writer = room.files.begin().await.unwrap();
    writer.write(name.to_owned().into()).await.unwrap();
    let new = NewFile {
        name: name.into(),
        purpose: FilePurpose::Assistants,
        expires: None,
    };
    writer.finish(new).await.unwrap().id
}

fn waiting(file: &FileId, attributes: Value) -> NewVectorStoreFile {
    NewVectorStoreFile {
        file: file.clone(),
        attributes: metadata(attributes),
        chunk_size: None,
    }
}

/// What a file has become: one chunk.
fn indexed(text: &str, embedding: [f32; DIMENSIONS]) -> (NewDocument, Vec<NewChunk>) {
    let document = NewDocument {
        title: text.into(),
        text: text.into(),
        metadata: Metadata::new(),
        file: None,
    };
    let chunk = NewChunk {
        text: text.into(),
        offset: 0,
        position: Position::default(),
        embedding: embedding.to_vec(),
    };
    (document, vec![chunk])
}

/// Adds a file and indexes it.
async fn put(room: &Room, store: &VectorStoreId, file: &FileId, text: &str, attributes: Value) {
    room.vector_stores
        .add(store, vec![waiting(file, attributes)])
        .await
        .unwrap();
    let pending = room.vector_stores.next_pending().await.unwrap().unwrap();
    assert_eq!(&pending.new.file, file);
    let (document, chunks) = indexed(text, [1.0, 0.0, 0.0, 0.0]);
    room.vector_stores.complete(&pending, document, chunks).await.unwrap();
}

async fn found(room: &Room, stores: &[&VectorStoreId], text: &str, attributes: Option<AttributeFilter>) -> Vec<String> {
    let mut query = query(text, &[1.0, 0.0, 0.0, 0.0]);
    query.scope = SearchScope::VectorStores(stores.iter().map(|&id| id.clone()).collect());
    query.attributes = attributes;
    let mut titles = titles(room, &query).await;
    titles.sort();
    titles
}

/// After a restart.
async fn reopen(host: Host) -> (Host, Room) {
    let host = host.reopen(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    (host, room)
}

fn compare(key: &str, comparison: Comparison, value: AttributeValue) -> AttributeFilter {
    AttributeFilter::Compare {
        key: key.into(),
        comparison,
        value,
    }
}

#[tokio::test]
async fn a_search_finds_what_its_stores_have() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    add(&room, "own", "the pump of the room", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    let (manuals, bills) = (store(&room, "manuals").await, store(&room, "bills").await);
    let (one, two) = (file(&room, "one").await, file(&room, "two").await);
    put(&room, &manuals, &one, "manual pump", json!({})).await;
    put(&room, &bills, &one, "bill pump", json!({})).await;
    put(&room, &bills, &two, "second bill pump", json!({})).await;
    for words in ["pump", "nothing of it"] {
        assert_eq!(found(&room, &[&manuals], words, None).await, ["manual pump"]);
        assert_eq!(
            found(&room, &[&bills], words, None).await,
            ["bill pump", "second bill pump"]
        );
        let both = found(&room, &[&manuals, &bills], words, None).await;
        assert_eq!(both, ["bill pump", "manual pump", "second bill pump"]);
        let own = titles(&room, &query(words, &[1.0, 0.0, 0.0, 0.0])).await;
        assert_eq!(own, ["own"]);
    }
    let page = Page { after: None, limit: 10 };
    assert_eq!(room.documents.list(&page).await.unwrap().len(), 1);
    let counts = room.vector_stores.get(&bills).await.unwrap();
    assert_eq!((counts.files.completed, counts.files.total()), (2, 2));
    assert_eq!(counts.bytes, ("bill pump".len() + "second bill pump".len()) as u64);
    // What is found does not depend on whether the indexes were saved.
    let (_host, room) = reopen(host).await;
    assert_eq!(
        found(&room, &[&bills], "nothing of it", None).await,
        ["bill pump", "second bill pump"]
    );
    // A document of a store is none of the room's own.
    let mut all = query("bill", &[0.0; DIMENSIONS]);
    all.scope = SearchScope::VectorStores(vec![bills.clone()]);
    let passage = room.documents.search(&all).await.unwrap().remove(0);
    let error = room.documents.get(&passage.document, 0..1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = room.documents.delete(&passage.document).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let sources = room.vector_stores.sources(&[passage.document]).await.unwrap();
    assert!(matches!(&sources[..], [Some((id, name))] if id == &one && name == "one"));
    assert_eq!(room.vector_stores.text(&bills, &one).await.unwrap(), "bill pump");
}

#[tokio::test]
async fn another_room_has_none_of_them() {
    let host = Host::new().await;
    let (acme, zeta) = (host.room("acme").await, host.room("zeta").await);
    let id = store(&acme, "manuals").await;
    let one = file(&acme, "one").await;
    put(&acme, &id, &one, "manual pump", json!({})).await;
    let batch = acme
        .vector_stores
        .add_batch(&id, vec![waiting(&one, json!({}))])
        .await
        .unwrap();
    let stores = &zeta.vector_stores;
    let mut query = query("pump", &[1.0, 0.0, 0.0, 0.0]);
    query.scope = SearchScope::VectorStores(vec![id.clone()]);
    let kinds = [
        stores.get(&id).await.unwrap_err().kind(),
        stores.delete(&id).await.unwrap_err().kind(),
        stores.touch(std::slice::from_ref(&id)).await.unwrap_err().kind(),
        stores.file(&id, &one).await.unwrap_err().kind(),
        stores.text(&id, &one).await.unwrap_err().kind(),
        stores.remove(&id, &one).await.unwrap_err().kind(),
        stores.batch(&id, &batch.id).await.unwrap_err().kind(),
        stores.cancel_batch(&id, &batch.id).await.unwrap_err().kind(),
        zeta.documents.search(&query).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::NotFound; 9]);
    // Nor can its own store have the other room's file.
    let own = store(&zeta, "own").await;
    let error = stores.add(&own, vec![waiting(&one, json!({}))]).await.unwrap_err();
    assert_eq!((error.kind(), error.param()), (ErrorKind::NotFound, Some("file_id")));
    assert!(stores.next_pending().await.unwrap().is_none());
}

#[tokio::test]
async fn a_file_is_found_as_it_was_until_it_is_indexed_anew() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let id = store(&room, "manuals").await;
    let one = file(&room, "one").await;
    put(&room, &id, &one, "first pump", json!({"edition": 1})).await;
    room.vector_stores
        .add(&id, vec![waiting(&one, json!({"edition": 2}))])
        .await
        .unwrap();
    // What it was has the attributes that it is said to have.
    let second = || Some(compare("edition", Comparison::Equal, AttributeValue::Number(2.0)));
    assert_eq!(found(&room, &[&id], "pump", second()).await, ["first pump"]);
    let stored = room.vector_stores.get(&id).await.unwrap();
    assert_eq!(stored.bytes, "first pump".len() as u64);
    let pending = room.vector_stores.next_pending().await.unwrap().unwrap();
    let (document, chunks) = indexed("second pump", [1.0, 0.0, 0.0, 0.0]);
    room.vector_stores
        .complete(&pending, document.clone(), chunks.clone())
        .await
        .unwrap();
    assert_eq!(found(&room, &[&id], "pump", None).await, ["second pump"]);
    assert_eq!(found(&room, &[&id], "pump", second()).await, ["second pump"]);
    // The same wait ends once.
    let error = room
        .vector_stores
        .complete(&pending, document, chunks)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // One that fails stays what it was, with the attributes that it is said to have.
    room.vector_stores
        .add(&id, vec![waiting(&one, json!({"edition": 3}))])
        .await
        .unwrap();
    let pending = room.vector_stores.next_pending().await.unwrap().unwrap();
    let error = IndexingError {
        code: IndexingErrorCode::InvalidFile,
        message: "it is broken".into(),
    };
    room.vector_stores.fail(&pending, error.clone()).await.unwrap();
    let failed = room.vector_stores.file(&id, &one).await.unwrap();
    assert_eq!((failed.status, failed.error), (IndexingStatus::Failed, Some(error)));
    assert_eq!(failed.attributes, metadata(json!({"edition": 3})));
    let third = Some(compare("edition", Comparison::Equal, AttributeValue::Number(3.0)));
    assert_eq!(found(&room, &[&id], "pump", third).await, ["second pump"]);
    assert!(found(&room, &[&id], "pump", second()).await.is_empty());
    assert!(room.vector_stores.next_pending().await.unwrap().is_none());
}

#[tokio::test]
async fn what_waits_is_removed_or_cancelled_and_never_stored() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let id = store(&room, "manuals").await;
    let (one, two) = (file(&room, "one").await, file(&room, "two").await);
    let both = vec![waiting(&one, json!({})), waiting(&two, json!({}))];
    let batch = room.vector_stores.add_batch(&id, both).await.unwrap();
    assert_eq!((batch.files.in_progress, batch.is_cancelled), (2, false));
    let pending = room.vector_stores.next_pending().await.unwrap().unwrap();
    let (document, chunks) = indexed("pump", [1.0, 0.0, 0.0, 0.0]);
    room.vector_stores.remove(&id, &one).await.unwrap();
    let late = room
        .vector_stores
        .complete(&pending, document.clone(), chunks.clone())
        .await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::NotFound);
    let pending = room.vector_stores.next_pending().await.unwrap().unwrap();
    let cancelled = room.vector_stores.cancel_batch(&id, &batch.id).await.unwrap();
    // The one that was removed was never indexed either.
    assert_eq!((cancelled.files.cancelled, cancelled.is_cancelled), (2, true));
    let late = room.vector_stores.complete(&pending, document, chunks).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(found(&room, &[&id], "pump", None).await.is_empty());
    let page = |status, batch, ascending, after, before| VectorStoreFilePage {
        after,
        before,
        limit: 10,
        ascending,
        status,
        batch,
    };
    room.vector_stores
        .add(&id, vec![waiting(&one, json!({}))])
        .await
        .unwrap();
    for (page, expected) in [
        (page(None, None, true, None, None), vec![&two, &one]),
        (page(None, None, false, None, None), vec![&one, &two]),
        (
            page(Some(IndexingStatus::Cancelled), None, true, None, None),
            vec![&two],
        ),
        (page(None, Some(batch.id.clone()), true, None, None), vec![&two, &one]),
        (page(None, None, true, Some(two.clone()), None), vec![&one]),
        (page(None, None, false, None, Some(two.clone())), vec![&one]),
    ] {
        let files = room.vector_stores.files(&id, &page).await.unwrap();
        assert_eq!(
            files.iter().map(|file| &file.file).collect::<Vec<_>>(),
            expected,
            "{page:?}"
        );
    }
}

#[tokio::test]
async fn a_batch_says_what_became_of_its_files() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let stores = &room.vector_stores;
    let id = store(&room, "manuals").await;
    let files = [
        file(&room, "one").await,
        file(&room, "two").await,
        file(&room, "three").await,
    ];
    let all = |edition: u64| {
        files
            .iter()
            .map(|file| waiting(file, json!({"edition": edition})))
            .collect::<Vec<_>>()
    };
    let counts = async |batch: &FileBatchId| {
        let files = stores.batch(&id, batch).await.unwrap().files;
        (files.in_progress, files.completed, files.failed, files.cancelled)
    };
    let complete_next = async || {
        let pending = stores.next_pending().await.unwrap().unwrap();
        let (document, chunks) = indexed("pump", [1.0, 0.0, 0.0, 0.0]);
        stores.complete(&pending, document, chunks).await.unwrap();
    };
    let first = stores.add_batch(&id, all(1)).await.unwrap().id;
    complete_next().await;
    assert_eq!(counts(&first).await, (2, 1, 0, 0));
    // Added again by another batch, what waits for both is done once.
    let second = stores.add_batch(&id, all(2)).await.unwrap().id;
    assert_eq!(
        (counts(&first).await, counts(&second).await),
        ((2, 1, 0, 0), (3, 0, 0, 0))
    );
    complete_next().await;
    complete_next().await;
    assert_eq!(
        (counts(&first).await, counts(&second).await),
        ((1, 2, 0, 0), (1, 2, 0, 0))
    );
    let pending = stores.next_pending().await.unwrap().unwrap();
    let error = IndexingError {
        code: IndexingErrorCode::InvalidFile,
        message: "it is broken".into(),
    };
    stores.fail(&pending, error).await.unwrap();
    assert_eq!(
        (counts(&first).await, counts(&second).await),
        ((0, 2, 1, 0), (0, 2, 1, 0))
    );
    // What is done stays as it was, whatever comes after it.
    let third = stores.add_batch(&id, all(3)).await.unwrap().id;
    stores
        .add(&id, vec![waiting(&files[0], json!({"edition": 4}))])
        .await
        .unwrap();
    let cancelled = stores.cancel_batch(&id, &third).await.unwrap();
    assert_eq!((cancelled.files.cancelled, cancelled.is_cancelled), (3, true));
    let status = async |file: &FileId| stores.file(&id, file).await.unwrap().status;
    assert_eq!(
        status(&files[0]).await,
        IndexingStatus::InProgress,
        "it was added again since"
    );
    assert_eq!(status(&files[1]).await, IndexingStatus::Cancelled);
    complete_next().await;
    room.files.delete(&files[1]).await.unwrap();
    assert_eq!(
        (counts(&first).await, counts(&second).await),
        ((0, 2, 1, 0), (0, 2, 1, 0))
    );
    assert_eq!(counts(&third).await, (0, 0, 0, 3));
    let edition = |number: f64| Some(compare("edition", Comparison::Equal, AttributeValue::Number(number)));
    assert_eq!(found(&room, &[&id], "pump", edition(4.0)).await, ["pump"]);
    assert!(found(&room, &[&id], "pump", edition(2.0)).await.is_empty());
}

#[tokio::test]
async fn a_deleted_file_leaves_every_store() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let stores = [store(&room, "a").await, store(&room, "b").await];
    let (one, two) = (file(&room, "one").await, file(&room, "two").await);
    for id in &stores {
        put(&room, id, &one, &format!("pump one of {id}"), json!({})).await;
        put(&room, id, &two, &format!("pump two of {id}"), json!({})).await;
    }
    room.files.delete(&one).await.unwrap();
    for id in &stores {
        assert_eq!(found(&room, &[id], "pump", None).await, [format!("pump two of {id}")]);
        assert_eq!(room.vector_stores.get(id).await.unwrap().files.total(), 1);
    }
}

#[tokio::test]
async fn a_deleted_store_is_gone_with_its_index() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let (first, second) = (store(&room, "a").await, store(&room, "b").await);
    for number in 0..40 {
        let one = file(&room, &format!("file {number}")).await;
        put(&room, &first, &one, &format!("pump {number}"), json!({})).await;
    }
    let kept = file(&room, "kept").await;
    put(&room, &second, &kept, "the kept pump", json!({})).await;
    let (host, room) = reopen(host).await;
    let index = host.room_folder("acme").join("index-1.usearch");
    assert!(index.exists());
    room.vector_stores.delete(&first).await.unwrap();
    assert!(!index.exists());
    assert_eq!(
        room.vector_stores.get(&first).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(found(&room, &[&second], "pump", None).await, ["the kept pump"]);
    let page = VectorStorePage {
        after: None,
        before: None,
        limit: 10,
        ascending: true,
    };
    let listed = room.vector_stores.list(&page).await.unwrap();
    assert_eq!(listed.iter().map(|store| &store.id).collect::<Vec<_>>(), [&second]);
    // Ids rise, also after the last one was deleted; its files stay.
    assert!(store(&room, "c").await > second);
    assert!(room.files.get(&kept).await.is_ok());
    let (_host, room) = reopen(host).await;
    assert_eq!(found(&room, &[&second], "pump", None).await, ["the kept pump"]);
}

#[tokio::test]
async fn a_store_that_expires_is_not_used_and_is_emptied() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let new = NewVectorStore {
        name: "short".into(),
        description: None,
        metadata: Metadata::new(),
        expires_after_days: Some(1),
    };
    let id = room.vector_stores.create(new).await.unwrap().id;
    let one = file(&room, "one").await;
    put(&room, &id, &one, "pump", json!({})).await;
    room.vector_stores.touch(std::slice::from_ref(&id)).await.unwrap();
    let host = host
        .reopen(|data| {
            let room = connect_room(data);
            room.execute_batch("UPDATE vector_stores SET last_active = last_active - 2 * 86400")
                .unwrap();
        })
        .await;
    let room = host.open(&host.pass("acme").await).await;
    let error = room.vector_stores.touch(std::slice::from_ref(&id)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    let error = room
        .vector_stores
        .add(&id, vec![waiting(&one, json!({}))])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    let expired = room.vector_stores.get(&id).await.unwrap();
    assert_eq!(expired.files.total(), 0);
    assert!(found(&room, &[&id], "pump", None).await.is_empty());
}

#[tokio::test]
async fn filters_compare_attributes_of_their_type() {
    use AttributeValue::{Bool, Number, Text};
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let host = Host::new().await;
    let room = host.room("acme").await;
    let id = store(&room, "manuals").await;
    for (name, attributes) in [
        ("a", json!({"year": 2020, "lang": "de", "draft": true})),
        ("b", json!({"year": 2021.5, "lang": "en", "draft": false})),
        ("c", json!({"year": "2022", "lang": "fr"})),
    ] {
        let one = file(&room, name).await;
        put(&room, &id, &one, name, attributes).await;
    }
    let text = |value: &str| Text(value.into());
    let one_of = |values, is_negated| AttributeFilter::OneOf {
        key: "lang".into(),
        values,
        is_negated,
    };
    let cases: Vec<(AttributeFilter, &[&str])> = vec![
        (compare("year", Equal, Number(2020.0)), &["a"]),
        (compare("year", Greater, Number(2020.0)), &["b"]),
        (compare("year", GreaterOrEqual, Number(2020.0)), &["a", "b"]),
        (compare("year", Less, Number(2021.5)), &["a"]),
        (compare("year", LessOrEqual, Number(2021.5)), &["a", "b"]),
        (compare("year", NotEqual, Number(2020.0)), &["b", "c"]),
        (compare("year", Equal, text("2022")), &["c"]),
        (compare("draft", Equal, Bool(true)), &["a"]),
        (compare("draft", Equal, Number(1.0)), &[]),
        (compare("draft", NotEqual, Bool(true)), &["b", "c"]),
        (compare("lang", Greater, text("de")), &["b", "c"]),
        (compare("none", Equal, text("x")), &[]),
        (compare("none", NotEqual, text("x")), &["a", "b", "c"]),
        (compare("lang' OR 1=1 --", Equal, text("de")), &[]),
        (one_of(vec![text("de"), text("fr")], false), &["a", "c"]),
        (one_of(vec![text("de"), text("fr")], true), &["b"]),
        (
            AttributeFilter::All(vec![
                compare("lang", NotEqual, text("fr")),
                AttributeFilter::Any(vec![
                    compare("draft", Equal, Bool(false)),
                    compare("year", Less, Number(1990.0)),
                ]),
            ]),
            &["b"],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(
            found(&room, &[&id], "nothing", Some(filter.clone())).await,
            expected,
            "{filter:?}"
        );
    }
    room.vector_stores
        .set_attributes(
            &id,
            &room.vector_stores.files(&id, &page()).await.unwrap()[0].file,
            metadata(json!({"lang": "it"})),
        )
        .await
        .unwrap();
    let italian = compare("lang", Equal, text("it"));
    assert_eq!(found(&room, &[&id], "nothing", Some(italian)).await, ["a"]);
    let german = compare("lang", Equal, text("de"));
    assert!(found(&room, &[&id], "nothing", Some(german)).await.is_empty());
    let mut deep = compare("lang", Equal, text("de"));
    for _ in 0..9 {
        deep = AttributeFilter::All(vec![deep]);
    }
    let wide = AttributeFilter::Any(vec![compare("lang", Equal, text("de")); 33]);
    for filter in [
        deep,
        wide,
        AttributeFilter::All(Vec::new()),
        one_of(Vec::new(), false),
        one_of(vec![Bool(true); 129], false),
    ] {
        let mut query = query("x", &[]);
        query.scope = SearchScope::VectorStores(vec![id.clone()]);
        query.attributes = Some(filter);
        let error = room.documents.search(&query).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::InvalidRequest, Some("filters"))
        );
    }
}

fn connect_room(data: &Path) -> rusqlite::Connection {
    #[expect(clippy::disallowed_methods, reason = "tests look into the store from outside")]
    rusqlite::Connection::open(data.join("rooms/acme/room.db")).unwrap()
}

fn page() -> VectorStoreFilePage {
    VectorStoreFilePage {
        after: None,
        before: None,
        limit: 10,
        ascending: true,
        status: None,
        batch: None,
    }
}
