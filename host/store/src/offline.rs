//! Reads the ledger of a data folder without a server. The data is neither migrated nor changed.

use crate::{
    CONTROL, CONTROL_SCHEMA_VERSION,
    data_lock::LOCK,
    error::{Failure, StoreResult},
    ledger, sqlite,
};
use riad_core::{
    Error, ErrorKind, Result, Secret,
    ledger::{EntryCheck, Verification},
};
use rusqlite::Connection;
use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

/// The ledger of a data folder that no server uses. If the folder has a lock file, no server can start with it as long as this
/// lives; if a server starts with a folder that has none, every answer is refused.
pub struct OfflineLedger {
    connection: Connection,
    data_dir: PathBuf,
    /// `None` if the folder has no lock file, as in a backup of its databases.
    lock: Option<File>,
}

impl OfflineLedger {
    /// # Errors
    /// `NotFound` without a control database; `Conflict` if a server uses the folder; `Unavailable` if another version wrote it.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let control = data_dir.join(CONTROL);
        if !control.is_file() {
            return Err(Error::not_found(format!(
                "{} has no {CONTROL}; name the data folder of a server",
                data_dir.display()
            )));
        }
        let lock = share_lock(data_dir)?;
        let connection = open(&control)?;
        Ok(Self {
            connection,
            data_dir: data_dir.to_owned(),
            lock,
        })
    }

    /// The private key that receipts are signed with (PKCS#8); `None` if no server has run with the folder.
    ///
    /// # Errors
    /// `Internal` if the database cannot be read; `Conflict` if a server has started meanwhile.
    pub fn signing_key(&self) -> Result<Option<Secret<Vec<u8>>>> {
        let key = ledger::read_signing_key(&self.connection);
        self.check_unused()?;
        Ok(key?)
    }

    /// Checks the whole ledger, as a server does. Requests that a killed server left open are no faults: its next start
    /// settles them.
    ///
    /// # Errors
    /// `Internal` if the database cannot be read; `Conflict` if a server has started meanwhile. What is wrong in it is the
    /// answer.
    pub fn verify(&self, check: &EntryCheck) -> Result<Verification> {
        let verification = ledger::verify_last_run(&self.connection, check);
        self.check_unused()?;
        Ok(verification?)
    }

    /// What was read is worthless if a server wrote meanwhile: SQLite was told that nobody does. A lock that is held keeps
    /// servers out; where there was no lock file to hold, a server that started has made one.
    fn check_unused(&self) -> Result<()> {
        let started = self.lock.is_none() && self.data_dir.join(LOCK).try_exists().map_err(Error::internal)?;
        match started {
            true => Err(in_use(&self.data_dir)),
            false => Ok(()),
        }
    }
}

/// A control database of this version.
pub(crate) fn open(control: &Path) -> StoreResult<Connection> {
    let connection = sqlite::open_read_only(control)?;
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == CONTROL_SCHEMA_VERSION {
        return Ok(connection);
    }
    let help = match version > CONTROL_SCHEMA_VERSION {
        true => "use the newer program that wrote it",
        false => "start the server once to update it",
    };
    Err(Failure::Known(Error::new(
        ErrorKind::Unavailable,
        format!(
            "{} has schema version {version}, this program reads version {CONTROL_SCHEMA_VERSION}; {help}",
            control.display()
        ),
    )))
}

/// `None` if the folder has no lock file, as in a backup of its databases.
fn share_lock(data_dir: &Path) -> StoreResult<Option<File>> {
    let file = match File::open(data_dir.join(LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Failure::Known(in_use(data_dir))),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn in_use(data_dir: &Path) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "a server uses the data folder {}; let the server check its ledger (riad ledger verify without --data), or \
             stop it",
            data_dir.display()
        ),
    )
}
