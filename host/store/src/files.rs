//! Files that survive a power cut: written under a temporary name, synced, renamed, and the folder synced too.
//! Not here: SQLite's files.

use crate::error::StoreResult;
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::Path,
};
use uuid::Uuid;

/// Begins the names of what is not finished; such leftovers may be deleted by whoever owns the folder.
pub(crate) const UNFINISHED: &str = ".new-";

/// Makes a folder and its parents, if they are not there.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync_folder(parent),
        None => Ok(()),
    }
}

pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Puts a file in place at once: readers see the old one or the new one, whole.
pub(crate) fn write_file(folder: &Path, name: &str, bytes: &[u8]) -> StoreResult<()> {
    let unfinished = folder.join(format!("{UNFINISHED}{}", Uuid::now_v7().simple()));
    let written = write_synced(&unfinished, bytes)
        .and_then(|()| fs::rename(&unfinished, folder.join(name)))
        .and_then(|()| sync_folder(folder));
    if written.is_err() {
        // The reason for the failure is what counts; a leftover is swept later.
        let _ = fs::remove_file(&unfinished);
    }
    Ok(written?)
}

/// Puts a folder with its files in place at once.
pub(crate) fn write_folder(parent: &Path, name: &str, content: &[(&str, &[u8])]) -> StoreResult<()> {
    let unfinished = parent.join(format!("{UNFINISHED}{}", Uuid::now_v7().simple()));
    let write = || -> io::Result<()> {
        fs::create_dir(&unfinished)?;
        for (file, bytes) in content {
            write_synced(&unfinished.join(file), bytes)?;
        }
        sync_folder(&unfinished)?;
        fs::rename(&unfinished, parent.join(name))?;
        sync_folder(parent)
    };
    let written = write();
    if written.is_err() {
        let _ = fs::remove_dir_all(&unfinished);
    }
    Ok(written?)
}

/// Deletes a folder with all that is in it; one that is not there is no error.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
