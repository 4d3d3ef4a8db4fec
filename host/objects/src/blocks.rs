//! Pieces of files. A database is cut into small ones, because a change of it changes some pages here and there; other files never change.

use riad_core::{Digest, Error, ErrorKind, Result};
use sha2::{Digest as _, Sha256};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// Some dozens of SQLite's pages.
const CHANGING_FILE: u64 = 256 << 10;
/// Large enough that a request's overhead does not count, small enough to have some in memory.
const FIXED_FILE: u64 = 4 << 20;
/// Blocks that are on their way at a time.
pub(crate) const TRANSFERS: usize = 8;

pub(crate) fn block_bytes(is_fixed: bool) -> u64 {
    match is_fixed {
        true => FIXED_FILE,
        false => CHANGING_FILE,
    }
}

pub(crate) fn read(path: &Path, offset: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut block = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
    file.read_exact(&mut block)?;
    Ok(block)
}

/// A file's digest and length.
pub(crate) fn digest_of(path: &Path) -> io::Result<(Digest, u64)> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let bytes = io::copy(&mut file, &mut hash)?;
    Ok((digest(hash).map_err(io::Error::other)?, bytes))
}

pub(crate) fn digest(hash: Sha256) -> Result<Digest> {
    format!("sha256:{:x}", hash.finalize()).parse()
}

/// Runs work on files and ciphers outside the async threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

pub(crate) fn disk_error(error: io::Error) -> Error {
    let full = [
        io::ErrorKind::StorageFull,
        io::ErrorKind::QuotaExceeded,
        io::ErrorKind::FileTooLarge,
    ];
    match full.contains(&error.kind()) {
        true => Error::new(
            ErrorKind::StorageFull,
            "the disk is full; make room on it and try again",
        ),
        false => Error::internal(error),
    }
}
