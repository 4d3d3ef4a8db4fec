//! Plugins' values: kept until their time is over, counted, bounded. Not here: what guests see of them (`sandbox`).

use crate::host::Host;
use riad_core::{
    Error, ErrorKind, Limits, Result,
    ports::{KV_VALUE_BYTES, Room},
};
use std::{fmt::Debug, time::Duration};

const HOUR: u32 = 3600;

fn assert_kind<T: Debug>(result: Result<T>, kind: ErrorKind, words: &str) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains(words), "{error}");
    error
}

/// The room of acme, as the next request gets it.
async fn again(host: &Host) -> Room {
    host.open(&host.pass("acme").await).await
}

#[tokio::test]
async fn a_value_is_kept_until_it_is_replaced_or_deleted() {
    let host = Host::new().await;
    let kv = host.room("acme").await.kv;
    assert_eq!(kv.get("a").await.unwrap(), None);
    kv.set("a", b"one".to_vec(), HOUR).await.unwrap();
    kv.set("b", Vec::new(), HOUR).await.unwrap();
    kv.set("a", b"two".to_vec(), HOUR).await.unwrap();
    // Another request of the tenant.
    let kv = again(&host).await.kv;
    assert_eq!(kv.get("a").await.unwrap(), Some(b"two".to_vec()));
    assert_eq!(kv.get("b").await.unwrap(), Some(Vec::new()));
    assert!(kv.delete("a").await.unwrap());
    assert!(!kv.delete("a").await.unwrap());
    assert_eq!(kv.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn a_neighbor_has_values_of_its_own() {
    let host = Host::new().await;
    let (acme, globex) = (host.room("acme").await.kv, host.room("globex").await.kv);
    acme.set("secret", b"canary".to_vec(), HOUR).await.unwrap();
    assert_eq!(globex.get("secret").await.unwrap(), None);
    assert_eq!(globex.increment("secret", 1, HOUR).await.unwrap(), 1);
    assert_eq!(acme.get("secret").await.unwrap(), Some(b"canary".to_vec()));
}

#[tokio::test]
async fn a_value_whose_time_is_over_is_not_there() {
    let host = Host::new().await;
    let kv = host.room("acme").await.kv;
    kv.set("short", b"x".to_vec(), 1).await.unwrap();
    kv.set("long", b"y".to_vec(), HOUR).await.unwrap();
    assert_eq!(kv.increment("window", 5, 1).await.unwrap(), 5);
    // Adding does not lengthen its time.
    assert_eq!(kv.increment("window", 1, HOUR).await.unwrap(), 6);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(kv.get("short").await.unwrap(), None);
    assert!(!kv.delete("short").await.unwrap());
    assert_eq!(kv.increment("window", 1, HOUR).await.unwrap(), 1);
    assert_eq!(kv.get("long").await.unwrap(), Some(b"y".to_vec()));
}

#[tokio::test]
async fn increments_at_the_same_time_are_all_counted() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let adding: Vec<_> = (0..8)
        .map(|_| {
            let kv = room.kv.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    kv.increment("count", 2, HOUR).await.unwrap();
                }
            })
        })
        .collect();
    for task in adding {
        task.await.unwrap();
    }
    assert_eq!(room.kv.increment("count", -80, HOUR).await.unwrap(), 0);
    assert_eq!(room.kv.get("count").await.unwrap(), Some(vec![0; 8]));
}

#[tokio::test]
async fn what_is_no_number_is_not_added_to() {
    let host = Host::new().await;
    let kv = host.room("acme").await.kv;
    kv.set("text", b"twelve".to_vec(), HOUR).await.unwrap();
    assert_kind(
        kv.increment("text", 1, HOUR).await,
        ErrorKind::InvalidRequest,
        "has 6 bytes",
    );
    kv.set("most", i64::MAX.to_le_bytes().to_vec(), HOUR).await.unwrap();
    assert_kind(
        kv.increment("most", 1, HOUR).await,
        ErrorKind::InvalidRequest,
        "64 bits",
    );
    assert_eq!(kv.get("most").await.unwrap(), Some(i64::MAX.to_le_bytes().to_vec()));
}

#[tokio::test]
async fn keys_values_and_times_have_bounds() {
    use ErrorKind::InvalidRequest;
    let host = Host::new().await;
    let kv = host.room("acme").await.kv;
    kv.set(&"k".repeat(256), vec![7; KV_VALUE_BYTES], 31_536_000)
        .await
        .unwrap();
    assert_eq!(kv.get(&"k".repeat(256)).await.unwrap().unwrap().len(), KV_VALUE_BYTES);
    for key in [String::new(), "k".repeat(257)] {
        assert_kind(kv.get(&key).await, InvalidRequest, "1 to 256 bytes");
        assert_kind(kv.set(&key, Vec::new(), 1).await, InvalidRequest, "1 to 256 bytes");
        assert_kind(kv.delete(&key).await, InvalidRequest, "1 to 256 bytes");
        assert_kind(kv.increment(&key, 1, 1).await, InvalidRequest, "1 to 256 bytes");
    }
    let large = kv.set("a", vec![7; KV_VALUE_BYTES + 1], 1).await;
    assert_kind(large, InvalidRequest, "65537 bytes");
    for seconds in [0, 31_536_001, u32::MAX] {
        assert_kind(kv.set("a", Vec::new(), seconds).await, InvalidRequest, "seconds");
        assert_kind(kv.increment("a", 1, seconds).await, InvalidRequest, "seconds");
    }
    assert_eq!(kv.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn a_room_keeps_only_so_many_values() {
    let host = Host::with(Limits {
        kv_values: 3,
        ..Limits::default()
    })
    .await;
    let kv = host.room("acme").await.kv;
    for key in ["a", "b"] {
        kv.set(key, Vec::new(), HOUR).await.unwrap();
    }
    kv.set("short", Vec::new(), 1).await.unwrap();
    assert_kind(
        kv.set("c", Vec::new(), HOUR).await,
        ErrorKind::PluginLimit,
        "limits.kv_values",
    );
    assert_kind(
        kv.increment("c", 1, HOUR).await,
        ErrorKind::PluginLimit,
        "limits.kv_values",
    );
    // One that is there can be replaced.
    kv.set("a", b"new".to_vec(), HOUR).await.unwrap();
    // One whose time is over makes room.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    kv.set("c", Vec::new(), HOUR).await.unwrap();
}

#[tokio::test]
async fn values_count_as_stored_bytes() {
    let host = Host::with(Limits {
        room_bytes: 1 << 20,
        ..Limits::default()
    })
    .await;
    let room = host.room("acme").await;
    let (before, kv) = (room.storage.stored, room.kv);
    let mut kept = 0;
    let refused = loop {
        match kv.set(&format!("key {kept}"), vec![7; KV_VALUE_BYTES], HOUR).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::StorageFull, "{refused}");
    assert!((4..16).contains(&kept), "{kept}");
    assert!(again(&host).await.storage.stored >= before + kept * KV_VALUE_BYTES as u64);
    assert_eq!(kv.get(&format!("key {kept}")).await.unwrap(), None);
    // Deleting makes room.
    assert!(kv.delete("key 0").await.unwrap());
    kv.set("again", vec![7; KV_VALUE_BYTES], HOUR).await.unwrap();
}

#[tokio::test]
async fn the_calls_of_one_request_share_a_time() {
    let host = Host::with(Limits {
        kv_request_ms: 1,
        ..Limits::default()
    })
    .await;
    let room = host.room("acme").await;
    let refused = loop {
        if let Err(error) = room.kv.set("a", vec![7; 1000], HOUR).await {
            break error;
        }
    };
    assert_eq!(refused.kind(), ErrorKind::PluginLimit, "{refused}");
    assert!(refused.message().contains("have taken 1 ms"), "{refused}");
    // The next request has its own.
    again(&host).await.kv.get("a").await.unwrap();
}

#[tokio::test]
async fn values_survive_a_restart() {
    let host = Host::new().await;
    host.room("acme")
        .await
        .kv
        .set("a", b"one".to_vec(), HOUR)
        .await
        .unwrap();
    let host = host.reopen_unclosed(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(room.kv.get("a").await.unwrap(), Some(b"one".to_vec()));
}
