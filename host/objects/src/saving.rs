//! Saving a room: what is there already is not sent again.

use crate::{
    blocks::{self, TRANSFERS, block_bytes, blocking, disk_error},
    keys::{Kind, OVERHEAD, TenantKey},
    manifest::{FileEntry, Manifest, length_of},
    room_objects::RoomObjects,
};
use futures::{StreamExt, TryStreamExt, stream};
use riad_core::{
    Result, SnapshotId,
    ports::{CopiedFile, RoomCopy, SaveOutcome},
};
use std::{collections::HashMap, path::PathBuf, sync::Arc};
use uuid::Uuid;

pub(crate) struct Saving {
    pub(crate) objects: RoomObjects,
    pub(crate) key: Arc<TenantKey>,
    /// Whether blocks are sent although they are there: those that are may be damaged.
    pub(crate) is_whole: bool,
}

/// A block to send, unless it is there.
struct Block {
    path: PathBuf,
    offset: u64,
    bytes: u64,
}

impl Saving {
    pub(crate) async fn save(self, copy: &RoomCopy) -> Result<SaveOutcome> {
        let present = match self.is_whole {
            true => HashMap::new(),
            false => self.objects.blocks().await?,
        };
        let present = Arc::new(present);
        let last = self.last().await?;
        let (mut files, mut uploaded_bytes) = (Vec::new(), 0);
        for file in &copy.files {
            let before = last.as_ref().and_then(|(_, manifest)| manifest.file(&file.name));
            let (entry, sent) = self.save_file(file, before, &present).await?;
            files.push(entry);
            uploaded_bytes += sent;
        }
        if let Some((id, manifest)) = &last
            && manifest.files == files
            && manifest.schema == copy.schema
        {
            return Ok(SaveOutcome {
                snapshot: manifest.describe(id.clone()),
                is_new: false,
                uploaded_bytes,
            });
        }
        let manifest = Manifest::new(copy.schema, files);
        let id: SnapshotId = format!("snap_{}", Uuid::now_v7().simple()).parse()?;
        self.objects.put_manifest(&self.key, &id, &manifest).await?;
        Ok(SaveOutcome {
            snapshot: manifest.describe(id),
            is_new: true,
            uploaded_bytes,
        })
    }

    /// The newest one that can be read.
    async fn last(&self) -> Result<Option<(SnapshotId, Manifest)>> {
        let Some(id) = self.objects.snapshots().await?.pop() else {
            return Ok(None);
        };
        match self.objects.manifest(&self.key, &id).await {
            Ok(manifest) => Ok(manifest.map(|manifest| (id, manifest))),
            Err(error) if error.kind() == riad_core::ErrorKind::Conflict => {
                tracing::error!(%error, room = %self.objects.room, "the newest snapshot cannot be read; a new one is written");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Its entry, and the bytes that were sent.
    async fn save_file(
        &self,
        file: &CopiedFile,
        before: Option<&FileEntry>,
        present: &Arc<HashMap<String, u64>>,
    ) -> Result<(FileEntry, u64)> {
        let path = file.path.clone();
        let bytes = blocking(move || Ok(path.metadata().map_err(disk_error)?.len())).await?;
        if let Some(before) = before.filter(|before| file.is_fixed && before.bytes == bytes)
            && is_present(before, present)
        {
            return Ok((before.clone(), 0));
        }
        let path = file.path.clone();
        let (digest, bytes) = blocking(move || blocks::digest_of(&path).map_err(disk_error)).await?;
        let block_bytes = block_bytes(file.is_fixed);
        let saved: Vec<(String, u64)> = stream::iter(0..bytes.div_ceil(block_bytes))
            .map(|number| {
                let block = Block {
                    path: file.path.clone(),
                    offset: number * block_bytes,
                    bytes: length_of(bytes, block_bytes, number),
                };
                self.save_block(block, Arc::clone(present))
            })
            .buffered(TRANSFERS)
            .try_collect()
            .await?;
        let sent = saved.iter().map(|(_, sent)| sent).sum();
        let entry = FileEntry {
            name: file.name.clone(),
            bytes,
            digest,
            block_bytes,
            blocks: saved.into_iter().map(|(name, _)| name).collect(),
        };
        Ok((entry, sent))
    }

    /// Its name, and the bytes that were sent.
    async fn save_block(&self, block: Block, present: Arc<HashMap<String, u64>>) -> Result<(String, u64)> {
        let key = Arc::clone(&self.key);
        let (name, sealed) = blocking(move || {
            let bytes = blocks::read(&block.path, block.offset, block.bytes).map_err(disk_error)?;
            let name = key.name_of(&bytes);
            // One of another length was cut off.
            let is_there = present.get(&name) == Some(&(block.bytes + OVERHEAD));
            let sealed = match is_there {
                true => None,
                false => Some(key.seal(Kind::Block, &name, &bytes)?),
            };
            Ok((name, sealed))
        })
        .await?;
        let Some(sealed) = sealed else {
            return Ok((name, 0));
        };
        let sent = sealed.len() as u64;
        self.objects.put_block(&name, sealed).await?;
        Ok((name, sent))
    }
}

fn is_present(file: &FileEntry, present: &HashMap<String, u64>) -> bool {
    (0..)
        .zip(&file.blocks)
        .all(|(number, name)| present.get(name) == Some(&file.object_bytes(number)))
}
