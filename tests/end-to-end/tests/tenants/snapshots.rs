//! Rooms of a running server in an object store: saved after a change, when they close and at the end, and deleted with their tenant.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use riad_core::Secret;
use riad_end_to_end::TestHost;
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(60);

async fn host(folder: &TempDir, interval: u64) -> TestHost {
    let url = format!("file://{}", folder.path().display());
    TestHost::builder()
        .config(|config| {
            config.objects.url = Some(url);
            config.objects.snapshot_interval_s = interval;
        })
        .secrets(|secrets| secrets.snapshot_key = Some(Secret::new(STANDARD.encode([7; 32]))))
        .start()
        .await
}

/// Snapshots of all rooms.
fn snapshots(store: &Path) -> usize {
    let Ok(rooms) = fs::read_dir(store.join("rooms")) else {
        return 0;
    };
    rooms
        .map(|room| fs::read_dir(room.unwrap().path().join("snapshots")).map_or(0, Iterator::count))
        .sum()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_saved_by_themselves_and_go_with_their_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(&folder, 1).await;
    let acme = host.tenant("acme").await;
    acme.add_document("Refunds", "The window is 41 days.").await;
    until("the room is saved", || snapshots(folder.path()) >= 1).await;
    host.operator.delete("/operator/v1/tenants/acme").await.ok();
    assert_eq!(snapshots(folder.path()), 0);
    let left = fs::read_dir(folder.path().join("rooms")).unwrap();
    for room in left {
        let key = room.unwrap().path().join("key");
        assert!(!key.exists(), "{}", key.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_saved_yet_is_saved_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = host(&folder, 100_000).await;
    let acme = host.tenant("acme").await;
    acme.add_document("Refunds", "The window is 41 days.").await;
    assert_eq!(snapshots(folder.path()), 0);
    host.stop().await.unwrap();
    assert_eq!(snapshots(folder.path()), 1);
}
