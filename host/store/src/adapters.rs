//! The `AdapterStore` port of a room: generations as folders named by their digest, aliases in `room.db`.
//! Not here: whether an adapter fits the model, and its tensors (`engine`).
//!
//! A generation's folder goes when no alias keeps it and no request holds it. All writing and sweeping happens under
//! the room's lock over files, and so does resolving: what was resolved cannot be swept before it is pinned.

use crate::{
    error::{Failure, StoreResult, run_with_permit},
    files, generations,
    room::RoomState,
};
use async_trait::async_trait;
use riad_core::{
    AdapterAlias, Digest, Error, ErrorKind, Result, Timestamp,
    adapter::{Adapter, AdapterChange, AdapterFiles, AdapterInfo, AdapterSource, CONFIG, KeptGeneration, WEIGHTS},
    ports::AdapterStore,
};
use rusqlite::{Connection, OptionalExtension, Row};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Of a generation's folder.
pub(crate) const FILE_NAMES: [&str; 2] = [CONFIG, WEIGHTS];

/// Reads an [`AdapterRow`].
const SELECT: &str = "SELECT alias, generation, rank, bytes, tensors, created, pinned FROM adapters";

/// A room, and the bytes that it may store.
pub(crate) struct RoomAdapters(pub(crate) Arc<RoomState>, pub(crate) u64);

#[async_trait]
impl AdapterStore for RoomAdapters {
    async fn put(&self, alias: &AdapterAlias, files: &AdapterFiles, info: &AdapterInfo) -> Result<Adapter> {
        let (room, most) = (self.0.clone(), self.1);
        let (alias, files, info) = (alias.clone(), files.clone(), info.clone());
        run_with_permit(&self.0.file_permits, move || put(&room, most, alias, &files, info)).await
    }

    async fn list(&self) -> Result<Vec<Adapter>> {
        let read = self.0.query(|connection| {
            let mut statement = connection.prepare_cached(&format!("{SELECT} ORDER BY alias"))?;
            let rows = statement.query_map([], read_row)?;
            rows.map(|row| row?.finish()).collect()
        });
        read.await
    }

    async fn generations(&self, alias: &AdapterAlias) -> Result<Vec<KeptGeneration>> {
        let alias = alias.clone();
        self.0.query(move |connection| generations(connection, &alias)).await
    }

    async fn change(&self, alias: &AdapterAlias, change: AdapterChange) -> Result<Adapter> {
        let (room, alias) = (self.0.clone(), alias.clone());
        run_with_permit(&self.0.file_permits, move || {
            // Under the lock, so that no sweep takes the files away in between.
            let _lock = room.lock_folder()?;
            room.database.write_reserved(|connection| match change {
                AdapterChange::RollBack(wanted) => roll_back(&room, connection, &alias, wanted),
                AdapterChange::Pin(pinned) => {
                    connection.execute(
                        "UPDATE adapters SET pinned = ?2 WHERE alias = ?1",
                        (alias.as_str(), pinned),
                    )?;
                    find(connection, &alias)?.ok_or_else(|| no_such_alias(&alias))
                }
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
            room.write_reserved(|connection| {
                if connection.execute("DELETE FROM adapters WHERE alias = ?1", [alias.as_str()])? == 0 {
                    return Err(no_such_alias(&alias));
                }
                connection.execute("DELETE FROM adapter_generations WHERE alias = ?1", [alias.as_str()])?;
                Ok(())
            })?;
            room.sweep_later(&lock);
            Ok(())
        })
        .await
    }
}

fn put(
    room: &RoomState,
    most: u64,
    alias: AdapterAlias,
    adapter: &AdapterFiles,
    info: AdapterInfo,
) -> StoreResult<Adapter> {
    let generation = adapter.generation();
    room.database.check_disk()?;
    let lock = room.lock_folder()?;
    let more = room.database.read(|connection| {
        let after = bytes_after(connection, &alias, &generation, info.bytes, room.adapter_generations)?;
        Ok(after.saturating_sub(bytes_before(connection)?))
    })?;
    // One of the same size can be replaced in a full room.
    if more > 0 {
        room.storage(most).check(more)?;
    }
    let folder = generations::folder(&room.folder).join(generation.hex());
    if !is_whole(&folder, adapter) {
        files::remove_folder(&folder)?;
        let content: [(&str, &[u8]); 2] = [(CONFIG, &adapter.config), (WEIGHTS, &adapter.weights)];
        files::write_folder(&generations::folder(&room.folder), &generation.hex(), &content)?;
    }
    let created = Timestamp::now().as_seconds();
    let stored = room.write(|connection| {
        let kept = KeptGeneration {
            generation,
            info,
            created,
            current: true,
        };
        // After a rollback the serving generation is not the last one. It becomes the one that a rollback of this upload goes back to.
        connection.execute(
            "UPDATE adapter_generations SET number = (SELECT MAX(number) FROM adapter_generations) + 1
                WHERE alias = ?1 AND generation = (SELECT generation FROM adapters WHERE alias = ?1)",
            [alias.as_str()],
        )?;
        insert_generation(connection, &alias, &kept, room.adapter_generations)?;
        let adapter = point(connection, &alias, &kept.generation)?;
        // Documents may have been stored since the first check.
        if more > 0 {
            room.check_quota(connection, most)?;
        }
        Ok(adapter)
    });
    // Of a refused one too.
    room.sweep_later(&lock);
    stored
}

/// The generation that is in the folder of this one; `None` if there is none.
pub(crate) fn stored_generation(room: &Path, generation: &Digest) -> StoreResult<Option<Digest>> {
    let folder = generations::folder(room).join(generation.hex());
    let read = |name: &str| match fs::read(folder.join(name)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    Ok(match (read(CONFIG)?, read(WEIGHTS)?) {
        (Some(config), Some(weights)) => Some(Digest::of_parts(&[&config, &weights])),
        (Some(_) | None, Some(_) | None) => None,
    })
}

/// Bytes of all generations.
fn bytes_before(connection: &Connection) -> StoreResult<u64> {
    let bytes: i64 = connection
        .prepare_cached(
            "SELECT coalesce(sum(bytes), 0) FROM
                (SELECT max(bytes) AS bytes FROM adapter_generations GROUP BY generation)",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(bytes.cast_unsigned())
}

/// Bytes of all generations once a new one is the last of the alias, which forgets its oldest for it.
fn bytes_after(connection: &Connection, alias: &AdapterAlias, new: &Digest, bytes: u64, most: u32) -> StoreResult<u64> {
    let others: i64 = connection
        .prepare_cached(
            "SELECT coalesce(sum(bytes), 0) FROM
                (SELECT max(bytes) AS bytes FROM adapter_generations
                    WHERE generation <> ?2 AND (alias <> ?1 OR number IN
                        (SELECT number FROM adapter_generations WHERE alias = ?1 AND generation <> ?2
                            ORDER BY number DESC LIMIT ?3))
                    GROUP BY generation)",
        )?
        .query_row((alias.as_str(), new.to_string(), most.saturating_sub(1)), |row| {
            row.get(0)
        })?;
    Ok(others.cast_unsigned().saturating_add(bytes))
}

/// The generation becomes the last one of the alias, and the oldest ones that are too many are forgotten.
fn insert_generation(
    connection: &Connection,
    alias: &AdapterAlias,
    new: &KeptGeneration,
    most: u32,
) -> StoreResult<()> {
    connection.execute(
        "DELETE FROM adapter_generations WHERE alias = ?1 AND generation = ?2",
        (alias.as_str(), new.generation.to_string()),
    )?;
    connection.execute(
        "INSERT INTO adapter_generations (alias, generation, rank, bytes, tensors, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            alias.as_str(),
            new.generation.to_string(),
            new.info.rank,
            new.info.bytes.cast_signed(),
            new.info.tensors,
            new.created.cast_signed(),
        ),
    )?;
    connection.execute(
        "DELETE FROM adapter_generations WHERE alias = ?1 AND number NOT IN
            (SELECT number FROM adapter_generations WHERE alias = ?1 ORDER BY number DESC LIMIT ?2)",
        (alias.as_str(), most),
    )?;
    Ok(())
}

/// Points the alias to one of its kept generations. An alias that is new is not pinned; another one stays as it is.
fn point(connection: &Connection, alias: &AdapterAlias, to: &Digest) -> StoreResult<Adapter> {
    connection.execute(
        "INSERT INTO adapters (alias, generation, rank, bytes, tensors, created)
            SELECT alias, generation, rank, bytes, tensors, created FROM adapter_generations
                WHERE alias = ?1 AND generation = ?2
            ON CONFLICT (alias) DO UPDATE SET generation = excluded.generation, rank = excluded.rank,
            bytes = excluded.bytes, tensors = excluded.tensors, created = excluded.created",
        (alias.as_str(), to.to_string()),
    )?;
    find(connection, alias)?.ok_or_else(|| no_such_alias(alias))
}

/// The last upload first.
fn generations(connection: &Connection, alias: &AdapterAlias) -> StoreResult<Vec<KeptGeneration>> {
    let current = find(connection, alias)?.ok_or_else(|| no_such_alias(alias))?.generation;
    let mut statement = connection.prepare_cached(
        "SELECT alias, generation, rank, bytes, tensors, created, 0 FROM adapter_generations
            WHERE alias = ?1 ORDER BY number DESC",
    )?;
    let rows = statement.query_map([alias.as_str()], read_row)?;
    rows.map(|row| {
        let kept = row?.finish()?;
        Ok(KeptGeneration {
            generation: kept.generation,
            info: kept.info,
            created: kept.created,
            current: kept.generation == current,
        })
    })
    .collect()
}

fn roll_back(
    room: &RoomState,
    connection: &Connection,
    alias: &AdapterAlias,
    wanted: Option<Digest>,
) -> StoreResult<Adapter> {
    let kept = generations(connection, alias)?;
    let found = match wanted {
        Some(wanted) => kept.iter().find(|kept| kept.generation == wanted).ok_or_else(|| {
            Error::not_found(format!(
                "adapter \"{alias}\" keeps no generation {wanted}; GET /v1/adapters/{alias}/generations lists those that it keeps"
            ))
        }),
        None => kept.iter().skip_while(|kept| !kept.current).nth(1).ok_or_else(|| {
            Error::new(
                ErrorKind::Conflict,
                format!(
                    "adapter \"{alias}\" keeps no generation before its current one; name one that GET /v1/adapters/{alias}/generations lists"
                ),
            )
        }),
    }?;
    check_files(room, alias, &found.generation, found.info.bytes)?;
    point(connection, alias, &found.generation)
}

fn resolve(room: &RoomState, alias: &AdapterAlias) -> StoreResult<AdapterSource> {
    let _lock = room.lock_folder()?;
    let adapter = room
        .database
        .read(|connection| find(connection, alias))?
        .ok_or_else(|| Error::new(ErrorKind::ModelNotFound, format!("there is no adapter \"{alias}\"")))?;
    Ok(AdapterSource {
        generation: adapter.generation,
        folder: check_files(room, alias, &adapter.generation, adapter.info.bytes)?,
        tensors: adapter.info.tensors,
        pin: room.pins.pin(&adapter.generation.hex()),
    })
}

/// The folder of a generation whose files are whole.
fn check_files(room: &RoomState, alias: &AdapterAlias, generation: &Digest, bytes: u64) -> StoreResult<PathBuf> {
    let folder = generations::folder(&room.folder).join(generation.hex());
    if !folder.join(CONFIG).is_file() || length(&folder.join(WEIGHTS)) != Some(bytes) {
        return Err(Failure::Known(Error::new(
            ErrorKind::Unavailable,
            format!("the files of adapter \"{alias}\" are missing on the server's disk; upload the adapter again"),
        )));
    }
    Ok(folder)
}

fn find(connection: &Connection, alias: &AdapterAlias) -> StoreResult<Option<Adapter>> {
    let found = connection
        .prepare_cached(&format!("{SELECT} WHERE alias = ?1"))?
        .query_row([alias.as_str()], read_row)
        .optional()?;
    found.map(AdapterRow::finish).transpose()
}

fn no_such_alias(alias: &AdapterAlias) -> Failure {
    Failure::Known(Error::not_found(format!("there is no adapter \"{alias}\"")))
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

/// Whether a row of alias, generation, rank, bytes, tensors, created and pinned is one of an adapter.
pub(crate) fn check_row(row: &Row<'_>) -> StoreResult<()> {
    read_row(row)?.finish().map(drop)
}

struct AdapterRow {
    alias: String,
    generation: String,
    rank: u32,
    bytes: i64,
    tensors: u32,
    created: i64,
    pinned: bool,
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
            pinned: self.pinned,
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
        pinned: row.get(6)?,
    })
}
