//! A room as one file: a tar archive of its databases and files, and before them a manifest with the SHA-256 of each. Not here: whether a room is
//! sound (`room_check`).
//!
//! The vector index is not in it: whoever opens the room builds it. The room's id is not either, because it is the account's that has the room.
//! An archive may come from anybody: nothing of it is unpacked under a name of its own, and nothing is visible before all of it has been checked.

use crate::{
    adapters,
    error::StoreResult,
    files,
    generations::{self, FILES, KEPT_FILES},
    plugins, room,
    room_check::{self, Remedy, RoomReport, digest_of},
    room_repair,
    room_schema::{self, SCHEMA},
    sqlite::{self, Database},
};
use riad_core::{Digest, Error, ErrorKind, Timestamp};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// Characters that are told of an archive that is refused.
const WORDS_MAX: usize = 500;
const MANIFEST: &str = "manifest.json";
/// Of some ten thousand parts.
const MANIFEST_BYTES: u64 = 16 << 20;
/// Changes with anything that makes older programs read an archive wrongly.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    /// The schema version of its `room.db`.
    schema: u32,
    /// Seconds since 1970-01-01 UTC.
    created: u64,
    parts: Vec<Part>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    name: String,
    bytes: u64,
    digest: Digest,
}

/// Writes the room into a file that is not there yet. Returns what is in it.
pub(crate) fn export(folder: &Path, archive: &Path) -> StoreResult<RoomReport> {
    // Before the room is read, which may take long.
    let (target, unfinished) = begin_archive(archive)?;
    let report = room_check::check(folder)?;
    if let Some(fault) = report.faults.iter().find(|fault| fault.remedy == Remedy::Nothing) {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("the room is damaged, so that it was not exported: {}", fault.what),
        )
        .into());
    }
    let staged = Staged::create(folder)?;
    let copy = staged.0.join(room::DATABASE);
    copy_database(&folder.join(room::DATABASE), &copy)?;
    forget_place(&copy)?;
    let mut sources = vec![(room::DATABASE.to_owned(), copy.clone())];
    let plugin_database = folder.join(room::PLUGIN_DATABASE);
    if plugin_database.try_exists()? {
        let copy = staged.0.join(room::PLUGIN_DATABASE);
        copy_database(&plugin_database, &copy)?;
        sources.push((room::PLUGIN_DATABASE.to_owned(), copy));
    }
    for name in named_files(&copy)? {
        let path = folder.join(&name);
        sources.push((name, path));
    }
    let mut parts = Vec::new();
    for (name, path) in &sources {
        let (digest, bytes) = digest_of(path)?;
        parts.push(Part {
            name: name.clone(),
            bytes,
            digest,
        });
    }
    let manifest = serde_json::to_vec(&Manifest {
        format: FORMAT,
        schema: SCHEMA.version(),
        created: Timestamp::now().as_seconds(),
        parts,
    })?;
    write_archive(target, &manifest, &sources)?;
    unfinished.keep();
    Ok(report)
}

/// Puts the room of an archive in the place of one that is empty or not there. Returns what is in it.
pub(crate) fn import(archive: &Path, folder: &Path, most: u64) -> StoreResult<RoomReport> {
    if !is_empty(folder)? {
        return Err(Error::new(
            ErrorKind::Conflict,
            "this tenant's room has something in it; import into the room of a new tenant",
        )
        .into());
    }
    let opened = File::open(archive).map_err(|error| {
        let text = format!("{} cannot be opened: {error}", archive.display());
        Error::new(ErrorKind::NotFound, text)
    })?;
    let parent = folder
        .parent()
        .ok_or_else(|| Error::internal("a room without a folder above it"))?;
    let staged = Staged::create(parent)?;
    unpack(opened, &staged.0, most)?;
    let database = staged.0.join(room::DATABASE);
    check_schema(&database)?;
    forget_place(&database)?;
    let found = room_check::check(&staged.0)?;
    if let Some(fault) = found.faults.iter().find(|fault| fault.remedy == Remedy::Nothing) {
        return Err(refused(&fault.what).into());
    }
    let report = room_repair::mend(&staged.0, &found)?;
    if let Some(fault) = report.faults.first() {
        return Err(refused(&fault.what).into());
    }
    for part in generations::FOLDERS {
        files::sync_folder(&staged.0.join(part))?;
    }
    files::sync_folder(&staged.0)?;
    files::remove_folder(folder)?;
    fs::rename(&staged.0, folder)?;
    files::sync_folder(parent)?;
    Ok(report)
}

/// A file that goes when it is dropped, unless it is kept.
struct UnfinishedArchive(Option<PathBuf>);

impl UnfinishedArchive {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for UnfinishedArchive {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // The reason for the failure is what counts.
            let _ = fs::remove_file(path);
        }
    }
}

fn begin_archive(path: &Path) -> StoreResult<(File, UnfinishedArchive)> {
    let file = File::create_new(path).map_err(|error| match error.kind() == io::ErrorKind::AlreadyExists {
        true => Error::new(
            ErrorKind::Conflict,
            format!("{} is there already; name a file that is not", path.display()),
        ),
        false => Error::new(
            ErrorKind::InvalidRequest,
            format!("{} cannot be written: {error}", path.display()),
        ),
    })?;
    Ok((file, UnfinishedArchive(Some(path.to_owned()))))
}

/// A folder that goes when it is dropped, unless it was renamed.
struct Staged(PathBuf);

impl Staged {
    fn create(parent: &Path) -> StoreResult<Self> {
        let path = parent.join(format!("{}{}", files::UNFINISHED, Uuid::now_v7().simple()));
        files::create_folder(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = files::remove_folder(&self.0);
    }
}

/// The archive's own words may be anything.
fn refused(what: impl std::fmt::Display) -> Error {
    let what: String = what.to_string().chars().take(WORDS_MAX).flat_map(printable).collect();
    Error::invalid(format!(
        "this is no archive of a room that can be imported: {what}. Nothing was imported; export the room again, from a server that finds no fault in it (riad room check)"
    ))
}

fn printable(c: char) -> impl Iterator<Item = char> {
    let (plain, escaped) = match c.is_control() || c == char::REPLACEMENT_CHARACTER {
        true => (None, Some(c.escape_unicode())),
        false => (Some(c), None),
    };
    plain.into_iter().chain(escaped.into_iter().flatten())
}

/// One state of the database, without what was deleted from it.
fn copy_database(from: &Path, to: &Path) -> StoreResult<()> {
    let connection = sqlite::open_read_only(from)?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    Ok(())
}

/// What belongs to the room's place and not to the room: its id, lines for its server's audit log, and what is said of the files of its indexes.
fn forget_place(database: &Path) -> StoreResult<()> {
    let connection = sqlite::open(database)?;
    connection.execute(
        "DELETE FROM state WHERE key IN (?1, 'audit_lines') OR key LIKE 'index\\_%' ESCAPE '\\'",
        [room::ROOM_ID],
    )?;
    connection.execute("DELETE FROM changes", [])?;
    close(connection)
}

/// Leaves one file.
fn close(connection: Connection) -> StoreResult<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Below the room's folder, those that its database names.
fn named_files(database: &Path) -> StoreResult<Vec<String>> {
    let connection = sqlite::open_read_only(database)?;
    let digests = |sql: &str| -> StoreResult<Vec<Digest>> {
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|row| Ok(row?.parse()?)).collect()
    };
    let mut names = Vec::new();
    for digest in digests(&format!("SELECT DISTINCT digest FROM ({KEPT_FILES})"))? {
        names.push(format!("{FILES}/{}", digest.hex()));
    }
    for version in digests("SELECT DISTINCT version FROM plugins")? {
        names.push(format!("plugins/{}", plugins::file_name(version)));
    }
    for generation in digests("SELECT DISTINCT generation FROM adapter_generations")? {
        names.extend(adapters::FILE_NAMES.map(|name| format!("adapters/{}/{name}", generation.hex())));
    }
    Ok(names)
}

fn write_archive(archive: File, manifest: &[u8], sources: &[(String, PathBuf)]) -> StoreResult<()> {
    let mut builder = tar::Builder::new(BufWriter::new(archive));
    builder.append_data(&mut header(manifest.len() as u64), MANIFEST, manifest)?;
    for (name, path) in sources {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        builder.append_data(&mut header(bytes), name, file)?;
    }
    let mut written = builder.into_inner()?;
    written.flush()?;
    written.get_ref().sync_all()?;
    Ok(())
}

fn header(bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes);
    header.set_mode(0o600);
    header
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

fn unpack(archive: File, to: &Path, most: u64) -> StoreResult<()> {
    let mut archive = tar::Archive::new(BufReader::new(archive));
    let mut entries = archive.entries().map_err(refused)?;
    let manifest = match entries.next() {
        Some(entry) => read_manifest(entry.map_err(refused)?)?,
        None => return Err(refused("it is empty").into()),
    };
    check_manifest(&manifest, most)?;
    for part in generations::FOLDERS {
        files::create_folder(&to.join(part))?;
    }
    let mut wanted = manifest.parts.iter();
    for entry in entries {
        let mut entry = entry.map_err(refused)?;
        let Some(part) = wanted.next() else {
            return Err(refused("it has more parts than its manifest names").into());
        };
        let is_this = entry.header().entry_type().is_file()
            && entry.path_bytes() == part.name.as_bytes()
            && entry.size() == part.bytes;
        let Some(place) = place_of(&part.name).filter(|_| is_this) else {
            return Err(refused(format!("the part {} is another than its manifest says", part.name)).into());
        };
        let path = to.join(place);
        if let Some(folder) = path.parent() {
            files::create_folder(folder)?;
        }
        let mut file = File::create_new(&path)?;
        io::copy(&mut entry, &mut file).map_err(refused)?;
        file.sync_all()?;
        if digest_of(&path)? != (part.digest, part.bytes) {
            return Err(refused(format!("the part {} is damaged", part.name)).into());
        }
    }
    match wanted.next() {
        Some(part) => Err(refused(format!("the part {} is missing", part.name)).into()),
        None => Ok(()),
    }
}

fn read_manifest(entry: tar::Entry<'_, impl Read>) -> StoreResult<Manifest> {
    if entry.path_bytes() != MANIFEST.as_bytes()
        || !entry.header().entry_type().is_file()
        || entry.size() > MANIFEST_BYTES
    {
        return Err(refused(format!("it does not begin with {MANIFEST}")).into());
    }
    let mut text = Vec::new();
    entry.take(MANIFEST_BYTES).read_to_end(&mut text).map_err(refused)?;
    Ok(serde_json::from_slice(&text).map_err(refused)?)
}

fn check_manifest(manifest: &Manifest, most: u64) -> StoreResult<()> {
    if manifest.format != FORMAT || manifest.schema > SCHEMA.version() {
        return Err(Error::new(
            ErrorKind::Unavailable,
            "a newer program wrote this archive; import it with one that is not older",
        )
        .into());
    }
    let mut names = HashSet::new();
    let mut bytes = 0_u64;
    for part in &manifest.parts {
        if place_of(&part.name).is_none() || !names.insert(part.name.as_str()) {
            return Err(refused(format!(
                "no room has a part \"{}\", or it is there twice",
                part.name.escape_debug()
            ))
            .into());
        }
        bytes = bytes.saturating_add(part.bytes);
    }
    if !names.contains(room::DATABASE) {
        return Err(refused(format!("it has no {}", room::DATABASE)).into());
    }
    if bytes > most {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("the archive has {bytes} bytes, a room may have {most} (limits.room_bytes)"),
        )
        .into());
    }
    Ok(())
}

/// Brings it up to date, and refuses one that has other tables, or anything that runs by itself, than a room has.
fn check_schema(database: &Path) -> StoreResult<()> {
    let opened = Database::open(database, &SCHEMA).map_err(|failure| refused(Error::from(failure).message()))?;
    let found = opened.read(schema_of)?;
    opened.close();
    match found == schema_of(&room_schema::scratch()?)? {
        true => Ok(()),
        false => Err(refused("its room.db has other tables than a room").into()),
    }
}

fn schema_of(connection: &Connection) -> StoreResult<HashSet<(String, String, Option<String>)>> {
    let mut statement = connection.prepare("SELECT type, name, sql FROM sqlite_schema")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
