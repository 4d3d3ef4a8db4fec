//! A room that comes from elsewhere. An archive may come from anybody: nothing of it is unpacked under a name of its own, and nothing is visible
//! before all of it has been checked.

use crate::{
    adapters,
    error::StoreResult,
    files,
    generations::{self, FILES},
    indexes, room,
    room_check::{self, Remedy, RoomReport},
    room_copy::forget_place,
    room_repair,
    room_schema::{self, SCHEMA},
    sqlite::{self, Database},
    staged::Staged,
};
use riad_core::{Error, ErrorKind, snapshot::RoomPart};
use rusqlite::Connection;
use std::{
    collections::{BTreeSet, HashSet},
    fs::{self, File},
    path::{Path, PathBuf},
};

/// Characters that are told of what is refused.
const WORDS_MAX: usize = 500;

/// What a room comes from, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Archive,
    Snapshot,
}

/// A room that is being written beside the place where it will be. Dropped, it leaves nothing.
pub(crate) struct IncomingRoom {
    staged: Staged,
    folder: PathBuf,
    parts: Vec<RoomPart>,
    origin: Origin,
}

impl Origin {
    /// Their own words may be anything.
    pub(crate) fn refused(self, what: impl std::fmt::Display) -> Error {
        let what: String = what.to_string().chars().take(WORDS_MAX).flat_map(printable).collect();
        Error::invalid(match self {
            Self::Archive => format!(
                "this is no archive of a room that can be imported: {what}. Nothing was imported; export the room again, from a server that finds no fault in it (riad room check)"
            ),
            Self::Snapshot => format!(
                "this snapshot cannot be restored: {what}. Nothing was restored; name another one (riad room snapshots)"
            ),
        })
    }

    fn is_filled(self) -> Error {
        Error::new(
            ErrorKind::Conflict,
            match self {
                Self::Archive => "this tenant's room has something in it; import into the room of a new tenant",
                Self::Snapshot => {
                    "this tenant's room has something in it; move its folder out of the data folder, or restore into the room of a new tenant"
                }
            },
        )
    }

    /// Where a part lies below the room's folder; `None` if it has none of this name.
    fn place_of(self, part: &str) -> Option<PathBuf> {
        match indexes::number_of(part) {
            // usearch trusts what it loads; of a snapshot it is what this room has saved.
            Some(number) => (self == Self::Snapshot && part == indexes::file_name(number)).then(|| PathBuf::from(part)),
            None => place_of(part),
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Snapshot => "snapshot",
        }
    }
}

impl IncomingRoom {
    /// In the place of a room that is empty or not there; `most` is how many bytes it may have.
    pub(crate) fn begin(folder: &Path, parts: &[RoomPart], most: u64, origin: Origin) -> StoreResult<Self> {
        if !is_empty(folder)? {
            return Err(origin.is_filled().into());
        }
        check_parts(parts, most, origin)?;
        let parent = folder
            .parent()
            .ok_or_else(|| Error::internal("a room without a folder above it"))?;
        let staged = Staged::create(parent)?;
        for part in generations::FOLDERS {
            files::create_folder(&staged.0.join(part))?;
        }
        Ok(Self {
            staged,
            folder: folder.to_owned(),
            parts: parts.to_vec(),
            origin,
        })
    }

    /// The file of a part, for the one who writes it.
    pub(crate) fn create(&self, part: &str) -> StoreResult<(PathBuf, File)> {
        let path = self.path_of(part)?;
        if let Some(folder) = path.parent() {
            files::create_folder(folder)?;
        }
        let file = File::create_new(&path)?;
        Ok((path, file))
    }

    /// Checks all of it and puts it in place. Returns what is in it.
    pub(crate) fn finish(self) -> StoreResult<RoomReport> {
        let refused = |what: &str| self.origin.refused(what);
        self.check_parts_and_schema()?;
        let staged = &self.staged.0;
        let found = room_check::check(staged)?;
        if let Some(fault) = found.faults.iter().find(|fault| fault.remedy == Remedy::Nothing) {
            return Err(refused(&fault.what).into());
        }
        let report = room_repair::mend(staged, &found)?;
        if let Some(fault) = report.faults.first() {
            return Err(refused(&fault.what).into());
        }
        self.put_in_place()?;
        Ok(report)
    }

    /// As [`Self::finish`], of a room that was open a moment ago and whose bytes are known to be the same: its words are not made again to be
    /// compared, which would take seconds while nothing of it can be changed.
    pub(crate) fn finish_same(self) -> StoreResult<()> {
        self.check_parts_and_schema()?;
        self.put_in_place()
    }

    fn check_parts_and_schema(&self) -> StoreResult<()> {
        for part in &self.parts {
            let written = self.path_of(&part.name)?.metadata();
            if !written.is_ok_and(|written| written.len() == part.bytes) {
                return Err(self
                    .origin
                    .refused(format!("the part {} is not whole", part.name))
                    .into());
            }
        }
        let database = self.staged.0.join(room::DATABASE);
        check_schema(&database, self.origin)?;
        forget_place(&database, &self.indexes())
    }

    fn indexes(&self) -> BTreeSet<i64> {
        let numbers = self.parts.iter().filter_map(|part| indexes::number_of(&part.name));
        numbers.collect()
    }

    fn put_in_place(&self) -> StoreResult<()> {
        let staged = &self.staged.0;
        for part in generations::FOLDERS {
            files::sync_folder(&staged.join(part))?;
        }
        files::sync_folder(staged)?;
        files::remove_folder(&self.folder)?;
        fs::rename(staged, &self.folder)?;
        if let Some(parent) = self.folder.parent() {
            files::sync_folder(parent)?;
        }
        Ok(())
    }

    pub(crate) fn path_of(&self, part: &str) -> StoreResult<PathBuf> {
        let place = self
            .origin
            .place_of(part)
            .ok_or_else(|| self.origin.refused(format!("no room has a part \"{part}\"")))?;
        Ok(self.staged.0.join(place))
    }
}

fn printable(c: char) -> impl Iterator<Item = char> {
    let (plain, escaped) = match c.is_control() || c == char::REPLACEMENT_CHARACTER {
        true => (None, Some(c.escape_unicode())),
        false => (Some(c), None),
    };
    plain.into_iter().chain(escaped.into_iter().flatten())
}

/// Whether nothing would be lost if the room were not there.
fn is_empty(folder: &Path) -> StoreResult<bool> {
    let database = folder.join(room::DATABASE);
    if !database.try_exists()? {
        return Ok(!folder.try_exists()?);
    }
    if folder.join(room::PLUGIN_DATABASE).try_exists()? {
        return Ok(false);
    }
    let connection = sqlite::open_read_only(&database)?;
    room::check_version(&connection)?;
    Ok(connection.query_row(
        "SELECT NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE seq > 0) AND NOT EXISTS (SELECT 1 FROM kv)
            AND NOT EXISTS (SELECT 1 FROM replies) AND NOT EXISTS (SELECT 1 FROM uploads) AND NOT EXISTS (SELECT 1 FROM state WHERE key IN ('settings', 'pipeline'))",
        [],
        |row| row.get(0),
    )?)
}

/// Where a part lies below a room's folder; `None` if a room has none of this name.
fn place_of(name: &str) -> Option<PathBuf> {
    let is_digest = |name: &str| name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let parts: Vec<&str> = name.split('/').collect();
    let is_part = match parts.as_slice() {
        [database] => [room::DATABASE, room::PLUGIN_DATABASE].contains(database),
        [FILES, digest] => is_digest(digest),
        ["plugins", file] => file.strip_suffix(".wasm").is_some_and(is_digest),
        ["adapters", generation, file] => is_digest(generation) && adapters::FILE_NAMES.contains(file),
        _ => false,
    };
    is_part.then(|| PathBuf::from(name))
}

fn check_parts(parts: &[RoomPart], most: u64, origin: Origin) -> StoreResult<()> {
    let mut names = HashSet::new();
    let mut bytes = 0_u64;
    for part in parts {
        if origin.place_of(&part.name).is_none() || !names.insert(part.name.as_str()) {
            return Err(origin
                .refused(format!(
                    "no room has a part \"{}\", or it is there twice",
                    part.name.escape_debug()
                ))
                .into());
        }
        bytes = bytes.saturating_add(part.bytes);
    }
    if !names.contains(room::DATABASE) {
        return Err(origin.refused(format!("it has no {}", room::DATABASE)).into());
    }
    if bytes > most {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "the {} has {bytes} bytes, a room may have {most} (limits.room_bytes)",
                origin.noun()
            ),
        )
        .into());
    }
    Ok(())
}

/// Brings it up to date, and refuses one that has other tables, or anything that runs by itself, than a room has.
fn check_schema(database: &Path, origin: Origin) -> StoreResult<()> {
    let opened = Database::open(database, &SCHEMA).map_err(|failure| origin.refused(Error::from(failure).message()))?;
    let found = opened.read(schema_of)?;
    opened.close();
    match found == schema_of(&room_schema::scratch()?)? {
        true => Ok(()),
        false => Err(origin.refused("its room.db has other tables than a room").into()),
    }
}

fn schema_of(connection: &Connection) -> StoreResult<HashSet<(String, String, Option<String>)>> {
    let mut statement = connection.prepare("SELECT type, name, sql FROM sqlite_schema")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
