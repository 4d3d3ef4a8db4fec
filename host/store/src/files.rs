//! Files that survive a power cut: written under a temporary name, synced, renamed, and the folder synced too.
//! Not here: SQLite's files.

use crate::error::StoreResult;
use riad_core::Digest;
use std::{
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind, Write},
    path::Path,
};
use uuid::Uuid;

/// Begins the names of what is not finished; such leftovers may be deleted by whoever owns the folder.
pub(crate) const UNFINISHED: &str = ".new-";

/// What a stream of bytes has become, once it is a file.
pub(crate) struct Written {
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
}

/// The permissions of a folder's group and of all other users.
#[cfg(unix)]
const OTHERS: u32 = 0o077;

/// Makes a folder and its parents, if they are not there. What it makes, only its owner can open.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    private_folders().recursive(true).create(path)?;
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync_folder(parent),
        None => Ok(()),
    }
}

/// Lets only its owner open a folder, and so whatever is in it, whatever the permissions of that.
#[cfg(unix)]
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = path.metadata()?.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    match fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777 & !OTHERS)) {
        // A volume that somebody else owns and lends to this user's group.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            tracing::warn!(
                path = %path.display(),
                "other users of this machine can open the data folder, and another user owns it; let its owner run chmod 700, or chown it"
            );
            Ok(())
        }
        outcome => outcome,
    }
}

#[cfg(not(unix))]
pub(crate) fn make_private(_: &Path) -> io::Result<()> {
    Ok(())
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
        private_folders().create(&unfinished)?;
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

/// Deletes a file, if it is there.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Deletes what was not finished in a folder that nobody else uses.
pub(crate) fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            match entry.file_type()?.is_dir() {
                true => remove_folder(&entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
    }
    Ok(())
}

fn private_folders() -> DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o777 & !OTHERS);
    builder
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
