//! The `AdapterStore` port of a room: generations as folders named by their digest, aliases in `room.db`.
//! Not here: whether an adapter fits the model, and its tensors (`engine`).
//!
//! A generation's folder goes when no alias points to it and no request holds it. All writing and sweeping happens under
//! the room's lock over files, and so does resolving: what was resolved cannot be swept before it is pinned.

use crate::{
    error::{Failure, Outcome, in_turn},
    files, names,
    room::{FolderLock, RoomState},
};
use async_trait::async_trait;
use parking_lot::Mutex;
use riad_core::{
    AdapterAlias, Digest, Error, ErrorKind, Result,
    adapter::{Adapter, AdapterFiles, AdapterInfo, AdapterSource},
    ports::AdapterStore,
};
use rusqlite::{OptionalExtension, Row};
use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

pub(crate) struct RoomAdapters(pub(crate) Arc<RoomState>);

/// The generations of a room that requests hold, by the names of their folders.
#[derive(Default)]
pub(crate) struct Pins(Mutex<HashMap<String, Weak<()>>>);

impl Pins {
    fn pin(&self, generation: &str) -> Arc<()> {
        let mut pins = self.0.lock();
        if let Some(pin) = pins.get(generation).and_then(Weak::upgrade) {
            return pin;
        }
        pins.retain(|_, pin| pin.strong_count() > 0);
        let pin = Arc::new(());
        pins.insert(generation.to_owned(), Arc::downgrade(&pin));
        pin
    }

    fn holds(&self, generation: &str) -> bool {
        self.0.lock().get(generation).is_some_and(|pin| pin.strong_count() > 0)
    }
}

#[async_trait]
impl AdapterStore for RoomAdapters {
    async fn put(&self, alias: &AdapterAlias, files: &AdapterFiles, info: &AdapterInfo) -> Result<Adapter> {
        let (room, alias, files, info) = (self.0.clone(), alias.clone(), files.clone(), info.clone());
        in_turn(&self.0.filing, move || put(&room, alias, &files, info)).await
    }

    async fn list(&self) -> Result<Vec<Adapter>> {
        let room = self.0.clone();
        in_turn(&self.0.database.reading, move || {
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
        in_turn(&self.0.database.reading, move || resolve(&room, &alias)).await
    }

    async fn delete(&self, alias: &AdapterAlias) -> Result<()> {
        let (room, alias) = (self.0.clone(), alias.clone());
        in_turn(&self.0.filing, move || {
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

/// Deletes the folders that no alias points to and no request pins, and unfinished files. The lock proves that no file is being
/// written.
pub(crate) fn sweep(room: &RoomState, _lock: &FolderLock<'_>) -> Outcome<()> {
    let pointed_to: HashSet<String> = room.database.read(|connection| {
        let mut statement = connection.prepare_cached("SELECT generation FROM adapters")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|row| Ok(row?.parse::<Digest>()?.hex())).collect()
    })?;
    for entry in fs::read_dir(shelf(room))? {
        let entry = entry?;
        let name = entry.file_name();
        let keep = name
            .to_str()
            .is_some_and(|name| pointed_to.contains(name) || room.pins.holds(name));
        if !keep {
            files::remove_folder(&entry.path())?;
        }
    }
    for entry in fs::read_dir(room.folder.join("plugins"))?.chain(fs::read_dir(&room.folder)?) {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(files::UNFINISHED) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn put(room: &RoomState, alias: AdapterAlias, adapter: &AdapterFiles, info: AdapterInfo) -> Outcome<Adapter> {
    let generation = adapter.generation();
    let lock = room.lock_folder()?;
    let folder = shelf(room).join(generation.hex());
    if !is_whole(&folder, adapter) {
        files::remove_folder(&folder)?;
        let content: [(&str, &[u8]); 2] = [(CONFIG, &adapter.config), (WEIGHTS, &adapter.weights)];
        files::write_folder(&shelf(room), &generation.hex(), &content)?;
    }
    let stored = Adapter {
        alias,
        generation,
        info,
        created: names::now(),
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

fn resolve(room: &RoomState, alias: &AdapterAlias) -> Outcome<AdapterSource> {
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
    let folder = shelf(room).join(adapter.generation.hex());
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
    if let Err(error) = sweep(room, lock) {
        tracing::warn!(%error, "adapter files that nobody uses were not deleted");
    }
}

fn shelf(room: &RoomState) -> PathBuf {
    room.folder.join("adapters")
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
    fn finish(self) -> Outcome<Adapter> {
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
