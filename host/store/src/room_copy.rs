//! A copy of a room for a snapshot, also while the room is served: its databases page by page, so that what has not changed is where it was, and
//! links to its other files, which are replaced and never changed. Not here: where copies go (`objects`), rooms as archives (`room_archive`).

use crate::{
    adapters,
    error::{Failure, StoreResult},
    generations::{FILES, KEPT_FILES},
    index, indexes, plugins, room,
    room_schema::SCHEMA,
    sqlite::{self, open_reader},
    staged::Staged,
    state::get_state,
};
use riad_core::{
    Digest, Error, ErrorKind, Timestamp,
    ports::{CopiedFile, RoomCopy},
    snapshot::SnapshotOwner,
};
use rusqlite::Connection;
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// Below a room's folder: whatever changes a room writes to one of them.
const WRITTEN: [&str; 4] = ["room.db", "room.db-wal", "plugin.db", "plugin.db-wal"];

/// One state of a room, held by open transactions and links, before its databases have been copied.
pub(crate) struct BegunCopy {
    staged: Staged,
    room: Connection,
    plugin: Option<Connection>,
    names: Vec<String>,
    /// The vector indexes that go along, so that the restored room need not build them.
    indexes: BTreeSet<i64>,
    schema: u32,
}

impl BegunCopy {
    /// Takes milliseconds. The caller sees to it that no file of the room goes meanwhile.
    pub(crate) fn begin(folder: &Path) -> StoreResult<Self> {
        let rooms = folder
            .parent()
            .ok_or_else(|| Error::internal("a room without a folder above it"))?;
        // Not in the room's folder, where others remove what is not finished.
        let staged = Staged::create(rooms)?;
        let room = open_reader(&folder.join(room::DATABASE))?;
        room.execute_batch("BEGIN")?;
        let names = named_files(&room)?;
        let schema = room.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let path = folder.join(room::PLUGIN_DATABASE);
        let plugin = match path.try_exists()? {
            true => {
                let plugin = open_reader(&path)?;
                plugin.execute_batch("BEGIN")?;
                // A transaction holds a state from its first read on.
                plugin.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
                Some(plugin)
            }
            false => None,
        };
        for name in &names {
            link(&folder.join(name), &staged.0.join(name))?;
        }
        let mut indexes = BTreeSet::new();
        for number in index::without_deleted(&room)? {
            let name = indexes::file_name(number);
            if folder.join(&name).try_exists()? {
                link(&folder.join(&name), &staged.0.join(&name))?;
                indexes.insert(number);
            }
        }
        Ok(Self {
            staged,
            room,
            plugin,
            names,
            indexes,
            schema,
        })
    }

    /// Copies the databases, which may take long; whoever uses the room is not kept waiting.
    pub(crate) fn finish(self, owner: SnapshotOwner) -> StoreResult<RoomCopy> {
        let path_of = |name: &str| self.staged.0.join(name);
        if get_state(&self.room, room::ROOM_ID)?.is_some_and(|id| id != owner.room.as_str()) {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "this tenant's room on the disk belongs to another account; the operator must restore control.db and rooms of the same time",
            )
            .into());
        }
        let mut files = vec![changing(room::DATABASE, path_of(room::DATABASE))];
        copy_pages(self.room, &path_of(room::DATABASE))?;
        forget_place(&path_of(room::DATABASE), &self.indexes)?;
        if let Some(plugin) = self.plugin {
            let path = path_of(room::PLUGIN_DATABASE);
            copy_pages(plugin, &path)?;
            files.push(changing(room::PLUGIN_DATABASE, path));
        }
        let indexes = self.indexes.iter().map(|number| indexes::file_name(*number));
        files.extend(indexes.map(|name| changing(&name, path_of(&name))));
        files.extend(self.names.iter().map(|name| CopiedFile {
            name: name.clone(),
            path: path_of(name),
            is_fixed: true,
        }));
        Ok(RoomCopy {
            owner,
            schema: self.schema,
            files,
            hold: Box::new(self.staged),
        })
    }
}

fn changing(name: &str, path: PathBuf) -> CopiedFile {
    CopiedFile {
        name: name.to_owned(),
        path,
        is_fixed: false,
    }
}

/// The file stays for the copy when the room deletes it.
fn link(from: &Path, to: &Path) -> StoreResult<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::Data(format!(
            "{} is lost; `riad room check` says what else is",
            from.display()
        ))),
        // File systems without links.
        Err(_) => Ok(fs::copy(from, to).map(drop)?),
        Ok(()) => Ok(()),
    }
}

/// Of the state that the connection's transaction holds. Refuses a damaged one: in time it would replace every sound snapshot.
fn copy_pages(from: Connection, to: &Path) -> StoreResult<()> {
    let copy = sqlite::copy_database(&from, to)?;
    drop(from);
    let answer: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    copy.close().map_err(|(_, error)| error)?;
    match answer.as_str() {
        "ok" => Ok(()),
        fault => Err(Failure::Data(format!(
            "the room is damaged, so that no snapshot was taken: SQLite says {fault}"
        ))),
    }
}

/// Whether the room has been opened since the last update of this program; a copy cannot be made before.
pub(crate) fn is_current(folder: &Path) -> StoreResult<bool> {
    let connection = open_reader(&folder.join(room::DATABASE))?;
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(version == SCHEMA.version())
}

/// What belongs to the room's place and not to the room: its id, lines for its server's audit log, and what is said of the files of its indexes,
/// but of those that go along.
pub(crate) fn forget_place(database: &Path, indexes: &BTreeSet<i64>) -> StoreResult<()> {
    let connection = sqlite::open(database)?;
    connection.execute("DELETE FROM state WHERE key IN (?1, 'audit_lines')", [room::ROOM_ID])?;
    index::forget_others(&connection, indexes)?;
    close(connection)
}

/// Leaves one file.
fn close(connection: Connection) -> StoreResult<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Below the room's folder, those that its database names.
pub(crate) fn named_files(connection: &Connection) -> StoreResult<Vec<String>> {
    let digests = |sql: &str| -> StoreResult<Vec<Digest>> {
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|row| Ok(row?.parse()?)).collect()
    };
    let mut names = Vec::new();
    for digest in digests(&format!("SELECT DISTINCT digest FROM ({KEPT_FILES})"))? {
        names.push(format!("{FILES}/{}", digest.hex()));
    }
    for version in digests("SELECT DISTINCT version FROM plugins")? {
        names.push(format!("plugins/{}", plugins::file_name(version)));
    }
    for generation in digests("SELECT DISTINCT generation FROM adapter_generations")? {
        names.extend(adapters::FILE_NAMES.map(|name| format!("adapters/{}/{name}", generation.hex())));
    }
    Ok(names)
}

/// What tells two states of a room's files apart, and when they were last written; `None` if there is no room. A room that was only opened is
/// as it was.
pub(crate) fn version_of(folder: &Path) -> StoreResult<Option<(String, Timestamp)>> {
    let (mut version, mut changed) = (String::new(), Timestamp::default());
    for name in WRITTEN {
        let found = match folder.join(name).metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => match name {
                room::DATABASE => return Ok(None),
                _ => continue,
            },
            Err(error) => return Err(error.into()),
        };
        // An empty log is there while the room is open.
        if found.len() > 0 {
            let written = found.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            version += &format!("{name} {} {}\n", found.len(), written.as_nanos());
            changed = changed.max(Timestamp::default().plus(written));
        }
    }
    Ok(Some((version, changed)))
}
