//! Answers under idempotency keys: each in its own room, for a while.

use crate::host::Host;
use bytes::Bytes;
use riad_core::{Digest, ports::StoredResponse};

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
    assert_eq!(room.idempotency.get("k", 0).await.unwrap(), Some(kept));
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
        Some(response(b"newer", 40))
    );
}
