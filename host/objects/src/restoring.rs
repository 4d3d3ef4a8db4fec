//! Reading a snapshot: block by block, each checked before it is written.

use crate::{
    blocks::{self, TRANSFERS, blocking, disk_error},
    errors::damaged,
    keys::{Kind, TenantKey},
    manifest::{FileEntry, Manifest, length_of},
    room_objects::RoomObjects,
};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use riad_core::{
    Error, Result, SnapshotId,
    ports::{EarlierFile, StoredSnapshot},
    snapshot::{RoomPart, Snapshot},
};
use sha2::{Digest as _, Sha256};
use std::{collections::HashMap, fs::File, io::Write, path::PathBuf, sync::Arc};

/// A snapshot that was found and decrypted.
pub struct OpenSnapshot {
    id: SnapshotId,
    manifest: Manifest,
    objects: RoomObjects,
    key: Arc<TenantKey>,
}

impl OpenSnapshot {
    pub(crate) fn new(id: SnapshotId, manifest: Manifest, objects: RoomObjects, key: Arc<TenantKey>) -> Self {
        Self {
            id,
            manifest,
            objects,
            key,
        }
    }

    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.manifest.describe(self.id.clone())
    }

    /// `known` is where the disk has it.
    async fn read_block(
        &self,
        file: &FileEntry,
        number: u64,
        name: &str,
        known: Option<(PathBuf, u64)>,
    ) -> Result<Vec<u8>> {
        let expected = length_of(file.bytes, file.block_bytes, number);
        if let Some((path, offset)) = known
            && let Ok(block) = blocking(move || blocks::read(&path, offset, expected).map_err(disk_error)).await
        {
            return Ok(block);
        }
        let Some(sealed) = self.objects.get_block(name).await? else {
            return Err(self.damaged(file, "lacks a block"));
        };
        let (key, owned) = (Arc::clone(&self.key), name.to_owned());
        let opened = blocking(move || Ok(key.open(Kind::Block, &owned, &sealed))).await?;
        match opened {
            Ok(block) if block.len() as u64 == expected => Ok(block),
            Ok(_) | Err(_) => Err(self.damaged(file, "has a damaged block")),
        }
    }

    fn damaged(&self, file: &FileEntry, what: &str) -> Error {
        damaged(format!("the snapshot {} is damaged: {} {what}", self.id, file.name))
    }
}

#[async_trait]
impl StoredSnapshot for OpenSnapshot {
    fn parts(&self) -> Vec<RoomPart> {
        let part = |file: &FileEntry| RoomPart {
            name: file.name.clone(),
            bytes: file.bytes,
            digest: file.digest,
        };
        self.manifest.files.iter().map(part).collect()
    }

    async fn write(&self, part: &str, mut to: File, earlier: Option<EarlierFile>) -> Result<()> {
        let file = self
            .manifest
            .file(part)
            .ok_or_else(|| Error::not_found(format!("the snapshot {} has no {part}", self.id)))?;
        let known = earlier
            .as_ref()
            .filter(|earlier| earlier.block_bytes == file.block_bytes)
            .map_or_else(HashMap::new, |earlier| {
                (0..)
                    .zip(&earlier.blocks)
                    .map(|(number, name)| (name, number))
                    .collect()
            });
        let place_of = |name: &String| {
            let number: u64 = *known.get(name)?;
            Some((earlier.as_ref()?.path.clone(), number * file.block_bytes))
        };
        let reads: Vec<_> = (0..)
            .zip(&file.blocks)
            .map(|(number, name)| self.read_block(file, number, name, place_of(name)))
            .collect();
        let mut blocks = stream::iter(reads).buffered(TRANSFERS);
        let mut hash = Sha256::new();
        while let Some(block) = blocks.try_next().await? {
            (to, hash) = blocking(move || {
                hash.update(&block);
                to.write_all(&block).map_err(disk_error)?;
                Ok((to, hash))
            })
            .await?;
        }
        blocking(move || to.sync_all().map_err(disk_error)).await?;
        match blocks::digest(hash)? == file.digest {
            true => Ok(()),
            false => Err(self.damaged(file, "has other bytes than were saved")),
        }
    }

    fn earlier(&self, part: &str, path: PathBuf) -> Option<EarlierFile> {
        let file = self.manifest.file(part)?;
        Some(EarlierFile {
            path,
            bytes: file.bytes,
            block_bytes: file.block_bytes,
            blocks: file.blocks.clone(),
        })
    }
}
