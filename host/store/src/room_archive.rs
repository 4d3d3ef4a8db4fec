//! A room as one file: a tar archive of its databases and files, and before them a manifest with the SHA-256 of each. Not here: whether a room is
//! sound (`room_check`), what becomes of what is unpacked (`incoming_room`).
//!
//! The vector index is not in it: whoever opens the room builds it. The room's id is not either, because it is the account's that has the room.

use crate::{
    error::StoreResult,
    incoming_room::{IncomingRoom, Origin},
    room,
    room_check::{self, Remedy, RoomReport, digest_of},
    room_copy,
    room_schema::SCHEMA,
    sqlite,
    staged::Staged,
};
use riad_core::{Error, ErrorKind, Timestamp, snapshot::RoomPart};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

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
    parts: Vec<RoomPart>,
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
    room_copy::forget_place(&copy, &BTreeSet::new())?;
    let mut sources = vec![(room::DATABASE.to_owned(), copy.clone())];
    let plugin_database = folder.join(room::PLUGIN_DATABASE);
    if plugin_database.try_exists()? {
        let copy = staged.0.join(room::PLUGIN_DATABASE);
        copy_database(&plugin_database, &copy)?;
        sources.push((room::PLUGIN_DATABASE.to_owned(), copy));
    }
    for name in room_copy::named_files(&sqlite::open_read_only(&copy)?)? {
        let path = folder.join(&name);
        sources.push((name, path));
    }
    let mut parts = Vec::new();
    for (name, path) in &sources {
        let (digest, bytes) = digest_of(path)?;
        parts.push(RoomPart {
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
    let opened = File::open(archive).map_err(|error| {
        let text = format!("{} cannot be opened: {error}", archive.display());
        Error::new(ErrorKind::NotFound, text)
    })?;
    let mut archive = tar::Archive::new(BufReader::new(opened));
    let mut entries = archive.entries().map_err(refused)?;
    let manifest = match entries.next() {
        Some(entry) => read_manifest(entry.map_err(refused)?)?,
        None => return Err(refused("it is empty").into()),
    };
    if manifest.format != FORMAT || manifest.schema > SCHEMA.version() {
        return Err(Error::new(
            ErrorKind::Unavailable,
            "a newer program wrote this archive; import it with one that is not older",
        )
        .into());
    }
    let room = IncomingRoom::begin(folder, &manifest.parts, most, Origin::Archive)?;
    unpack(entries, &manifest.parts, &room)?;
    room.finish()
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

fn refused(what: impl std::fmt::Display) -> Error {
    Origin::Archive.refused(what)
}

/// One state of the database, without what was deleted from it.
fn copy_database(from: &Path, to: &Path) -> StoreResult<()> {
    let connection = sqlite::open_read_only(from)?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    Ok(())
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

fn unpack(entries: tar::Entries<'_, impl Read>, parts: &[RoomPart], room: &IncomingRoom) -> StoreResult<()> {
    let mut wanted = parts.iter();
    for entry in entries {
        let mut entry = entry.map_err(refused)?;
        let Some(part) = wanted.next() else {
            return Err(refused("it has more parts than its manifest names").into());
        };
        let is_this = entry.header().entry_type().is_file()
            && entry.path_bytes() == part.name.as_bytes()
            && entry.size() == part.bytes;
        if !is_this {
            return Err(refused(format!("the part {} is another than its manifest says", part.name)).into());
        }
        let (path, mut file) = room.create(&part.name)?;
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
