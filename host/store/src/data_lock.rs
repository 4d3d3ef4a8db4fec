//! One process at a time has a data folder.

use crate::error::{Failure, StoreResult};
use riad_core::{Error, ErrorKind};
use std::{
    fs::{File, TryLockError},
    path::Path,
};

pub(crate) const LOCK: &str = "lock";

/// Held by whoever uses the folder, for as long as it does.
pub(crate) struct DataLock {
    file: File,
}

impl DataLock {
    /// # Errors
    /// `Conflict` if another process has it; the disk's.
    pub(crate) fn take(data_dir: &Path) -> StoreResult<Self> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(data_dir.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(Failure::Known(Error::new(
                ErrorKind::Conflict,
                format!(
                    "another process is using the data folder {}; stop it, or choose another folder",
                    data_dir.display()
                ),
            ))),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

impl Drop for DataLock {
    fn drop(&mut self) {
        // A process that is being started has a copy of the descriptor for a moment, and closing this one would leave the folder locked until then.
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "the data folder could not be unlocked");
        }
    }
}
