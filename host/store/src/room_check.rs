//! Whether a room's folder holds together: SQLite's own checks, the words and the index beside the chunks that they are of, the files beside the rows
//! that name them. Reads only. Not here: mending (`room_repair`).

use crate::{
    adapters,
    embedding_space::CurrentKeys,
    error::{Failure, StoreResult},
    files,
    generations::{self, FILES, KEPT_FILES},
    index, indexes, metadata, plugins, room, room_rows, sqlite,
    state::get_state,
    words,
};
use riad_core::Digest;
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// What is in a room, and what is wrong with it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RoomReport {
    pub documents: u64,
    pub chunks: u64,
    pub files: u64,
    pub faults: Vec<RoomFault>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomFault {
    pub what: String,
    pub remedy: Remedy,
    /// Below the room's folder, of what is to be removed.
    pub(crate) file: Option<String>,
}

/// What a repair does about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// It is made again from what is there.
    MakeAgain,
    /// A file that nothing names is removed.
    Remove,
    /// What is lost can only come from a backup.
    Nothing,
}

impl RoomFault {
    #[must_use]
    pub fn new(what: impl Into<String>, remedy: Remedy) -> Self {
        Self {
            what: what.into(),
            remedy,
            file: None,
        }
    }
}

impl RoomReport {
    fn fault(&mut self, remedy: Remedy, what: impl Into<String>) {
        self.faults.push(RoomFault::new(what, remedy));
    }

    fn surplus(&mut self, file: String, why: &str) {
        self.faults.push(RoomFault {
            what: format!("{file} {why}"),
            remedy: Remedy::Remove,
            file: Some(file),
        });
    }
}

/// Of a room that nobody uses.
pub(crate) fn check(folder: &Path) -> StoreResult<RoomReport> {
    let mut report = RoomReport::default();
    let connection = sqlite::open_read_only(&folder.join(room::DATABASE))?;
    room::check_version(&connection)?;
    if !check_database(&connection, room::DATABASE, &mut report) {
        // What follows reads it.
        return Ok(report);
    }
    for fault in room_rows::faults(&connection)? {
        report.fault(Remedy::Nothing, fault);
    }
    if !report.faults.is_empty() {
        return Ok(report);
    }
    check_chunks(&connection, &mut report)?;
    let unindexed = metadata::unindexed(&connection)?.len();
    if unindexed > 0 {
        report.fault(
            Remedy::MakeAgain,
            format!("filters do not find {unindexed} documents by their metadata"),
        );
    }
    match words::differ(&connection) {
        Ok(false) => {}
        Ok(true) => report.fault(
            Remedy::MakeAgain,
            "the words that searches look for are not those of the documents",
        ),
        Err(failure) => report.fault(Remedy::MakeAgain, format!("the words cannot be read: {failure}")),
    }
    check_indexes(folder, &connection, &mut report)?;
    check_files(folder, &connection, &mut report)?;
    let plugin_database = folder.join(room::PLUGIN_DATABASE);
    if plugin_database.try_exists()? {
        let connection = sqlite::open_read_only(&plugin_database)?;
        if check_database(&connection, room::PLUGIN_DATABASE, &mut report) {
            for fault in room_rows::plugin_schema_faults(&connection)? {
                report.fault(Remedy::Nothing, fault);
            }
        }
    }
    Ok(report)
}

/// SQLite's checks, FTS5's among them. Returns whether it is sound.
fn check_database(connection: &Connection, name: &str, report: &mut RoomReport) -> bool {
    let lines = |sql: &str| -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare(sql)?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    let faults = report.faults.len();
    for (sql, about) in [
        ("PRAGMA integrity_check(20)", "SQLite says"),
        (
            "SELECT DISTINCT \"table\" FROM pragma_foreign_key_check",
            "rows without the row that they belong to in",
        ),
    ] {
        match lines(sql) {
            Ok(lines) => {
                for line in lines.iter().filter(|line| *line != "ok") {
                    report.fault(Remedy::Nothing, format!("{name}: {about} {line}"));
                }
            }
            Err(error) => report.fault(Remedy::Nothing, format!("{name} cannot be read: {error}")),
        }
    }
    report.faults.len() == faults
}

fn check_chunks(connection: &Connection, report: &mut RoomReport) -> StoreResult<()> {
    let count = |sql: &str| -> StoreResult<u64> {
        Ok(connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))?
            .cast_unsigned())
    };
    report.documents = count("SELECT count(*) FROM documents")?;
    report.chunks = count("SELECT count(*) FROM chunks")?;
    let mut statement = connection.prepare(
        "SELECT id FROM documents WHERE chunks IS NOT (
            SELECT CASE WHEN count(*) = 0 OR max(position) = count(*) - 1 THEN count(*) END FROM chunks WHERE document = number
        )",
    )?;
    for id in statement.query_map([], |row| row.get::<_, String>(0))? {
        report.fault(
            Remedy::Nothing,
            format!("document {} does not have all of its chunks", id?),
        );
    }
    let astray = count(
        "SELECT count(*) FROM chunks JOIN documents ON number = document WHERE chunks.vector_store <> documents.vector_store",
    )?;
    if astray > 0 {
        report.fault(
            Remedy::Nothing,
            format!("{astray} chunks are in another vector store than their documents"),
        );
    }
    if let Some(dimensions) = dimensions(connection)? {
        let mut wrong = 0_i64;
        for (first, last) in CurrentKeys::read(connection)?.all() {
            wrong += connection.query_row(
                "SELECT count(*) FROM chunks WHERE embedding IS NOT NULL AND length(embedding) <> 4 * ?1 AND id BETWEEN ?2 AND ?3",
                (i64::try_from(dimensions).unwrap_or(i64::MAX), first, last),
                |row| row.get::<_, i64>(0),
            )?;
        }
        if wrong > 0 {
            report.fault(
                Remedy::Nothing,
                format!("{wrong} chunks have embeddings of another length"),
            );
        }
    }
    Ok(())
}

fn dimensions(connection: &Connection) -> StoreResult<Option<usize>> {
    Ok(get_state(connection, "dimensions")?.and_then(|number| number.parse().ok()))
}

/// Those that have a file: the others are built when they are needed.
fn check_indexes(folder: &Path, connection: &Connection, report: &mut RoomReport) -> StoreResult<()> {
    let Some(dimensions) = dimensions(connection)? else {
        return Ok(());
    };
    for name in names(folder)? {
        let Some(number) = indexes::number_of(&name) else {
            continue;
        };
        let is_there: bool = connection.query_row(
            "SELECT ?1 = 0 OR EXISTS (SELECT 1 FROM vector_stores WHERE number = ?1)",
            [number],
            |row| row.get(0),
        )?;
        if !is_there {
            report.surplus(name, "is of no vector store");
        } else if let Some(reason) = index::check(&folder.join(&name), number, dimensions, connection)? {
            report.fault(
                Remedy::MakeAgain,
                format!("the vector index {name} is not that of its documents: {reason}"),
            );
        }
    }
    Ok(())
}

fn check_files(folder: &Path, connection: &Connection, report: &mut RoomReport) -> StoreResult<()> {
    let kept = named(
        connection,
        &format!("SELECT digest, max(bytes) FROM ({KEPT_FILES}) GROUP BY digest"),
    )?;
    report.files = kept.len() as u64;
    for (digest, bytes) in &kept {
        let path = folder.join(FILES).join(digest.hex());
        check_file(&path, &format!("{FILES}/{}", digest.hex()), *digest, *bytes, report)?;
    }
    let components = named(connection, "SELECT version, max(bytes) FROM plugins GROUP BY version")?;
    for (digest, bytes) in &components {
        let name = plugins::file_name(*digest);
        let path = folder.join("plugins").join(&name);
        check_file(&path, &format!("plugins/{name}"), *digest, *bytes, report)?;
    }
    let adapters = named(
        connection,
        "SELECT generation, max(bytes) FROM adapter_generations GROUP BY generation",
    )?;
    for generation in adapters.keys() {
        if adapters::stored_generation(folder, generation)? != Some(*generation) {
            report.fault(
                Remedy::Nothing,
                format!("adapters/{} is lost or damaged", generation.hex()),
            );
        }
    }
    let is_named = |part: &str, name: &str| match part {
        FILES => kept.keys().any(|digest| digest.hex() == name),
        "plugins" => components.keys().any(|digest| plugins::file_name(*digest) == name),
        _ => adapters.keys().any(|digest| digest.hex() == name),
    };
    for part in generations::FOLDERS {
        for name in names(&folder.join(part))? {
            if !is_named(part, &name) {
                report.surplus(format!("{part}/{name}"), "is named by nothing");
            }
        }
    }
    for name in names(folder)? {
        if name.starts_with(files::UNFINISHED) {
            report.surplus(name, "was not finished");
        }
    }
    Ok(())
}

/// The digests that a question answers, and how many bytes they are of.
fn named(connection: &Connection, sql: &str) -> StoreResult<HashMap<Digest, u64>> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    rows.map(|row| {
        let (digest, bytes) = row?;
        Ok((digest.parse::<Digest>()?, bytes.cast_unsigned()))
    })
    .collect()
}

fn names(folder: &Path) -> StoreResult<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn check_file(path: &Path, name: &str, digest: Digest, bytes: u64, report: &mut RoomReport) -> StoreResult<()> {
    match digest_of(path) {
        Ok(found) if found == (digest, bytes) => {}
        Ok(_) => report.fault(Remedy::Nothing, format!("{name} is damaged")),
        Err(Failure::File(error)) if error.kind() == io::ErrorKind::NotFound => {
            report.fault(Remedy::Nothing, format!("{name} is lost"));
        }
        Err(failure) => return Err(failure),
    }
    Ok(())
}

/// A file's digest and length.
pub(crate) fn digest_of(path: &Path) -> StoreResult<(Digest, u64)> {
    let mut file = File::open(path)?;
    let (mut hash, mut length) = (Sha256::new(), 0_u64);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
            return Ok((format!("sha256:{:x}", hash.finalize()).parse()?, length));
        };
        hash.update(piece);
        length += piece.len() as u64;
    }
}
