//! A folder in which a room or a copy of one is put together, before all of it is there.

use crate::{error::StoreResult, files};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Goes when it is dropped, unless it was renamed.
pub(crate) struct Staged(pub(crate) PathBuf);

impl Staged {
    pub(crate) fn create(parent: &Path) -> StoreResult<Self> {
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
