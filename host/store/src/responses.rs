//! The `ResponseStore` port of a room: responses and what they go on from, in `room.db`. Not here: what is in them (`api`), and how much
//! of them is kept (`services`).

use crate::{
    erasure,
    error::{StoreResult, run_with_permit},
    room::RoomState,
};
use async_trait::async_trait;
use bytes::Bytes;
use riad_core::{
    Error, ResponseId, Result, Timestamp,
    ports::{ConversationSize, Exchange, KeptResponse, NewResponse, ResponseStore, Retention},
};
use rusqlite::{Connection, OptionalExtension};
use std::{sync::Arc, time::Duration};

/// Responses that one new one may delete, and as many when a room is opened: more than come, so that what has expired goes, and few, so
/// that no request waits for long.
const DELETED_AT_ONCE: u32 = 32;

pub(crate) struct RoomResponses(pub(crate) Arc<RoomState>);

#[async_trait]
impl ResponseStore for RoomResponses {
    async fn get(&self, id: &ResponseId, not_before: Timestamp) -> Result<KeptResponse> {
        let id = id.clone();
        self.0.query(move |connection| get(connection, &id, not_before)).await
    }

    async fn conversation_size(&self, id: &ResponseId, not_before: Timestamp) -> Result<ConversationSize> {
        let id = id.clone();
        self.0
            .query(move |connection| Ok(find_kept(connection, &id, not_before)?.conversation))
            .await
    }

    async fn conversation(&self, id: &ResponseId, not_before: Timestamp, most: u32) -> Result<Vec<Exchange>> {
        let id = id.clone();
        self.0
            .query(move |connection| conversation(connection, &id, not_before, most))
            .await
    }

    async fn put(&self, response: NewResponse, retention: Retention) -> Result<()> {
        let room = self.0.clone();
        run_with_permit(&self.0.database.write_permits, move || {
            room.write(|connection| put(connection, &response, &retention))
        })
        .await
    }

    async fn delete(&self, id: &ResponseId, not_before: Timestamp) -> Result<()> {
        let (room, id) = (self.0.clone(), id.clone());
        run_with_permit(&self.0.database.write_permits, move || {
            room.write_reserved(|connection| {
                let found = find_kept(connection, &id, not_before)?;
                delete(connection, found.number)
            })?;
            erasure::erase(&room);
            Ok(())
        })
        .await
    }
}

/// Deletes some of the responses that have not been used for so many days.
pub(crate) fn delete_expired(room: &RoomState, days: u32) -> StoreResult<()> {
    let not_before = Timestamp::now().minus(Duration::from_secs(u64::from(days) * 86_400));
    let mut expired = room.database.read(least_recently_used)?;
    expired.retain(|kept| kept.used < not_before);
    match expired.is_empty() {
        true => Ok(()),
        false => room.write_reserved(|connection| expired.iter().try_for_each(|kept| delete(connection, kept.number))),
    }
}

/// A row of `responses`.
struct Row {
    number: i64,
    previous: Option<ResponseId>,
    conversation: ConversationSize,
}

fn find(connection: &Connection, id: &ResponseId, not_before: Timestamp) -> StoreResult<Option<Row>> {
    let found = connection
        .prepare_cached(
            "SELECT number, previous, conversation_messages, conversation_bytes FROM responses WHERE id = ?1 AND used >= ?2",
        )?
        .query_row((id.as_str(), not_before.as_millis().cast_signed()), |row| {
            Ok((
                row.get(0)?,
                row.get::<_, Option<String>>(1)?,
                row.get(2)?,
                row.get::<_, i64>(3)?,
            ))
        })
        .optional()?;
    let Some((number, previous, messages, bytes)) = found else {
        return Ok(None);
    };
    Ok(Some(Row {
        number,
        previous: previous.map(|previous| previous.parse()).transpose()?,
        conversation: ConversationSize {
            messages,
            bytes: bytes.cast_unsigned(),
        },
    }))
}

fn find_kept(connection: &Connection, id: &ResponseId, not_before: Timestamp) -> StoreResult<Row> {
    let missing = || {
        Error::not_found(format!(
            "there is no response \"{id}\"; it was not kept, has expired, or was deleted"
        ))
    };
    Ok(find(connection, id, not_before)?.ok_or_else(missing)?)
}

fn get(connection: &Connection, id: &ResponseId, not_before: Timestamp) -> StoreResult<KeptResponse> {
    let number = find_kept(connection, id, not_before)?.number;
    let head: Vec<u8> = connection
        .prepare_cached("SELECT head FROM response_contents WHERE number = ?1")?
        .query_row([number], |row| row.get(0))?;
    Ok(KeptResponse {
        head: Bytes::from(head),
        exchange: exchange(connection, number)?,
    })
}

fn exchange(connection: &Connection, number: i64) -> StoreResult<Exchange> {
    let (input, output): (Vec<u8>, Vec<u8>) = connection
        .prepare_cached("SELECT input, output FROM response_contents WHERE number = ?1")?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Exchange {
        input: Bytes::from(input),
        output: Bytes::from(output),
    })
}

fn conversation(
    connection: &Connection,
    id: &ResponseId,
    not_before: Timestamp,
    most: u32,
) -> StoreResult<Vec<Exchange>> {
    let mut exchanges = Vec::new();
    let mut next = Some(id.clone());
    while let Some(id) = next {
        if exchanges.len() >= most as usize {
            return Err(Error::not_found(format!("the conversation has more than {most} responses")).into());
        }
        let row = find_kept(connection, &id, not_before)?;
        exchanges.push(exchange(connection, row.number)?);
        next = row.previous;
    }
    exchanges.reverse();
    Ok(exchanges)
}

fn put(connection: &Connection, new: &NewResponse, retention: &Retention) -> StoreResult<()> {
    let now = Timestamp::now();
    let before = use_again(connection, new.previous.as_ref(), now, retention.exchanges)?;
    let KeptResponse { head, exchange } = &new.response;
    let exchange_bytes = (exchange.input.len() + exchange.output.len()) as u64;
    let bytes = exchange_bytes.saturating_add(head.len() as u64);
    connection
        .prepare_cached(
            "INSERT INTO responses (id, previous, used, bytes, conversation_messages, conversation_bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            new.id.as_str(),
            new.previous.as_ref().map(ResponseId::as_str),
            now.as_millis().cast_signed(),
            bytes.cast_signed(),
            before.messages.saturating_add(new.messages),
            before.bytes.saturating_add(exchange_bytes).cast_signed(),
        ))?;
    let number = connection.last_insert_rowid();
    connection
        .prepare_cached("INSERT INTO response_contents (number, head, input, output) VALUES (?1, ?2, ?3, ?4)")?
        .execute((number, &head[..], &exchange.input[..], &exchange.output[..]))?;
    delete_surplus(connection, number, retention)
}

/// What a new response goes on from is kept for as long as that. One that was deleted meanwhile is no error: the new one was answered.
fn use_again(
    connection: &Connection,
    last: Option<&ResponseId>,
    now: Timestamp,
    most: u32,
) -> StoreResult<ConversationSize> {
    let mut size = None;
    let mut next = last.cloned();
    let mut update = connection.prepare_cached("UPDATE responses SET used = ?2 WHERE number = ?1")?;
    for _ in 0..most {
        let Some(id) = next else { break };
        let Some(row) = find(connection, &id, Timestamp::default())? else {
            break;
        };
        update.execute((row.number, now.as_millis().cast_signed()))?;
        size.get_or_insert(row.conversation);
        next = row.previous;
    }
    Ok(size.unwrap_or(ConversationSize { messages: 0, bytes: 0 }))
}

/// What `delete_surplus` knows of a response.
struct Kept {
    number: i64,
    used: Timestamp,
    bytes: u64,
}

/// Of those that were used at the same time, which are one conversation, the last one first: others may go on from the first ones.
fn least_recently_used(connection: &Connection) -> StoreResult<Vec<Kept>> {
    let mut statement =
        connection.prepare_cached("SELECT number, used, bytes FROM responses ORDER BY used, number DESC LIMIT ?1")?;
    let rows = statement.query_map([DELETED_AT_ONCE], |row| {
        Ok(Kept {
            number: row.get(0)?,
            used: Timestamp::from_millis(row.get::<_, i64>(1)?.cast_unsigned()),
            bytes: row.get::<_, i64>(2)?.cast_unsigned(),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Deletes what has expired or is too much, but not `new`.
fn delete_surplus(connection: &Connection, new: i64, retention: &Retention) -> StoreResult<()> {
    // Reads the index only, which has as many entries as `limits.responses`.
    let (mut count, mut bytes) = connection
        .prepare_cached("SELECT count(*), coalesce(sum(bytes), 0) FROM responses")?
        .query_row([], |row| {
            Ok((
                row.get::<_, i64>(0)?.cast_unsigned(),
                row.get::<_, i64>(1)?.cast_unsigned(),
            ))
        })?;
    for kept in least_recently_used(connection)? {
        let is_surplus = count > u64::from(retention.responses) || bytes > retention.bytes;
        if kept.used >= retention.not_before && !is_surplus {
            break;
        }
        if kept.number == new {
            continue;
        }
        delete(connection, kept.number)?;
        count = count.saturating_sub(1);
        bytes = bytes.saturating_sub(kept.bytes);
    }
    Ok(())
}

/// With its contents.
fn delete(connection: &Connection, number: i64) -> StoreResult<()> {
    connection
        .prepare_cached("DELETE FROM responses WHERE number = ?1")?
        .execute([number])?;
    Ok(())
}
