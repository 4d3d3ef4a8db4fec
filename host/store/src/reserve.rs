//! Space on the disk that is kept for what must be written also when the disk is full: deletions, which write before they free anything, and
//! entries of the ledger. A file of the data folder has it. When such a write finds the disk full, a part of the file goes, and the write is tried
//! again; until the whole file fits on the disk once more, nothing else is stored. A part at a time: what is given up, another program may take
//! before the write does. Requests that begin, which store nothing but an entry of the ledger, have half of it: one tenant that fills the disk
//! does not stop the chats of all, and deletions never lack the other half. Not here: which writes those are (`Database::write_reserved`).
//!
//! One file for all rooms: one for each would be 10,000 of them, and a full disk is full for all.

use crate::{
    error::{Failure, StoreResult},
    files,
};
use parking_lot::{Mutex, RwLock};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// In the data folder.
pub(crate) const RESERVE: &str = "reserve";
/// In which it is given up.
const PARTS: u64 = 8;

pub(crate) struct Reserve {
    /// `None` if nothing is kept.
    path: Option<PathBuf>,
    bytes: u64,
    /// Whether the file has all of them.
    is_held: AtomicBool,
    /// Read while work runs that may need the space, written while the file grows: what it has given up is not taken back from under that
    /// work.
    spending: RwLock<()>,
    /// Locked while the file shrinks, by one of those that read `spending`.
    shrinking: Mutex<()>,
}

impl Reserve {
    /// Of a database beside which nothing is kept.
    pub(crate) fn none() -> Arc<Self> {
        Arc::new(Self {
            path: None,
            bytes: 0,
            is_held: AtomicBool::new(true),
            spending: RwLock::default(),
            shrinking: Mutex::default(),
        })
    }

    /// Keeps so many bytes in the folder, or what the disk has room for later.
    pub(crate) fn open(data_dir: &Path, bytes: u64) -> StoreResult<Arc<Self>> {
        let path = data_dir.join(RESERVE);
        if bytes == 0 {
            files::remove_file(&path)?;
            return Ok(Self::none());
        }
        let reserve = Self {
            path: Some(path),
            bytes,
            is_held: AtomicBool::new(false),
            spending: RwLock::default(),
            shrinking: Mutex::default(),
        };
        if let Err(error) = reserve.check() {
            tracing::error!(
                %error,
                bytes,
                "the disk has no room for what is kept for deletions and the ledger (limits.reserve_bytes); until it has, nothing is stored"
            );
        }
        Ok(Arc::new(reserve))
    }

    /// Refuses what would store something while the reserve is not whole, and makes it whole if there is room again.
    pub(crate) fn check(&self) -> StoreResult<()> {
        if self.is_held.load(Ordering::Acquire) {
            return Ok(());
        }
        let Some(_unspent) = self.spending.try_write() else {
            return Err(Failure::DiskFull);
        };
        if self.is_held.load(Ordering::Acquire) {
            return Ok(());
        }
        let Some(path) = &self.path else { return Ok(()) };
        match allocate(path, self.bytes) {
            Ok(()) => {
                self.is_held.store(true, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                let failure = Failure::File(error);
                if !failure.is_full_disk() {
                    tracing::warn!(%failure, "what is kept for deletions and the ledger could not be made");
                }
                Err(Failure::DiskFull)
            }
        }
    }

    /// As [`Self::check`], of a request that begins: more than half of the reserve is enough.
    pub(crate) fn check_half(&self) -> StoreResult<()> {
        self.check().or_else(|full| match self.left() > self.bytes / 2 {
            true => Ok(()),
            false => Err(full),
        })
    }

    fn left(&self) -> u64 {
        let file = self.path.as_ref().and_then(|path| path.metadata().ok());
        file.map_or(0, |file| file.len())
    }

    /// Runs work that must be done also when the disk is full. It is run again if the reserve has made room for it.
    pub(crate) fn spend<T>(&self, work: impl FnMut() -> StoreResult<T>) -> StoreResult<T> {
        self.spend_to(0, work)
    }

    /// As [`Self::spend`], and leaves half of the reserve.
    pub(crate) fn spend_half<T>(&self, work: impl FnMut() -> StoreResult<T>) -> StoreResult<T> {
        self.spend_to(self.bytes / 2, work)
    }

    /// Leaves so many bytes of it.
    fn spend_to<T>(&self, least: u64, mut work: impl FnMut() -> StoreResult<T>) -> StoreResult<T> {
        // A disk with room again has room for the reserve, and this work goes on without it if not.
        drop(self.check());
        // Work may have other such work in it.
        let _spending = self.spending.read_recursive();
        let mut outcome = work();
        while outcome.as_ref().is_err_and(Failure::is_full_disk) && self.give_up_part(least) {
            outcome = work();
        }
        outcome
    }

    /// False if no more than the least is left of it.
    fn give_up_part(&self, least: u64) -> bool {
        let Some(path) = &self.path else { return false };
        let _shrinking = self.shrinking.lock();
        let was_held = self.is_held.swap(false, Ordering::AcqRel);
        match shrink(path, self.bytes.div_ceil(PARTS), least) {
            Ok(has_shrunk) => {
                if was_held {
                    tracing::error!(
                        bytes = self.bytes,
                        "the disk is full; what was kept for deletions and the ledger is used now, and nothing else is stored until the disk has room for it again"
                    );
                }
                has_shrunk
            }
            Err(error) => {
                tracing::error!(%error, "the disk is full, and what is kept for deletions and the ledger could not be given up");
                false
            }
        }
    }
}

/// False if no more than the least is left.
fn shrink(path: &Path, by: u64, least: u64) -> io::Result<bool> {
    let file = match File::options().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    let bytes = file.metadata()?.len();
    if bytes <= least {
        return Ok(false);
    }
    let left = bytes.saturating_sub(by).max(least);
    file.set_len(left)?;
    if left == 0 {
        files::remove_file(path)?;
    }
    Ok(true)
}

/// Makes a file take so many bytes of the disk. If they are not all there, it is as it was.
fn allocate(path: &Path, bytes: u64) -> io::Result<()> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    let there = file.metadata()?.len();
    if there >= bytes {
        return file.set_len(bytes);
    }
    let grown = grow(&file, there, bytes);
    if grown.is_err() {
        file.set_len(there)?;
        if there == 0 {
            files::remove_file(path)?;
        }
    }
    grown
}

fn grow(file: &File, from: u64, to: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::{
            fs::{FallocateFlags, fallocate},
            io::Errno,
        };
        match fallocate(file, FallocateFlags::empty(), from, to - from) {
            // File systems without it, as ZFS.
            Err(Errno::OPNOTSUPP) => {}
            allocated => return Ok(allocated?),
        }
    }
    write_noise(file, from, to)
}

/// Zeros would be a hole on some file systems, and nothing on those that compress.
fn write_noise(mut file: &File, from: u64, to: u64) -> io::Result<()> {
    use io::{Read, Seek, SeekFrom, Write};
    let mut noise = blake3::Hasher::new().finalize_xof();
    noise.set_position(from);
    file.seek(SeekFrom::Start(from))?;
    let mut buffer = vec![0; 256 << 10];
    let mut left = to - from;
    while left > 0 {
        noise.read_exact(&mut buffer)?;
        let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let piece = buffer.get(..most).unwrap_or(&buffer);
        file.write_all(piece)?;
        left -= piece.len() as u64;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn length(folder: &Path) -> Option<u64> {
        folder.join(RESERVE).metadata().ok().map(|found| found.len())
    }

    fn disk_full() -> Failure {
        Failure::File(io::ErrorKind::StorageFull.into())
    }

    #[test]
    fn the_reserve_goes_for_what_must_be_written_and_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::open(folder.path(), 80_000).unwrap();
        assert_eq!(length(folder.path()), Some(80_000));
        let mut tried = 0;
        let written = reserve.spend(|| {
            tried += 1;
            match length(folder.path()) {
                Some(50_001..) => Err(disk_full()),
                Some(_) | None => {
                    // Others that write meanwhile do not take the space back.
                    assert!(reserve.check().unwrap_err().is_full_disk());
                    Ok(tried)
                }
            }
        });
        assert_eq!(written.unwrap(), 4);
        assert_eq!(length(folder.path()), Some(50_000));
        reserve.check().unwrap();
        assert_eq!(length(folder.path()), Some(80_000));
        // All of it.
        let mut tried = 0;
        let failed = reserve.spend(|| {
            tried += 1;
            Err::<(), _>(disk_full())
        });
        assert!(failed.unwrap_err().is_full_disk());
        assert_eq!((tried, length(folder.path())), (9, None));
        // What is at its place is no file: it cannot be made, and nothing is stored.
        fs::create_dir(folder.path().join(RESERVE)).unwrap();
        assert!(reserve.check().is_err());
        fs::remove_dir(folder.path().join(RESERVE)).unwrap();
        reserve.check().unwrap();
        assert_eq!(length(folder.path()), Some(80_000));
    }

    #[test]
    fn requests_that_begin_leave_half_of_the_reserve() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::open(folder.path(), 80_000).unwrap();
        let mut may_begin = Vec::new();
        let failed = reserve.spend_half(|| {
            // The file does not grow again while this runs.
            may_begin.push(reserve.check_half().is_ok());
            Err::<(), _>(disk_full())
        });
        assert!(failed.unwrap_err().is_full_disk());
        assert_eq!(may_begin, [true, true, true, true, false]);
        assert_eq!(length(folder.path()), Some(40_000));
        reserve.check_half().unwrap();
        assert_eq!(length(folder.path()), Some(80_000));
        Reserve::none().check_half().unwrap();
    }

    #[test]
    fn other_failures_do_not_spend_the_reserve() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::open(folder.path(), 5_000).unwrap();
        let failed = reserve.spend(|| Err::<(), _>(Failure::Data("no".into())));
        assert!(failed.is_err());
        assert_eq!(length(folder.path()), Some(5_000));
        drop(reserve);
        drop(Reserve::open(folder.path(), 7_000).unwrap());
        assert_eq!(length(folder.path()), Some(7_000));
        drop(Reserve::open(folder.path(), 0).unwrap());
        assert_eq!(length(folder.path()), None);
    }

    #[test]
    fn noise_goes_on_where_it_was_cut_off() {
        let file = tempfile::NamedTempFile::new().unwrap();
        write_noise(&file.reopen().unwrap(), 0, 300_001).unwrap();
        let whole = fs::read(file.path()).unwrap();
        assert_eq!(whole.len(), 300_001);
        file.as_file().set_len(1_234).unwrap();
        write_noise(&file.reopen().unwrap(), 1_234, 300_001).unwrap();
        assert!(fs::read(file.path()).unwrap() == whole);
    }
}
