//! Reads the pipelines of all rooms of a data folder, without a server or beside one. No room is opened, migrated or changed.

use crate::{
    CONTROL, control, offline,
    plugins::{file_name, read_pipeline},
    sqlite,
};
use riad_core::{Digest, Error, Result, pipeline::Pipeline, tenant::Tenant};
use std::path::{Path, PathBuf};

/// What serves a tenant's requests.
pub struct RoomPipeline {
    pub tenant: Tenant,
    pub pipeline: Result<Pipeline>,
    folder: PathBuf,
}

impl RoomPipeline {
    /// The file of a component.
    #[must_use]
    pub fn component(&self, version: &Digest) -> PathBuf {
        self.folder.join("plugins").join(file_name(*version))
    }
}

/// The rooms that were ever opened, by tenant.
///
/// # Errors
/// `NotFound` without a control database; `Unavailable` if another version wrote it; `Internal` if it cannot be read.
pub fn read_pipelines(data_dir: &Path) -> Result<Vec<RoomPipeline>> {
    let tenants = read_tenants(data_dir)?;
    let rooms = tenants.into_iter().filter_map(|tenant| {
        let folder = data_dir.join("rooms").join(tenant.id.as_str());
        let database = folder.join("room.db");
        let pipeline = database.is_file().then(|| {
            let connection = sqlite::open_read_only(&database)?;
            read_pipeline(&connection)
        })?;
        Some(RoomPipeline {
            tenant,
            pipeline: pipeline.map_err(Error::from),
            folder,
        })
    });
    Ok(rooms.collect())
}

fn read_tenants(data_dir: &Path) -> Result<Vec<Tenant>> {
    let path = data_dir.join(CONTROL);
    if !path.is_file() {
        return Err(Error::not_found(format!("{} has no {CONTROL}", data_dir.display())));
    }
    let connection = offline::open(&path)?;
    Ok(control::tenants(&connection)?)
}
