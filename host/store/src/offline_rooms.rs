//! Reads the pipelines of all rooms of a data folder, without a server or beside one. No room is opened, migrated or changed.

use crate::{
    CONTROL, control,
    error::StoreResult,
    offline,
    plugins::{file_name, read_pipeline},
    sqlite,
};
use riad_core::{Digest, Error, Result, RoomId, TenantId, pipeline::Pipeline, snapshot::SnapshotOwner, tenant::Tenant};
use rusqlite::Connection;
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

/// Those that have stored something.
///
/// # Errors
/// As of [`read_pipelines`].
pub fn tenants_with_rooms(data_dir: &Path) -> Result<Vec<TenantId>> {
    let tenants = read_tenants(data_dir)?.into_iter().map(|tenant| tenant.id);
    let has_room = |tenant: &TenantId| data_dir.join("rooms").join(tenant.as_str()).join("room.db").is_file();
    Ok(tenants.filter(has_room).collect())
}

/// What the snapshots of a tenant's room are bound to.
///
/// # Errors
/// `NotFound` if there is no such tenant, or if its room has no id yet; otherwise as of [`read_pipelines`].
pub fn snapshot_owner(data_dir: &Path, tenant: &TenantId) -> Result<SnapshotOwner> {
    let read = || {
        let connection = open_control(data_dir)?;
        let account = control::account_of(&connection, tenant)?.ok_or_else(|| control::no_tenant(tenant))?;
        control::room_of(&connection, account)
    };
    owner(tenant, read()?)
}

/// A room gets its id when its tenant is made; in older data folders, when it is opened.
pub(crate) fn owner(tenant: &TenantId, room: Option<RoomId>) -> Result<SnapshotOwner> {
    let tenant = tenant.clone();
    match room {
        Some(room) => Ok(SnapshotOwner { room, tenant }),
        None => Err(Error::not_found(format!(
            "the room of the tenant \"{tenant}\" has no id yet; start the server and send it a request with the tenant's key"
        ))),
    }
}

fn read_tenants(data_dir: &Path) -> Result<Vec<Tenant>> {
    Ok(control::tenants(&open_control(data_dir)?)?)
}

fn open_control(data_dir: &Path) -> StoreResult<Connection> {
    let path = data_dir.join(CONTROL);
    if !path.is_file() {
        return Err(Error::not_found(format!("{} has no {CONTROL}", data_dir.display())).into());
    }
    offline::open(&path)
}
