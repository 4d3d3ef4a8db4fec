//! The rows of a room's vector stores. Not here: the port (`room_vector_stores`), their files (`vector_store_files`), searching them (`search`).

use crate::{
    error::{Failure, StoreResult},
    names,
};
use riad_core::{
    Error, ErrorKind, Timestamp, VectorStoreId,
    vector_store::{FileCounts, IndexingStatus, NewVectorStore, VectorStore, VectorStoreChange, VectorStorePage},
};
use rusqlite::{Connection, OptionalExtension, Row};

/// Vector stores of a room: each has an index of its own, which is a file and memory.
const STORES_MAX: i64 = 1_000;
/// For which a use is not written down again.
const USE_SECONDS: i64 = 3_600;
pub(crate) const COLUMNS: &str = "number, id, name, metadata, created, last_active, expires_after_days, description";
/// When a store expires, in seconds; null if never.
pub(crate) const EXPIRES: &str = "(last_active + expires_after_days * 86400)";

pub(crate) fn now() -> i64 {
    Timestamp::now().as_seconds().cast_signed()
}

/// Whether the room has a vector store, or is deleting one.
pub(crate) fn are_there(connection: &Connection) -> StoreResult<bool> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM vector_stores)")?
        .query_row([], |row| row.get(0))?)
}

/// Of one that is there, whether it has expired or not.
pub(crate) fn number(connection: &Connection, id: &VectorStoreId) -> StoreResult<i64> {
    let found = connection
        .prepare_cached("SELECT number FROM vector_stores WHERE id = ?1 AND NOT is_deleted")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    found.ok_or_else(|| Failure::Known(Error::not_found(format!("this room has no vector store {id}"))))
}

/// Of one that is used now, which puts off when it expires.
pub(crate) fn use_store(connection: &Connection, id: &VectorStoreId) -> StoreResult<i64> {
    let number = number(connection, id)?;
    let used = connection
        .prepare_cached(&format!(
            "UPDATE vector_stores SET last_active = ?2 WHERE number = ?1 AND coalesce({EXPIRES} > ?2, 1)"
        ))?
        .execute((number, now()))?;
    match used {
        0 => Err(Error::invalid(format!("the vector store {id} has expired; make a new one")).into()),
        _ => Ok(number),
    }
}

/// Whether one of them has not been used for long, or has expired.
pub(crate) fn is_use_due(connection: &Connection, ids: &[VectorStoreId]) -> StoreResult<bool> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT last_active + {USE_SECONDS} <= ?2 OR coalesce({EXPIRES} <= ?2, 0) FROM vector_stores WHERE number = ?1"
    ))?;
    for id in ids {
        if statement.query_row((number(connection, id)?, now()), |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(crate) fn create(connection: &Connection, store: &NewVectorStore) -> StoreResult<VectorStore> {
    let (count, last): (i64, Option<String>) =
        connection.query_row("SELECT count(*), max(id) FROM vector_stores", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if count >= STORES_MAX {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("a tenant may have {STORES_MAX} vector stores; delete some, or use attributes"),
        )
        .into());
    }
    let id: VectorStoreId = names::next_vector_store(last.as_deref()).parse()?;
    connection.execute(
        "INSERT INTO vector_stores (id, name, metadata, created, last_active, expires_after_days, description)
         VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)",
        (
            id.as_str(),
            &store.name,
            serde_json::to_string(&store.metadata)?,
            now(),
            store.expires_after_days,
            &store.description,
        ),
    )?;
    get(connection, &id)
}

pub(crate) fn get(connection: &Connection, id: &VectorStoreId) -> StoreResult<VectorStore> {
    let number = number(connection, id)?;
    let row = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM vector_stores WHERE number = ?1"))?
        .query_row([number], read_row)?;
    row.finish(connection)
}

pub(crate) fn list(connection: &Connection, page: &VectorStorePage) -> StoreResult<Vec<VectorStore>> {
    let after = page.after.as_ref().map(VectorStoreId::as_str);
    let before = page.before.as_ref().map(VectorStoreId::as_str);
    names::check_place("after", after)?;
    names::check_place("before", before)?;
    let mut statement = connection.prepare_cached(&list_query(
        &format!("SELECT {COLUMNS} FROM vector_stores WHERE NOT is_deleted"),
        "id",
        page.ascending,
        page.before.is_some(),
    ))?;
    let rows = statement.query_map((after, before, page.limit), read_row)?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut stores = rows
        .into_iter()
        .map(|row| row.finish(connection))
        .collect::<StoreResult<Vec<_>>>()?;
    if page.before.is_some() {
        stores.reverse();
    }
    Ok(stores)
}

/// A page of rows that are ordered by a column: those after `?1` and before `?2` in the order, `?3` at most, nearest to the bound first.
pub(crate) fn list_query(select: &str, column: &str, ascending: bool, backwards: bool) -> String {
    let (later, earlier) = match ascending {
        true => (">", "<"),
        false => ("<", ">"),
    };
    let order = match ascending == backwards {
        true => "DESC",
        false => "ASC",
    };
    format!(
        "{select} AND (?1 IS NULL OR {column} {later} ?1) AND (?2 IS NULL OR {column} {earlier} ?2) \
         ORDER BY {column} {order} LIMIT ?3"
    )
}

pub(crate) fn change(
    connection: &Connection,
    id: &VectorStoreId,
    change: &VectorStoreChange,
) -> StoreResult<VectorStore> {
    let number = use_store(connection, id)?;
    if let Some(name) = &change.name {
        connection.execute("UPDATE vector_stores SET name = ?2 WHERE number = ?1", (number, name))?;
    }
    if let Some(metadata) = &change.metadata {
        connection.execute(
            "UPDATE vector_stores SET metadata = ?2 WHERE number = ?1",
            (number, serde_json::to_string(metadata)?),
        )?;
    }
    if let Some(days) = change.expires_after_days {
        connection.execute(
            "UPDATE vector_stores SET expires_after_days = ?2 WHERE number = ?1",
            (number, days),
        )?;
    }
    get(connection, id)
}

/// A row of [`COLUMNS`].
pub(crate) fn read(connection: &Connection, row: &Row<'_>) -> StoreResult<VectorStore> {
    read_row(row)?.finish(connection)
}

struct StoreRow {
    number: i64,
    id: String,
    name: String,
    metadata: String,
    created: i64,
    last_active: i64,
    expires_after_days: Option<u32>,
    description: Option<String>,
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<StoreRow> {
    Ok(StoreRow {
        number: row.get(0)?,
        id: row.get(1)?,
        name: row.get(2)?,
        metadata: row.get(3)?,
        created: row.get(4)?,
        last_active: row.get(5)?,
        expires_after_days: row.get(6)?,
        description: row.get(7)?,
    })
}

impl StoreRow {
    fn finish(self, connection: &Connection) -> StoreResult<VectorStore> {
        let (files, bytes) = count(connection, FILES_OF_STORE, self.number)?;
        Ok(VectorStore {
            id: self.id.parse()?,
            name: self.name,
            description: self.description,
            metadata: serde_json::from_str(&self.metadata)?,
            created: self.created.cast_unsigned(),
            last_active: self.last_active.cast_unsigned(),
            expires_after_days: self.expires_after_days,
            files,
            bytes,
        })
    }
}

/// The files of a store, by their status.
const FILES_OF_STORE: &str =
    "SELECT status, count(*), sum(bytes) FROM vector_store_files WHERE vector_store = ?1 GROUP BY status";

/// The files that a question like [`FILES_OF_STORE`] finds, and the bytes of their texts.
pub(crate) fn count(connection: &Connection, select: &str, number: i64) -> StoreResult<(FileCounts, u64)> {
    let mut statement = connection.prepare_cached(select)?;
    let mut rows = statement.query([number])?;
    let (mut counts, mut all) = (FileCounts::default(), 0_u64);
    while let Some(row) = rows.next()? {
        let (status, count, bytes): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let count = count.cast_unsigned();
        match status_of(&status)? {
            IndexingStatus::InProgress => counts.in_progress = count,
            IndexingStatus::Completed => counts.completed = count,
            IndexingStatus::Failed => counts.failed = count,
            IndexingStatus::Cancelled => counts.cancelled = count,
        }
        all = all.saturating_add(bytes.cast_unsigned());
    }
    Ok((counts, all))
}

pub(crate) fn status_of(word: &str) -> StoreResult<IndexingStatus> {
    IndexingStatus::of(word).ok_or_else(|| Failure::Data(format!("a file of a vector store is {word:?}")))
}
