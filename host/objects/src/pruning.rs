//! Removing snapshots that are not kept, and blocks that none names.

use crate::{keys::TenantKey, room_objects::RoomObjects};
use riad_core::Result;
use std::collections::HashSet;

/// Keeps the newest `keep`, at least one.
pub(crate) async fn prune(objects: &RoomObjects, key: &TenantKey, keep: usize) -> Result<()> {
    let ids = objects.snapshots().await?;
    let surplus = ids.len().saturating_sub(keep.max(1));
    let (surplus, kept) = ids.split_at(surplus);
    objects.delete_snapshots(surplus).await?;
    let mut named: HashSet<String> = HashSet::new();
    for id in kept {
        // One that cannot be read names blocks that nobody knows: then all stay.
        if let Some(manifest) = objects.manifest(key, id).await? {
            named.extend(manifest.blocks().into_iter().map(str::to_owned));
        }
    }
    let blocks = objects.blocks().await?;
    objects
        .delete_blocks(blocks.keys().filter(|name| !named.contains(*name)))
        .await
}
