//! Removing snapshots that are not kept, and blocks that none names.

use crate::{keys::TenantKey, manifest::Manifest, room_objects::RoomObjects};
use riad_core::{Result, SnapshotId};
use std::collections::HashSet;

/// `newest` has just been written.
pub(crate) async fn prune(
    objects: &RoomObjects,
    key: &TenantKey,
    newest: (&SnapshotId, &Manifest),
    keep: usize,
) -> Result<()> {
    let ids = objects.snapshots().await?;
    let surplus = ids.len().saturating_sub(keep.max(1));
    let (surplus, kept) = ids.split_at(surplus);
    objects.delete_snapshots(surplus).await?;
    let mut named: HashSet<String> = names(newest.1);
    for id in kept.iter().filter(|id| *id != newest.0) {
        // One that cannot be read names blocks that nobody knows: then all stay.
        if let Some(manifest) = objects.manifest(key, id).await? {
            named.extend(names(&manifest));
        }
    }
    let blocks = objects.blocks().await?;
    objects
        .delete_blocks(blocks.keys().filter(|name| !named.contains(*name)))
        .await
}

fn names(manifest: &Manifest) -> HashSet<String> {
    manifest.blocks().into_iter().map(str::to_owned).collect()
}
