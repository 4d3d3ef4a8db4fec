//! The `AdapterStore` port of a room: generations as folders named by their digest, aliases in `room.db`.
//! Not here: whether an adapter fits the model, and its tensors (`engine`).
//!
//! A generation's folder goes when no alias points to it and no request holds it. All writing and sweeping happens under
//! the room's lock over files, and so does resolving: what was resolved cannot be swept before it is pinned.

use crate::{
    error::{Failure, StoreResult, run_with_permit},
    files,
    generations::{self, FolderLock},
    room::RoomState,
};
use async_trait::async_trait;
use riad_core::{
    AdapterAlias, Error, ErrorKind, Result, Timestamp,
    adapter::{Adapter, AdapterFiles, AdapterInfo, AdapterSource},
    ports::AdapterStore,
};
use rusqlite::{OptionalExtension, Row};
use std::{fs, path::Path, sync::Arc};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

pub(crate) struct RoomAdapters(pub(crate) Arc<RoomState>);

#[async_trait]
impl AdapterStore for RoomAdapters {
    async fn put(&self, alias: &AdapterAlias, files: &AdapterFiles, info: &AdapterInfo) -> Result<Adapter> {
        let (room, alias, files, info) = (self.0.clone(), alias.clone(), files.clone(), info.clone());
        run_with_permit(&self.0.file_permits, move || put(&room, alias, &files, info)).await
    }

    async fn list(&self) -> Result<Vec<Adapter>> {
        let room = self.0.clone();
        run_with_permit(&self.0.database.read_permits, move || {
            room.database.read(|connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT alias, generation, rank, bytes, tensors, created FROM adapters ORDER BY alias",
                )?;
                let rows = statement.query_map([], read_row)?;
                rows.map(|row| row?.finish()).collect()
            })
        })
        .await
    }

    async fn resolve(&self, alias: &AdapterAlias) -> Result<AdapterSource> {
        let (room, alias) = (self.0.clone(), alias.clone());
        run_with_permit(&self.0.database.read_permits, move || resolve(&room, &alias)).await
    }

    async fn delete(&self, alias: &AdapterAlias) -> Result<()> {
        let (room, alias) = (self.0.clone(), alias.clone());
        run_with_permit(&self.0.file_permits, move || {
            let lock = room.lock_folder()?;
            room.database.write(|connection| {
                if connection.execute("DELETE FROM adapters WHERE alias = ?1", [alias.as_str()])? == 0 {
                    return Err(Error::not_found(format!("there is no adapter \"{alias}\"")).into());
                }
                Ok(())
            })?;
            sweep_later(&room, &lock);
            Ok(())
        })
        .await
    }
}

fn put(room: &RoomState, alias: AdapterAlias, adapter: &AdapterFiles, info: AdapterInfo) -> StoreResult<Adapter> {
    let generation = adapter.generation();
    let lock = room.lock_folder()?;
    let folder = generations::folder(&room.folder).join(generation.hex());
    if !is_whole(&folder, adapter) {
        files::remove_folder(&folder)?;
        let content: [(&str, &[u8]); 2] = [(CONFIG, &adapter.config), (WEIGHTS, &adapter.weights)];
        files::write_folder(&generations::folder(&room.folder), &generation.hex(), &content)?;
    }
    let stored = Adapter {
        alias,
        generation,
        info,
        created: Timestamp::now().as_seconds(),
    };
    room.database.write(|connection| {
        connection.execute(
            "INSERT OR REPLACE INTO adapters (alias, generation, rank, bytes, tensors, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                stored.alias.as_str(),
                stored.generation.to_string(),
                stored.info.rank,
                stored.info.bytes.cast_signed(),
                stored.info.tensors,
                stored.created.cast_signed(),
            ),
        )?;
        Ok(())
    })?;
    sweep_later(room, &lock);
    Ok(stored)
}

fn resolve(room: &RoomState, alias: &AdapterAlias) -> StoreResult<AdapterSource> {
    let _lock = room.lock_folder()?;
    let found = room.database.read(|connection| {
        Ok(connection
            .prepare_cached("SELECT alias, generation, rank, bytes, tensors, created FROM adapters WHERE alias = ?1")?
            .query_row([alias.as_str()], read_row)
            .optional()?)
    })?;
    let adapter = found
        .ok_or_else(|| Error::new(ErrorKind::ModelNotFound, format!("there is no adapter \"{alias}\"")))?
        .finish()?;
    let folder = generations::folder(&room.folder).join(adapter.generation.hex());
    if !folder.join(CONFIG).is_file() || length(&folder.join(WEIGHTS)) != Some(adapter.info.bytes) {
        return Err(Failure::Known(Error::new(
            ErrorKind::Unavailable,
            format!("the files of adapter \"{alias}\" are missing on the server's disk; upload the adapter again"),
        )));
    }
    Ok(AdapterSource {
        generation: adapter.generation,
        folder,
        tensors: adapter.info.tensors,
        pin: room.pins.pin(&adapter.generation.hex()),
    })
}

/// The alias is stored; a folder that cannot be deleted now is deleted at a later sweep.
fn sweep_later(room: &RoomState, lock: &FolderLock<'_>) {
    if let Err(error) = generations::sweep(&room.folder, &room.database, &room.pins, lock) {
        tracing::warn!(%error, "adapter files that nobody uses were not deleted");
    }
}

fn is_whole(folder: &Path, adapter: &AdapterFiles) -> bool {
    length(&folder.join(CONFIG)) == Some(adapter.config.len() as u64)
        && length(&folder.join(WEIGHTS)) == Some(adapter.weights.len() as u64)
}

fn length(path: &Path) -> Option<u64> {
    fs::metadata(path)
        .ok()
        .filter(fs::Metadata::is_file)
        .map(|file| file.len())
}

struct AdapterRow {
    alias: String,
    generation: String,
    rank: u32,
    bytes: i64,
    tensors: u32,
    created: i64,
}

impl AdapterRow {
    fn finish(self) -> StoreResult<Adapter> {
        Ok(Adapter {
            alias: self.alias.parse()?,
            generation: self.generation.parse()?,
            info: AdapterInfo {
                rank: self.rank,
                bytes: self.bytes.cast_unsigned(),
                tensors: self.tensors,
            },
            created: self.created.cast_unsigned(),
        })
    }
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<AdapterRow> {
    Ok(AdapterRow {
        alias: row.get(0)?,
        generation: row.get(1)?,
        rank: row.get(2)?,
        bytes: row.get(3)?,
        tensors: row.get(4)?,
        created: row.get(5)?,
    })
}
