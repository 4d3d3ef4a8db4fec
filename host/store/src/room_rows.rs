//! Whether a server can read the rows of a room: each is read by the function that a server reads it with, and what no function looks at is
//! compared with its bounds. An archive may have rows that no server has written. Not here: whether rows and files belong together
//! (`room_check`).

use crate::{
    adapters, changes, document_jobs, documents,
    error::{Failure, StoreResult},
    file_rows, idempotency, names, plugins, position, room_schema,
    sql::GuardedConnection,
    stored_uploads, vector_store_files, vector_stores,
};
use riad_core::{DocumentJobId, FileBatchId, Limits, PartId, ResponseId, audit::AuditEntry, file, ports::KV_KEY_BYTES};
use rusqlite::{Connection, Row, types::ValueRef};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// Faults that are listed of each table: one that has more has one cause.
const LISTED: usize = 5;
/// The year 10000 in seconds, and milliseconds.
const SECONDS: i64 = 253_402_300_800;
const MILLIS: i64 = SECONDS * 1_000;
/// Sums of them stay within what SQLite can add.
const BYTES: i64 = 1 << 42;
/// Numbers of rows, after which there is room for as many again.
const NUMBERS: i64 = 1 << 53;

/// A column, the least and the greatest value that it may have.
type Bound = (&'static str, i64, i64);

/// Tables, what a row is called by, and the bounds of their columns.
const BOUNDS: [(&str, &str, &[Bound]); 15] = [
    (
        "documents",
        "id",
        &[
            ("number", 1, NUMBERS),
            ("bytes", 0, BYTES),
            ("created", 0, SECONDS),
            ("vector_store", 0, NUMBERS),
        ],
    ),
    (
        "chunks",
        "id",
        &[("id", 1, NUMBERS), ("start", 0, BYTES), ("position", 0, NUMBERS)],
    ),
    (
        "plugins",
        "name",
        &[("number", 1, NUMBERS), ("bytes", 0, BYTES), ("created", 0, SECONDS)],
    ),
    ("adapters", "alias", &[("bytes", 0, BYTES), ("created", 0, SECONDS)]),
    (
        "adapter_generations",
        "alias",
        &[("number", 1, NUMBERS), ("bytes", 0, BYTES), ("created", 0, SECONDS)],
    ),
    ("replies", "key", &[("created", 0, SECONDS)]),
    (
        "vector_store_places",
        "file",
        &[("removal", 1, NUMBERS), ("number", 1, NUMBERS)],
    ),
    (
        "responses",
        "id",
        &[
            ("number", 1, NUMBERS),
            ("bytes", 0, BYTES),
            ("conversation_bytes", 0, BYTES),
            ("used", 0, MILLIS),
        ],
    ),
    ("kv", "key", &[("expires", 0, MILLIS)]),
    (
        "files",
        "id",
        &[
            ("number", 1, NUMBERS),
            ("bytes", 0, BYTES),
            ("created", 0, SECONDS),
            ("coalesce(expires, 0)", 0, SECONDS),
        ],
    ),
    (
        "vector_stores",
        "id",
        &[
            ("number", 1, NUMBERS),
            ("created", 0, SECONDS),
            ("last_active", 0, SECONDS),
            ("coalesce(expires_after_days, 1)", 1, 365_000),
            ("is_deleted", 0, 1),
        ],
    ),
    ("file_batches", "id", &[("number", 1, NUMBERS), ("created", 0, SECONDS)]),
    (
        "vector_store_files",
        "number",
        &[("number", 1, NUMBERS), ("bytes", 0, BYTES), ("created", 0, SECONDS)],
    ),
    (
        "uploads",
        "id",
        &[("bytes", 0, BYTES), ("created", 0, SECONDS), ("expires", 0, SECONDS)],
    ),
    (
        "document_jobs",
        "id",
        &[
            ("number", 1, NUMBERS),
            ("coalesce(bytes, 0)", 0, BYTES),
            ("created", 0, SECONDS),
            ("coalesce(ended, 0)", 0, SECONDS),
        ],
    ),
];

/// What is wrong in the rows of a room: what a server could not read, or would not have written.
pub(crate) fn faults(connection: &Connection) -> StoreResult<Vec<String>> {
    let mut faults = Vec::new();
    let encoding: String = connection.query_row("PRAGMA encoding", [], |row| row.get(0))?;
    if encoding != "UTF-8" {
        faults.push(format!("its texts are {encoding}, not UTF-8"));
        return Ok(faults);
    }
    check_bounds(connection, &mut faults)?;
    check_state(connection, &mut faults)?;
    check_documents(connection, &mut faults)?;
    check_chunks(connection, &mut faults)?;
    let mut check = |table, sql: &str, read: &dyn Fn(&Row<'_>) -> StoreResult<()>| {
        check_rows(connection, table, sql, read, &mut faults)
    };
    check(
        "files",
        &format!("SELECT {}, id FROM files", file_rows::COLUMNS),
        &|row| {
            let stored = file_rows::read(row)?;
            file::check_name(&stored.name, "name")?;
            given(stored.id.as_str())
        },
    )?;
    check(
        "uploads",
        &format!("SELECT {}, id FROM uploads", stored_uploads::COLUMNS),
        &|row| {
            stored_uploads::check_row(row)?;
            file::check_name(&row.get::<_, String>(2)?, "name")?;
            given(&row.get::<_, String>(1)?)
        },
    )?;
    check("upload_parts", "SELECT id FROM upload_parts", &|row| {
        let id: PartId = row.get::<_, String>(0)?.parse()?;
        given(id.as_str())
    })?;
    check(
        "vector_stores",
        &format!("SELECT {}, id FROM vector_stores", vector_stores::COLUMNS),
        &|row| given(vector_stores::read(connection, row)?.id.as_str()),
    )?;
    check("file_batches", "SELECT id FROM file_batches", &|row| {
        let id: FileBatchId = row.get::<_, String>(0)?.parse()?;
        given(id.as_str())
    })?;
    check("vector_store_files", vector_store_files::FILES, &|row| {
        vector_store_files::read(row).map(drop)
    })?;
    check(
        "file_batch_files",
        "SELECT status, batch FROM file_batch_files",
        &|row| vector_stores::status_of(&row.get::<_, String>(0)?).map(drop),
    )?;
    check("document_jobs", "SELECT id FROM document_jobs", &|row| {
        let id: DocumentJobId = row.get::<_, String>(0)?.parse()?;
        document_jobs::get(connection, &id)?;
        document_jobs::check_pending(connection, &id)?;
        given(id.as_str())
    })?;
    check(
        "plugins",
        &format!("SELECT {}, name FROM plugins", plugins::COLUMNS),
        &plugins::check_row,
    )?;
    for (table, pinned) in [("adapters", "pinned"), ("adapter_generations", "0")] {
        check(
            table,
            &format!("SELECT alias, generation, rank, bytes, tensors, created, {pinned}, alias FROM {table}"),
            &adapters::check_row,
        )?;
    }
    check(
        "adapters",
        "SELECT alias FROM adapters WHERE NOT EXISTS (SELECT 1 FROM adapter_generations
            WHERE adapter_generations.alias = adapters.alias AND adapter_generations.generation = adapters.generation)",
        &|_| Err(Failure::Data("its generation is not one of those that are kept".into())),
    )?;
    check(
        "replies",
        &format!("SELECT {}, key FROM replies", idempotency::COLUMNS),
        &|row| {
            let content_type: String = row.get(2)?;
            match content_type.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
                true => idempotency::read(row).map(drop),
                false => Err(Failure::Data("its content type is none".into())),
            }
        },
    )?;
    check(
        "responses",
        "SELECT id, previous, conversation_messages, head, input, output, id FROM responses JOIN response_contents USING (number)",
        &|row| {
            row.get::<_, String>(0)?.parse::<ResponseId>()?;
            if let Some(previous) = row.get::<_, Option<String>>(1)? {
                previous.parse::<ResponseId>()?;
            }
            row.get::<_, u32>(2)?;
            for column in 3..=5 {
                let json = row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from)?;
                serde_json::from_slice::<IgnoredAny>(json)?;
            }
            Ok(())
        },
    )?;
    Ok(faults)
}

/// What is wrong in the schema of a plugin's database: what its plugin could not have made.
pub(crate) fn plugin_schema_faults(connection: &Connection) -> StoreResult<Vec<String>> {
    let mut faults = Vec::new();
    let scratch = GuardedConnection::scratch(Limits::default())?;
    // Tables before what stands on them.
    check_rows(
        connection,
        "plugin.db",
        "SELECT sql, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type <> 'table', rowid",
        &|row| scratch.execute(&row.get::<_, String>(0)?, &[]).map(drop),
        &mut faults,
    )?;
    Ok(faults)
}

/// Calls `read` with each row that the question finds, whose last column is what the row is called by.
fn check_rows(
    connection: &Connection,
    table: &str,
    sql: &str,
    read: &dyn Fn(&Row<'_>) -> StoreResult<()>,
    faults: &mut Vec<String>,
) -> StoreResult<()> {
    let mut statement = connection.prepare(sql)?;
    let name = statement.column_count().saturating_sub(1);
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let Err(failure) = read(row) else { continue };
        count += 1;
        if count > LISTED {
            faults.push(format!("{table} has more rows that no server can read"));
            break;
        }
        faults.push(format!("{table}, row {}: {}", name_of(row, name), message(failure)));
    }
    Ok(())
}

fn message(failure: Failure) -> String {
    if let Failure::Known(error) = &failure {
        return error.message().to_owned();
    }
    failure.to_string()
}

fn name_of(row: &Row<'_>, column: usize) -> String {
    match row.get_ref(column) {
        Ok(ValueRef::Integer(number)) => number.to_string(),
        Ok(ValueRef::Text(text) | ValueRef::Blob(text)) => String::from_utf8_lossy(text).into_owned(),
        Ok(ValueRef::Null | ValueRef::Real(_)) | Err(_) => "without a name".to_owned(),
    }
}

fn given(id: &str) -> StoreResult<()> {
    match names::is_given(id) {
        true => Ok(()),
        false => Err(Failure::Data("no server gives this id".into())),
    }
}

fn check_bounds(connection: &Connection, faults: &mut Vec<String>) -> StoreResult<()> {
    let refuse = |what: String| move |_: &Row<'_>| Err(Failure::Data(what.clone()));
    for (table, name, bounds) in BOUNDS {
        for (column, least, most) in bounds {
            let sql = format!("SELECT {name} FROM {table} WHERE {column} NOT BETWEEN {least} AND {most}");
            let what = format!("{column} is not from {least} to {most}");
            check_rows(connection, table, &sql, &refuse(what), faults)?;
        }
    }
    for (table, sql, what) in [
        // After the greatest one, a server could store nothing more.
        (
            "sqlite_sequence",
            format!("SELECT name FROM sqlite_sequence WHERE seq NOT BETWEEN 0 AND {NUMBERS}"),
            "its numbers leave no room for more",
        ),
        (
            "documents",
            "SELECT id FROM documents WHERE bytes <> length(CAST(text AS BLOB))".to_owned(),
            "its text has another length than it says",
        ),
        (
            "documents",
            "SELECT id FROM documents WHERE vector_store > 0 AND vector_store NOT IN (SELECT number FROM vector_stores)"
                .to_owned(),
            "its vector store is not there",
        ),
        (
            "chunks",
            "SELECT chunks.id FROM chunks JOIN documents ON documents.number = document WHERE start > documents.bytes"
                .to_owned(),
            "it begins after the end of its document",
        ),
        (
            "vector_store_files",
            "SELECT vector_store_files.number FROM vector_store_files JOIN documents ON documents.number = document
             WHERE documents.vector_store <> vector_store_files.vector_store"
                .to_owned(),
            "its document is in another vector store",
        ),
        (
            "kv",
            format!("SELECT key FROM kv WHERE length(CAST(key AS BLOB)) NOT BETWEEN 1 AND {KV_KEY_BYTES}"),
            "no plugin can have set it",
        ),
        (
            "document_files",
            "SELECT document FROM document_files WHERE length(source) <> 32".to_owned(),
            "its source is no digest",
        ),
    ] {
        check_rows(connection, table, &sql, &refuse(what.to_owned()), faults)?;
    }
    Ok(())
}

fn check_state(connection: &Connection, faults: &mut Vec<String>) -> StoreResult<()> {
    let number = |value: &str, most: i64| match value.parse::<i64>() {
        Ok(number) if (0..=most).contains(&number) => Ok(()),
        Ok(_) | Err(_) => Err(Failure::Data("it is no number that a server writes".into())),
    };
    let read = |row: &Row<'_>| {
        let (value, key): (String, String) = (row.get(0)?, row.get(1)?);
        match key.as_str() {
            "embedder" | "room_id" | "word_rules" | "word_progress" => Ok(()),
            "dimensions" => number(&value, 1 << 20),
            "reembed_last" | "reembed_done" => number(&value, NUMBERS),
            "settings" => Ok(serde_json::from_str::<Map<String, Value>>(&value).map(drop)?),
            "pipeline" => plugins::check_pipeline(connection),
            "audit_lines" => Ok(serde_json::from_str::<Vec<AuditEntry>>(&value).map(drop)?),
            // What is said of the files of indexes, which are checked with them.
            key if key.starts_with("index_") => Ok(()),
            _ => Err(Failure::Data("no server writes it".into())),
        }
    };
    check_rows(connection, "state", "SELECT value, key FROM state", &read, faults)?;
    // What searches rank by, and how deletions leave no byte, is in FTS5's own table.
    let configuration = |connection: &Connection| -> StoreResult<Vec<(String, String)>> {
        let mut statement =
            connection.prepare("SELECT k, CAST(v AS TEXT) FROM words_config WHERE k <> 'version' ORDER BY k")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    };
    if configuration(connection)? != configuration(&room_schema::scratch()?)? {
        faults.push("words_config is not that of a room".into());
    }
    Ok(())
}

fn check_documents(connection: &Connection, faults: &mut Vec<String>) -> StoreResult<()> {
    let sql = format!("SELECT {}, id FROM {}", documents::COLUMNS, documents::DOCUMENTS);
    let read = |row: &Row<'_>| {
        let document = documents::read(row)?;
        given(document.id.as_str())
    };
    check_rows(connection, "documents", &sql, &read, faults)
}

fn check_chunks(connection: &Connection, faults: &mut Vec<String>) -> StoreResult<()> {
    let read = |row: &Row<'_>| {
        position::read(row.get(0)?, row.get(1)?)?;
        row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
        let embedding = row.get_ref(3)?;
        if matches!(embedding, ValueRef::Null) {
            return Ok(());
        }
        let blob = embedding.as_blob().map_err(rusqlite::Error::from)?;
        let mut vector = Vec::new();
        changes::from_blob(blob, &mut vector);
        match changes::is_unit(&vector) {
            true => Ok(()),
            false => Err(Failure::Data("its embedding is no vector of length 1".into())),
        }
    };
    let sql = "SELECT heading, page, text, embedding, id FROM chunks";
    check_rows(connection, "chunks", sql, &read, faults)
}
