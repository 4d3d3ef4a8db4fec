//! The original of a document that came as a file: a file of the room that comes, counts and goes with it.

use crate::host::{DIMENSIONS, Host};
use riad_core::{
    Digest, ErrorKind, FileId, Limits, Result,
    document::{Document, DocumentFile, Metadata, NewChunk, NewDocument, Original, Page, Position},
    file::{FilePage, FilePurpose},
    ports::Room,
    vector_store::{NewVectorStore, NewVectorStoreFile},
};
use std::fs;

const BYTES: &[u8] = b"%PDF canaryoriginal";

fn document(title: &str, source: &str, bytes: &[u8]) -> (NewDocument, Vec<NewChunk>) {
    let file = DocumentFile {
        media_type: "application/pdf".into(),
        warnings: Vec::new(),
        source: Digest::of(source.as_bytes()),
        original: Some(Original {
            name: format!("{title}.pdf"),
            bytes: bytes.to_vec().into(),
        }),
    };
    let document = NewDocument {
        title: title.into(),
        text: title.into(),
        metadata: Metadata::new(),
        file: Some(file),
    };
    let chunk = NewChunk {
        text: title.into(),
        offset: 0,
        position: Position::default(),
        embedding: [1.0; DIMENSIONS].to_vec(),
    };
    (document, vec![chunk])
}

async fn add(room: &Room, title: &str, bytes: &[u8]) -> Result<Document> {
    let (document, chunks) = document(title, title, bytes);
    room.documents.insert(document, chunks, None).await
}

async fn listed(room: &Room) -> Vec<Document> {
    let page = Page {
        after: None,
        limit: 100,
    };
    room.documents.list(&page).await.unwrap()
}

async fn files(room: &Room) -> Vec<(FileId, String)> {
    let page = FilePage {
        after: None,
        limit: 100,
        purpose: Some(FilePurpose::UserData),
        ascending: true,
    };
    let listed = room.files.list(&page).await.unwrap();
    listed.into_iter().map(|file| (file.id, file.name)).collect()
}

fn on_disk(host: &Host) -> usize {
    fs::read_dir(host.room_folder("acme").join("files")).unwrap().count()
}

#[tokio::test]
async fn an_original_is_a_file_as_long_as_its_document() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let one = add(&room, "one", BYTES).await.unwrap();
    let two = add(&room, "two", BYTES).await.unwrap();
    let [first, second] = [&one, &two].map(|document| document.file.clone().unwrap());
    assert_eq!(
        files(&room).await,
        [
            (first.clone(), "one.pdf".to_owned()),
            (second.clone(), "two.pdf".to_owned())
        ]
    );
    assert_eq!(on_disk(&host), 1, "the same bytes are there once");
    drop(room);
    let host = host.reopen_unclosed(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(listed(&room).await, [one.clone(), two.clone()]);
    let read = room.files.open(&first).await.unwrap().read(1_000).await.unwrap();
    assert_eq!(read, BYTES);
    room.documents.delete(&one.id).await.unwrap();
    assert_eq!(room.files.get(&first).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(on_disk(&host), 1, "the other document has it");
    // A file that the client deletes leaves its document there.
    room.files.delete(&second).await.unwrap();
    let left = listed(&room).await;
    assert_eq!((left.len(), &left[0].id, &left[0].file), (1, &two.id, &None));
    assert_eq!(on_disk(&host), 0);
    room.documents.delete(&two.id).await.unwrap();
    assert_eq!(files(&room).await, []);
}

#[tokio::test]
async fn a_vector_store_loses_an_original_with_its_document() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let one = add(&room, "one", BYTES).await.unwrap();
    let store = NewVectorStore {
        name: "s".into(),
        description: None,
        metadata: Metadata::new(),
        expires_after_days: None,
    };
    let store = room.vector_stores.create(store).await.unwrap().id;
    let file = NewVectorStoreFile {
        file: one.file.clone().unwrap(),
        attributes: Metadata::new(),
        chunk_size: None,
    };
    room.vector_stores.add(&store, vec![file]).await.unwrap();
    let pending = room.vector_stores.next_pending().await.unwrap().unwrap();
    let (mut copy, chunks) = document("copy", "copy", BYTES);
    copy.file.as_mut().unwrap().original = None;
    room.vector_stores.complete(&pending, copy, chunks).await.unwrap();
    assert_eq!(
        files(&room).await.len(),
        1,
        "a file of a store has no original of its own"
    );
    room.documents.delete(&one.id).await.unwrap();
    assert_eq!(room.vector_stores.get(&store).await.unwrap().files.total(), 0);
    assert_eq!((files(&room).await.len(), on_disk(&host)), (0, 0));
}

#[tokio::test]
async fn an_original_whose_document_is_not_stored_is_not_kept() {
    let host = Host::with(Limits {
        room_bytes: 4 << 20,
        ..Default::default()
    })
    .await;
    let room = host.room("acme").await;
    add(&room, "one", BYTES).await.unwrap();
    // The same source, with other bytes so that they can be told apart.
    let refused = add(&room, "one", b"other bytes").await.unwrap_err();
    assert_eq!(
        (refused.kind(), on_disk(&host), files(&room).await.len()),
        (ErrorKind::Conflict, 1, 1)
    );
    let before = host.open(&host.pass("acme").await).await.storage.stored;
    let refused = add(&room, "big", &vec![b'x'; 5 << 20]).await.unwrap_err();
    assert_eq!((refused.kind(), on_disk(&host)), (ErrorKind::StorageFull, 1));
    assert_eq!(listed(&room).await.len(), 1);
    let big = add(&room, "big", &vec![b'x'; 2 << 20]).await.unwrap();
    let stored = host.open(&host.pass("acme").await).await.storage.stored;
    assert!(stored >= before + (2 << 20), "it counts: {before} {stored}");
    room.documents.delete(&big.id).await.unwrap();
    let stored = host.open(&host.pass("acme").await).await.storage.stored;
    assert!(stored < before + (1 << 20), "{before} {stored}");
}
