//! Mending a room that nobody uses: what follows from other things is made again, what nothing names is removed. What is lost stays lost.
//! Not here: what is wrong (`room_check`).

use crate::{
    error::StoreResult,
    files, indexes, metadata, room,
    room_check::{self, Remedy, RoomReport},
    room_schema::SCHEMA,
    sqlite::Database,
    words,
};
use std::{fs, io, path::Path};

/// Returns what was wrong before, and what is wrong now.
pub(crate) fn repair(folder: &Path) -> StoreResult<(RoomReport, RoomReport)> {
    let before = room_check::check(folder)?;
    let after = mend(folder, &before)?;
    Ok((before, after))
}

/// Mends what a check has found. Returns what is wrong then.
pub(crate) fn mend(folder: &Path, before: &RoomReport) -> StoreResult<RoomReport> {
    if before.faults.is_empty() {
        return Ok(before.clone());
    }
    for fault in &before.faults {
        if fault.remedy == Remedy::Remove
            && let Some(name) = fault.file.as_deref()
        {
            remove(&folder.join(name))?;
        }
    }
    if before.faults.iter().any(|fault| fault.remedy == Remedy::MakeAgain) {
        // They are built when they are needed.
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_str().and_then(indexes::number_of).is_some() {
                remove(&entry.path())?;
            }
        }
        let database = Database::open(&folder.join(room::DATABASE), &SCHEMA)?;
        for document in database.read(metadata::unindexed)? {
            database.write(|connection| metadata::index_again(connection, document))?;
        }
        words::make_all_again(&database)?;
        database.close();
        files::sync_folder(folder)?;
    }
    room_check::check(folder)
}

fn remove(path: &Path) -> io::Result<()> {
    let is_folder = match path.symlink_metadata() {
        Ok(found) => found.is_dir(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    match is_folder {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}
