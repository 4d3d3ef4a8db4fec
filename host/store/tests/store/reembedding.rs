//! A server with another embedding model than the one that made a room's vectors.

use crate::host::{Host, add, metadata, query, space, titles};
use riad_core::{
    Digest, Limits,
    document::{NewChunk, NewDocument, Position, SearchQuery, embedded_text},
    ports::{EmbeddingSpace, Room},
};
use riad_store::Store;
use serde_json::json;

fn other() -> EmbeddingSpace {
    EmbeddingSpace {
        model: "other-embedder".into(),
        dimensions: 2,
    }
}

fn by_vector(vector: &[f32]) -> SearchQuery {
    query("", vector)
}

/// Chunks of the room "full" with a vector of so many bytes.
fn embedded(host: &Host, bytes: i64) -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the test looks into the store from outside")]
    let connection = rusqlite::Connection::open(host.room_folder("full").join("room.db")).unwrap();
    let sql = "SELECT count(*) FROM chunks WHERE length(embedding) = ?1";
    connection.query_row(sql, [bytes], |row| row.get(0)).unwrap()
}

/// Embeds the next chunks: those of "x" as one vector, all others as another.
async fn embed(room: &Room, most: u32) -> usize {
    let next = room.documents.next_unembedded(most).await.unwrap();
    let embedded = next.iter().map(|chunk| {
        let vector = if chunk.title == "x" { [1.0, 0.0] } else { [0.0, 1.0] };
        (chunk.key, vector.to_vec())
    });
    room.documents.set_embeddings(embedded.collect()).await.unwrap();
    next.len()
}

#[tokio::test]
async fn chunks_of_another_model_are_found_by_words_until_they_are_embedded_again() {
    let host = Host::new().await;
    let (full, empty) = (host.create_tenant("full").await, host.create_tenant("empty").await);
    let room = host.open(&full).await;
    add(&room, "x", "lamp", [1.0, 0.0, 0.0, 0.0], json!({"of": "x"})).await;
    let gone = add(&room, "gone", "lamp", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    add(&room, "y", "chair", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    host.open(&empty).await;
    assert_eq!(room.documents.unembedded(), 0);
    assert_eq!(room.documents.next_unembedded(10).await.unwrap(), []);
    drop(room);
    host.store.close().await.unwrap();

    let store = Store::open(host.data(), other(), &Limits::default()).unwrap();
    let room = store.rooms().open(&empty).await.unwrap();
    assert_eq!(room.documents.unembedded(), 0);
    let room = store.rooms().open(&full).await.unwrap();
    assert_eq!(room.documents.unembedded(), 3);
    // No chunk was touched when the room was opened, and no vector of the other model is read.
    assert_eq!(embedded(&host, 16), 3);
    assert_eq!(titles(&room, &by_vector(&[1.0, 0.1])).await, Vec::<String>::new());
    let mut filtered = by_vector(&[1.0, 0.1]);
    filtered.filter = metadata(json!({"of": "x"}));
    assert_eq!(titles(&room, &filtered).await, Vec::<String>::new());
    assert_eq!(titles(&room, &query("chair", &[1.0, 0.1])).await, ["y"]);
    // What is new has a vector of the new model.
    let document = NewDocument {
        title: "new".into(),
        text: "lamp".into(),
        metadata: metadata(json!({})),
        file: None,
    };
    let chunk = NewChunk {
        text: "lamp".into(),
        offset: 0,
        position: Position::default(),
        embedding: vec![0.7, 0.7],
    };
    room.documents.insert(document, vec![chunk], None).await.unwrap();
    assert_eq!(titles(&room, &by_vector(&[1.0, 0.1])).await, ["new"]);

    let next = room.documents.next_unembedded(2).await.unwrap();
    assert_eq!(
        next.iter().map(|chunk| chunk.title.as_str()).collect::<Vec<_>>(),
        ["x", "gone"]
    );
    assert_eq!((next[0].text.as_str(), next[0].heading.len()), ("lamp", 0));
    // Deleted between reading and writing.
    room.documents.delete(&gone.id).await.unwrap();
    let vectors = next.iter().map(|chunk| (chunk.key, vec![1.0, 0.0])).collect();
    room.documents.set_embeddings(vectors).await.unwrap();
    assert_eq!(room.documents.unembedded(), 1);
    assert_eq!(titles(&room, &by_vector(&[1.0, 0.1])).await, ["x", "new"]);
    // As after a crash: what is done stays, and what is open is not forgotten.
    drop((room, store));
    let store = Store::open(host.data(), other(), &Limits::default()).unwrap();
    let room = store.rooms().open(&full).await.unwrap();
    assert_eq!(room.documents.unembedded(), 1);
    assert_eq!(embed(&room, 10).await, 1);
    assert_eq!((embed(&room, 10).await, room.documents.unembedded()), (0, 0));
    assert_eq!(titles(&room, &by_vector(&[1.0, 0.1])).await, ["x", "new", "y"]);
    assert_eq!(titles(&room, &filtered).await, ["x"]);
    assert_eq!((embedded(&host, 16), embedded(&host, 8)), (0, 3));
    drop(room);
    store.close().await.unwrap();

    // Back to the first one before the end: everything again, and nothing twice.
    let store = Store::open(host.data(), space(), &Limits::default()).unwrap();
    let room = store.rooms().open(&full).await.unwrap();
    assert_eq!(room.documents.unembedded(), 4);
    let next = room.documents.next_unembedded(10).await.unwrap();
    let wrong = next.iter().map(|chunk| (chunk.key, vec![1.0, 0.0])).collect();
    room.documents.set_embeddings(wrong).await.unwrap_err();
    let vectors = next.iter().map(|chunk| (chunk.key, vec![1.0, 0.0, 0.0, 0.0])).collect();
    room.documents.set_embeddings(vectors).await.unwrap();
    assert_eq!(
        titles(&room, &by_vector(&[1.0, 0.1, 0.0, 0.0])).await,
        ["x", "y", "new"]
    );
}

#[tokio::test]
async fn the_last_chunks_may_be_deleted_meanwhile() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let room = host.open(&pass).await;
    add(&room, "x", "lamp", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    let last = add(&room, "y", "chair", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    drop(room);
    host.store.close().await.unwrap();
    let store = Store::open(host.data(), other(), &Limits::default()).unwrap();
    let room = store.rooms().open(&pass).await.unwrap();
    room.documents.delete(&last.id).await.unwrap();
    assert_eq!(embed(&room, 1).await, 1);
    // The keys of deleted chunks are waited for until somebody looks.
    assert_eq!((room.documents.unembedded(), embed(&room, 1).await), (1, 0));
    assert_eq!(room.documents.unembedded(), 0);
    assert_eq!(titles(&room, &by_vector(&[1.0, 0.1])).await, ["x"]);
}

#[tokio::test]
async fn a_text_that_the_model_has_embedded_has_its_vector() {
    let host = Host::new().await;
    let full = host.create_tenant("full").await;
    let room = host.open(&full).await;
    let digest = |title: &str, text: &str| Digest::of(embedded_text(title, &[], text).as_bytes());
    let known = [digest("x", "lamp"), digest("x", "chair"), digest("y", "lamp")];
    assert_eq!(
        room.documents.find_embeddings(&known).await.unwrap(),
        [None, None, None]
    );
    let id = add(&room, "x", "lamp", [0.0, 2.0, 0.0, 0.0], json!({})).await;
    let found = room.documents.find_embeddings(&known).await.unwrap();
    assert_eq!(
        found,
        [Some(vec![0.0, 1.0, 0.0, 0.0]), None, None],
        "as the index has it"
    );
    let other_room = host.open(&host.create_tenant("other").await).await;
    assert_eq!(
        other_room.documents.find_embeddings(&known).await.unwrap(),
        [None, None, None]
    );
    drop((room, other_room));
    host.store.close().await.unwrap();

    // Not that of another model.
    let store = Store::open(host.data(), other(), &Limits::default()).unwrap();
    let room = store.rooms().open(&full).await.unwrap();
    assert_eq!(
        room.documents.find_embeddings(&known).await.unwrap(),
        [None, None, None]
    );
    assert_eq!(embed(&room, 10).await, 1);
    assert_eq!(
        room.documents.find_embeddings(&known).await.unwrap(),
        [Some(vec![1.0, 0.0]), None, None]
    );
    room.documents.delete(&id.id).await.unwrap();
    assert_eq!(
        room.documents.find_embeddings(&known).await.unwrap(),
        [None, None, None]
    );
}
