//! The list of a room's files in `room.db`. Not here: their bytes (`stored_files`, `unfinished`).

use crate::{
    error::{Failure, StoreResult},
    files::Written,
    names,
};
use riad_core::{
    Error, FileId, Timestamp,
    file::{FilePage, NewFile, StoredFile},
};
use rusqlite::{Connection, OptionalExtension, Row};

pub(crate) const COLUMNS: &str = "id, name, purpose, bytes, digest, created, expires";
/// Of those that are there at the time in the first parameter.
const IS_THERE: &str = "(expires IS NULL OR expires > ?1)";

/// Names a file that lies in the folder already.
pub(crate) fn insert(connection: &Connection, file: NewFile, written: &Written) -> StoreResult<StoredFile> {
    let last: Option<String> = connection.query_row("SELECT max(id) FROM files", [], |row| row.get(0))?;
    let stored = StoredFile {
        id: names::next_file(last.as_deref()).parse()?,
        name: file.name,
        purpose: file.purpose,
        bytes: written.bytes,
        digest: written.digest,
        created: Timestamp::now().as_seconds(),
        expires: file.expires,
    };
    connection.execute(
        "INSERT INTO files (id, name, purpose, bytes, digest, created, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (
            stored.id.as_str(),
            &stored.name,
            stored.purpose.as_str(),
            stored.bytes.cast_signed(),
            stored.digest.to_string(),
            stored.created.cast_signed(),
            stored.expires.map(u64::cast_signed),
        ),
    )?;
    Ok(stored)
}

fn now() -> i64 {
    Timestamp::now().as_seconds().cast_signed()
}

pub(crate) fn find(connection: &Connection, id: &FileId) -> StoreResult<StoredFile> {
    let found = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM files WHERE {IS_THERE} AND id = ?2"))?
        .query_row((now(), id.as_str()), read_row)
        .optional()?;
    found.ok_or_else(|| no_file(id))?.finish()
}

pub(crate) fn no_file(id: &FileId) -> Failure {
    Error::not_found(format!("this room has no file {id}")).into()
}

pub(crate) fn list(connection: &Connection, page: &FilePage) -> StoreResult<Vec<StoredFile>> {
    let after = page.after.as_ref().map(FileId::as_str);
    names::check_place("after", after)?;
    let (comparison, order) = match page.ascending {
        true => (">", "ASC"),
        false => ("<", "DESC"),
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM files WHERE {IS_THERE} AND (?2 IS NULL OR id {comparison} ?2) AND (?3 IS NULL OR purpose = ?3)
         ORDER BY id {order} LIMIT ?4"
    ))?;
    let purpose = page.purpose.map(|purpose| purpose.as_str());
    let rows = statement.query_map((now(), after, purpose, page.limit), read_row)?;
    rows.map(|row| row?.finish()).collect()
}

/// A row of [`COLUMNS`].
pub(crate) fn read(row: &Row<'_>) -> StoreResult<StoredFile> {
    read_row(row)?.finish()
}

struct FileRow {
    id: String,
    name: String,
    purpose: String,
    bytes: i64,
    digest: String,
    created: i64,
    expires: Option<i64>,
}

impl FileRow {
    fn finish(self) -> StoreResult<StoredFile> {
        Ok(StoredFile {
            id: self.id.parse()?,
            name: self.name,
            purpose: self.purpose.parse()?,
            bytes: self.bytes.cast_unsigned(),
            digest: self.digest.parse()?,
            created: self.created.cast_unsigned(),
            expires: self.expires.map(i64::cast_unsigned),
        })
    }
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<FileRow> {
    Ok(FileRow {
        id: row.get(0)?,
        name: row.get(1)?,
        purpose: row.get(2)?,
        bytes: row.get(3)?,
        digest: row.get(4)?,
        created: row.get(5)?,
        expires: row.get(6)?,
    })
}
