//! Answers under idempotency keys: each in its own room, for a while.

use crate::host::Host;
use bytes::Bytes;
use riad_core::{
    Digest,
    document::{Metadata, NewDocument, Page},
    ports::{KeptRequest, RequestMark, StoredObject, StoredResponse},
};

fn response(body: &'static [u8], created: u64) -> StoredResponse {
    StoredResponse {
        request: Digest::of(body),
        status: 200,
        content_type: "application/json".into(),
        body: Bytes::from_static(body),
        created,
    }
}

#[tokio::test]
async fn an_answer_is_kept_in_its_room_also_after_a_restart() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let other = host.room("globex").await;
    // Bytes, not text.
    let kept = response(b"\xff\0{}", 100);
    room.idempotency.put("k", &kept, 0).await.unwrap();
    assert_eq!(other.idempotency.get("k", 0).await.unwrap(), None);
    assert_eq!(room.idempotency.get("K", 0).await.unwrap(), None);
    drop((room, other));
    let host = host.reopen(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(
        room.idempotency.get("k", 0).await.unwrap(),
        Some(KeptRequest::Answered(kept))
    );
}

#[tokio::test]
async fn an_expired_response_is_not_returned_and_is_deleted_later() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    room.idempotency.put("old", &response(b"old", 10), 0).await.unwrap();
    room.idempotency.put("new", &response(b"new", 20), 0).await.unwrap();
    assert!(room.idempotency.get("old", 10).await.unwrap().is_some());
    assert_eq!(room.idempotency.get("old", 11).await.unwrap(), None);
    room.idempotency
        .put("third", &response(b"third", 30), 11)
        .await
        .unwrap();
    // Gone for every age.
    assert_eq!(room.idempotency.get("old", 0).await.unwrap(), None);
    assert!(room.idempotency.get("new", 11).await.unwrap().is_some());
    // The last answer under a key holds.
    room.idempotency.put("new", &response(b"newer", 40), 11).await.unwrap();
    assert_eq!(
        room.idempotency.get("new", 11).await.unwrap(),
        Some(KeptRequest::Answered(response(b"newer", 40)))
    );
}

#[tokio::test]
async fn a_document_and_the_mark_of_its_request_survive_a_kill_together() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let document = NewDocument {
        title: "T".into(),
        text: "text".into(),
        metadata: Metadata::new(),
        file: None,
    };
    let request = Digest::of(b"the request");
    let mark = RequestMark {
        key: "k".into(),
        request,
    };
    let made = room.documents.insert(document, vec![], Some(mark)).await.unwrap();
    drop(room);
    // Before its answer is kept.
    let host = host.reopen_unclosed(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    let stored = KeptRequest::Stored {
        request,
        object: StoredObject::Document(made.id.clone()),
    };
    assert_eq!(room.idempotency.get("k", 0).await.unwrap(), Some(stored));
    let page = Page { after: None, limit: 10 };
    assert_eq!(room.documents.list(&page).await.unwrap(), [made]);
    let answer = response(b"{}", 100);
    room.idempotency.put("k", &answer, 0).await.unwrap();
    let kept = room.idempotency.get("k", 0).await.unwrap();
    assert_eq!(kept, Some(KeptRequest::Answered(answer)));
}
