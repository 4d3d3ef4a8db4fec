//! The `PluginStore` port of a room: components as files named by their digest, versions and the pipeline in `room.db`.
//! Not here: whether a component may run (`sandbox`).

use crate::{
    audit_lines,
    control::Control,
    error::{Failure, StoreResult, run_with_permit},
    files,
    room::RoomState,
    state::{get_state, set_state},
};
use async_trait::async_trait;
use bytes::Bytes;
use riad_core::{
    Digest, Error, ErrorKind, PluginName, PluginVersion, Result,
    audit::AuditEntry,
    manifest::Manifest,
    pipeline::{EndedCanary, Pipeline},
    plugin::StageChoice,
    ports::PluginStore,
};
use rusqlite::{Connection, OptionalExtension, Row};
use std::{fs, io, path::PathBuf, sync::Arc};

const PIPELINE: &str = "pipeline";

/// A room, the bytes that it may store, and the database that has the audit log.
pub(crate) struct RoomPlugins(pub(crate) Arc<RoomState>, pub(crate) u64, pub(crate) Arc<Control>);

#[async_trait]
impl PluginStore for RoomPlugins {
    async fn put(&self, version: &PluginVersion, component: Bytes) -> Result<()> {
        let (room, most, version) = (self.0.clone(), self.1, version.clone());
        run_with_permit(&self.0.file_permits, move || put(&room, most, &version, &component)).await
    }

    async fn list(&self) -> Result<Vec<PluginVersion>> {
        let read = self.0.query(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM plugins ORDER BY created DESC, number DESC"
            ))?;
            let rows = statement.query_map([], read_row)?;
            rows.map(|row| row?.finish()).collect()
        });
        read.await
    }

    async fn load(&self, name: &PluginName, version: &Digest) -> Result<(PluginVersion, Bytes)> {
        let (room, name, version) = (self.0.clone(), name.clone(), *version);
        run_with_permit(&self.0.database.read_permits, move || load(&room, &name, version)).await
    }

    async fn delete(&self, name: &PluginName, version: &Digest) -> Result<()> {
        let (room, name, version) = (self.0.clone(), name.clone(), *version);
        run_with_permit(&self.0.file_permits, move || delete(&room, &name, version)).await
    }

    async fn pipeline(&self) -> Result<Pipeline> {
        self.0.query(read_pipeline).await
    }

    async fn set_pipeline(&self, pipeline: &Pipeline) -> Result<Pipeline> {
        let (room, mut pipeline) = (self.0.clone(), pipeline.clone());
        run_with_permit(&self.0.database.write_permits, move || {
            room.database.write(|connection| {
                // A version may have been deleted since the caller looked.
                check_versions(connection, &pipeline)?;
                let stored = read_pipeline(connection)?;
                pipeline.check_replaces(&stored)?;
                pipeline.last_canary = stored.last_canary;
                write_pipeline(connection, &pipeline)
            })?;
            Ok(pipeline)
        })
        .await
    }

    async fn end_canary(&self, trial: &Digest, ended: &EndedCanary, line: &AuditEntry) -> Result<bool> {
        let (room, trial, ended, line) = (self.0.clone(), *trial, ended.clone(), line.clone());
        run_with_permit(&self.0.database.write_permits, move || {
            room.database.write_reserved(|connection| {
                let mut pipeline = read_pipeline(connection)?;
                if pipeline.trial() != Some(trial) {
                    return Ok(false);
                }
                pipeline.canary = None;
                pipeline.last_canary = Some(ended.clone());
                write_pipeline(connection, &pipeline)?;
                audit_lines::keep(connection, line.clone())?;
                Ok(true)
            })
        })
        .await
    }

    async fn move_audit_lines(&self) -> Result<()> {
        let (room, control) = (self.0.clone(), self.2.clone());
        run_with_permit(&self.0.database.write_permits, move || {
            audit_lines::move_to_log(&room.database, &control)
        })
        .await
    }
}

fn put(room: &RoomState, most: u64, version: &PluginVersion, component: &[u8]) -> StoreResult<()> {
    if Digest::of(component) != version.version {
        return Err(Failure::Data(
            "a component does not have the digest of its version".into(),
        ));
    }
    room.database.check_disk()?;
    let lock = room.lock_folder()?;
    // Written again even if it is there: that mends a damaged one.
    let is_new = !room
        .database
        .read(|connection| is_stored(connection, version.version))?;
    if is_new {
        room.storage(most).check(component.len() as u64)?;
    }
    // Also one that is there already: it may be damaged.
    files::write_file(&room.folder.join("plugins"), &file_name(version.version), component)?;
    let stored = room.write(|connection| {
        connection.execute(
            "INSERT OR IGNORE INTO plugins (name, version, stages, bytes, created, manifest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                version.name.as_str(),
                version.version.to_string(),
                serde_json::to_string(&version.stages)?,
                version.bytes.cast_signed(),
                version.created.cast_signed(),
                version.manifest.as_ref().map(Manifest::to_json).transpose()?,
            ),
        )?;
        match is_new {
            true => room.check_quota(connection, most),
            false => Ok(()),
        }
    });
    // Of a refused one.
    if stored.is_err() {
        room.sweep_later(&lock);
    }
    stored
}

pub(crate) fn read_pipeline(connection: &Connection) -> StoreResult<Pipeline> {
    match get_state(connection, PIPELINE)? {
        Some(pipeline) => Ok(serde_json::from_str(&pipeline)?),
        None => Ok(Pipeline::default()),
    }
}

/// Whether the room's pipeline can be read, and the room has what it names.
pub(crate) fn check_pipeline(connection: &Connection) -> StoreResult<()> {
    check_versions(connection, &read_pipeline(connection)?)
}

fn check_versions(connection: &Connection, pipeline: &Pipeline) -> StoreResult<()> {
    for (_, _, choice) in pipeline.choices() {
        if let StageChoice::Plugin { name, version } = choice
            && !has_version(connection, name, *version)?
        {
            return Err(no_version(name, *version));
        }
    }
    Ok(())
}

fn write_pipeline(connection: &Connection, pipeline: &Pipeline) -> StoreResult<()> {
    set_state(connection, PIPELINE, &serde_json::to_string(pipeline)?)
}

/// The file goes with its last row.
fn delete(room: &RoomState, name: &PluginName, version: Digest) -> StoreResult<()> {
    let lock = room.lock_folder()?;
    room.write_reserved(|connection| {
        if !has_version(connection, name, version)? {
            return Err(no_version(name, version));
        }
        let is_this = |choice: &StageChoice| match choice {
            StageChoice::Standard | StageChoice::None => false,
            StageChoice::Plugin { name: n, version: v } => (n, *v) == (name, version),
        };
        let pipeline = read_pipeline(connection)?;
        if let Some((member, _, _)) = pipeline.choices().find(|(_, _, choice)| is_this(choice)) {
            return Err(Failure::Known(Error::new(
                ErrorKind::Conflict,
                format!("\"{name}@{version}\" is {member} in /v1/pipeline; name another there before you delete it"),
            )));
        }
        connection.execute(
            "DELETE FROM plugins WHERE name = ?1 AND version = ?2",
            (name.as_str(), version.to_string()),
        )?;
        Ok(())
    })?;
    room.sweep_later(&lock);
    Ok(())
}

fn has_version(connection: &Connection, name: &PluginName, version: Digest) -> StoreResult<bool> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM plugins WHERE name = ?1 AND version = ?2)")?
        .query_row((name.as_str(), version.to_string()), |row| row.get(0))?)
}

fn no_version(name: &PluginName, version: Digest) -> Failure {
    Failure::Known(Error::not_found(format!("there is no plugin \"{name}@{version}\"")))
}

fn is_stored(connection: &Connection, version: Digest) -> StoreResult<bool> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM plugins WHERE version = ?1)")?
        .query_row([version.to_string()], |row| row.get(0))?)
}

fn load(room: &RoomState, name: &PluginName, version: Digest) -> StoreResult<(PluginVersion, Bytes)> {
    let found = room.database.read(|connection| {
        Ok(connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM plugins WHERE name = ?1 AND version = ?2"
            ))?
            .query_row((name.as_str(), version.to_string()), read_row)
            .optional()?)
    })?;
    let found = found.ok_or_else(|| no_version(name, version))?.finish()?;
    let component = match fs::read(path(room, version)) {
        Ok(component) if Digest::of(&component) == version => component,
        Ok(_) => return Err(lost(name, version, "is damaged")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(lost(name, version, "is missing")),
        Err(error) => return Err(error.into()),
    };
    Ok((found, component.into()))
}

fn path(room: &RoomState, version: Digest) -> PathBuf {
    room.folder.join("plugins").join(file_name(version))
}

pub(crate) fn file_name(version: Digest) -> String {
    format!("{}.wasm", version.hex())
}

fn lost(name: &PluginName, version: Digest, what: &str) -> Failure {
    Failure::Known(Error::new(
        ErrorKind::Unavailable,
        format!("the component of \"{name}@{version}\" {what} on the server's disk; upload it again"),
    ))
}

pub(crate) const COLUMNS: &str = "name, version, stages, bytes, created, manifest";

/// Whether a row of [`COLUMNS`] is one of a version.
pub(crate) fn check_row(row: &Row<'_>) -> StoreResult<()> {
    read_row(row)?.finish().map(drop)
}

struct PluginRow {
    name: String,
    version: String,
    stages: String,
    bytes: i64,
    created: i64,
    manifest: Option<String>,
}

impl PluginRow {
    fn finish(self) -> StoreResult<PluginVersion> {
        Ok(PluginVersion {
            name: self.name.parse()?,
            version: self.version.parse()?,
            stages: serde_json::from_str(&self.stages)?,
            manifest: self
                .manifest
                .map(|json| Manifest::from_json(json.as_bytes()))
                .transpose()?,
            bytes: self.bytes.cast_unsigned(),
            created: self.created.cast_unsigned(),
        })
    }
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<PluginRow> {
    Ok(PluginRow {
        name: row.get(0)?,
        version: row.get(1)?,
        stages: row.get(2)?,
        bytes: row.get(3)?,
        created: row.get(4)?,
        manifest: row.get(5)?,
    })
}
