//! The `IdempotencyStore` port of a room: answers under their idempotency keys, in `room.db`. Not here: which requests get one, and how
//! long it is kept (`services`).

use crate::{
    error::{StoreResult, run_with_permit},
    room::RoomState,
};
use async_trait::async_trait;
use bytes::Bytes;
use riad_core::{
    DocumentId, Result, Timestamp,
    ports::{IdempotencyStore, KeptRequest, RequestMark, StoredObject, StoredResponse},
};
use rusqlite::{Connection, Row};
use std::sync::Arc;

pub(crate) struct RoomIdempotencyStore(pub(crate) Arc<RoomState>);

#[async_trait]
impl IdempotencyStore for RoomIdempotencyStore {
    async fn get(&self, key: &str, not_before: u64) -> Result<Option<KeptRequest>> {
        let key = key.to_owned();
        self.0.query(move |connection| get(connection, &key, not_before)).await
    }

    async fn put(&self, key: &str, response: &StoredResponse, not_before: u64) -> Result<()> {
        let (room, key, response) = (self.0.clone(), key.to_owned(), response.clone());
        run_with_permit(&self.0.database.write_permits, move || {
            room.write(|connection| {
                connection
                    .prepare_cached("DELETE FROM replies WHERE created < ?1")?
                    .execute([not_before.cast_signed()])?;
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO replies (key, request, status, content_type, body, created)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    )?
                    .execute((
                        &key,
                        String::from(response.request),
                        response.status,
                        &response.content_type,
                        &response.body[..],
                        response.created.cast_signed(),
                    ))?;
                Ok(())
            })
        })
        .await
    }
}

pub(crate) const COLUMNS: &str = "request, status, content_type, body, created";
/// The status of a row whose request has stored the document, or the document's job, that its body names, and has no answer yet.
const STORED: u16 = 0;
const STORED_JOB: u16 = 1;

/// In the transaction that stores the object. The answer takes its place.
pub(crate) fn mark(connection: &Connection, mark: &RequestMark, object: &StoredObject) -> StoreResult<()> {
    let created = Timestamp::now().as_seconds().cast_signed();
    let (status, id) = match object {
        StoredObject::Document(id) => (STORED, id.as_str()),
        StoredObject::DocumentJob(id) => (STORED_JOB, id.as_str()),
    };
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO replies (key, request, status, content_type, body, created) VALUES (?1, ?2, ?3, '', ?4, ?5)",
        )?
        .execute((&mark.key, String::from(mark.request), status, id.as_bytes(), created))?;
    Ok(())
}

/// Takes what was kept of a document out of the answers to the requests that stored it. What stays says that they stored it, so that their
/// repetitions do not store it again.
pub(crate) fn forget_document(connection: &Connection, document: &DocumentId) -> StoreResult<()> {
    connection
        .prepare_cached(
            "UPDATE replies SET status = ?2, content_type = '', body = CAST(?1 AS BLOB)
             WHERE instr(body, CAST(?1 AS BLOB)) > 0
                AND iif(json_valid(CAST(body AS TEXT)), CAST(body AS TEXT) ->> '$.id', NULL) = ?1",
        )?
        .execute((document.as_str(), STORED))?;
    Ok(())
}

fn get(connection: &Connection, key: &str, not_before: u64) -> StoreResult<Option<KeptRequest>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM replies WHERE key = ?1 AND created >= ?2"
    ))?;
    let mut rows = statement.query((key, not_before.cast_signed()))?;
    rows.next()?.map(read).transpose()
}

/// A row of [`COLUMNS`].
pub(crate) fn read(row: &Row<'_>) -> StoreResult<KeptRequest> {
    let (request, status, body): (String, u16, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(3)?);
    let request = request.parse()?;
    if [STORED, STORED_JOB].contains(&status) {
        let id = String::from_utf8_lossy(&body);
        let object = match status {
            STORED => StoredObject::Document(id.parse()?),
            _ => StoredObject::DocumentJob(id.parse()?),
        };
        return Ok(KeptRequest::Stored { request, object });
    }
    Ok(KeptRequest::Answered(StoredResponse {
        request,
        status,
        content_type: row.get(2)?,
        body: Bytes::from(body),
        created: row.get::<_, i64>(4)?.cast_unsigned(),
    }))
}
