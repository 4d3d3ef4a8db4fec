//! The `KvStore` port of a room, for one request: plugins' values in `room.db`, each until its time is over. What has expired is never
//! read, and goes some rows at a time with the changes that come after.

use crate::{
    erasure,
    error::{StoreResult, run_with_permit},
    room::RoomState,
};
use async_trait::async_trait;
use riad_core::{
    Error, ErrorKind, Limits, Result, Timestamp,
    ports::{KV_KEY_BYTES, KV_SECONDS, KV_VALUE_BYTES, KvStore},
};
use rusqlite::{Connection, OptionalExtension};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Expired values that one change deletes, and as many when a room is opened: more than one change adds, and few, so that no request waits
/// for long.
const DELETED_AT_ONCE: u32 = 32;

pub(crate) struct RoomKv {
    room: Arc<RoomState>,
    /// Bytes that the room may store.
    most: u64,
    /// Values that the room may keep.
    values: u32,
    request_ms: u64,
    /// Microseconds that the request's calls have run.
    used_us: Arc<AtomicU64>,
}

#[async_trait]
impl KvStore for RoomKv {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let key = checked_key(key)?;
        let (room, used_us, most_ms) = (self.room.clone(), self.used_us.clone(), self.request_ms);
        run_with_permit(&self.room.database.read_permits, move || {
            timed(&used_us, most_ms, || {
                room.database.read(|connection| get(connection, &key, Timestamp::now()))
            })
        })
        .await
    }

    async fn set(&self, key: &str, value: Vec<u8>, seconds: u32) -> Result<()> {
        if value.len() > KV_VALUE_BYTES {
            return Err(Error::invalid(format!(
                "the value has {} bytes, at most {KV_VALUE_BYTES} are kept",
                value.len()
            )));
        }
        let (key, expires, values) = (checked_key(key)?, expiry(seconds)?, self.values);
        self.write(move |connection, now| {
            if get(connection, &key, now)?.is_none() {
                check_count(connection, now, values)?;
            }
            put(connection, &key, &value, expires)
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        let (room, key) = (self.room.clone(), checked_key(key)?);
        let (used_us, most_ms) = (self.used_us.clone(), self.request_ms);
        let deleted = run_with_permit(&self.room.database.write_permits, move || {
            timed(&used_us, most_ms, || {
                room.write_reserved(|connection| {
                    let now = Timestamp::now();
                    delete_some_expired(connection, now)?;
                    let deleted = connection
                        .prepare_cached("DELETE FROM kv WHERE key = ?1 RETURNING expires")?
                        .query_row([&key], |row| row.get::<_, i64>(0))
                        .optional()?;
                    Ok(deleted.is_some_and(|expires| expires > millis(now)))
                })
            })
        });
        let deleted = deleted.await?;
        // Not at once, because plugins delete often.
        erasure::erase_soon(&self.room);
        Ok(deleted)
    }

    async fn increment(&self, key: &str, by: i64, seconds: u32) -> Result<i64> {
        let (key, expires, values) = (checked_key(key)?, expiry(seconds)?, self.values);
        self.write(move |connection, now| {
            let Some(value) = get(connection, &key, now)? else {
                check_count(connection, now, values)?;
                put(connection, &key, &by.to_le_bytes(), expires)?;
                return Ok(by);
            };
            let number = value.try_into().map(i64::from_le_bytes).map_err(|value: Vec<u8>| {
                Error::invalid(format!(
                    "the value is no number: it has {} bytes, a number has 8",
                    value.len()
                ))
            })?;
            let sum = number
                .checked_add(by)
                .ok_or_else(|| Error::invalid(format!("the sum of {number} and {by} does not fit into 64 bits")))?;
            connection
                .prepare_cached("UPDATE kv SET value = ?2 WHERE key = ?1")?
                .execute((&key, &sum.to_le_bytes()[..]))?;
            Ok(sum)
        })
        .await
    }
}

impl RoomKv {
    pub(crate) fn new(room: Arc<RoomState>, most: u64, limits: &Limits) -> Self {
        Self {
            room,
            most,
            values: limits.kv_values,
            request_ms: limits.kv_request_ms,
            used_us: Arc::default(),
        }
    }

    /// Runs a change in the bytes that the room may have, and in what is left of the request's time.
    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection, Timestamp) -> StoreResult<T> + Send + 'static,
    ) -> Result<T> {
        let (room, most) = (self.room.clone(), self.most);
        let (used_us, most_ms) = (self.used_us.clone(), self.request_ms);
        run_with_permit(&self.room.database.write_permits, move || {
            timed(&used_us, most_ms, || {
                room.write(|connection| {
                    let now = Timestamp::now();
                    delete_some_expired(connection, now)?;
                    let result = change(connection, now)?;
                    room.check_quota(connection, most)?;
                    Ok(result)
                })
            })
        })
        .await
    }
}

/// Deletes some of the values whose time is over.
pub(crate) fn delete_expired(room: &RoomState) -> StoreResult<()> {
    let now = Timestamp::now();
    let has_expired = room.database.read(|connection| {
        Ok(connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM kv WHERE expires <= ?1)")?
            .query_row([millis(now)], |row| row.get::<_, bool>(0))?)
    })?;
    match has_expired {
        true => room.write_reserved(|connection| delete_some_expired(connection, now)),
        false => Ok(()),
    }
}

fn delete_some_expired(connection: &Connection, now: Timestamp) -> StoreResult<()> {
    connection
        .prepare_cached(
            "DELETE FROM kv WHERE rowid IN (SELECT rowid FROM kv WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
        )?
        .execute((millis(now), DELETED_AT_ONCE))?;
    Ok(())
}

fn get(connection: &Connection, key: &str, now: Timestamp) -> StoreResult<Option<Vec<u8>>> {
    Ok(connection
        .prepare_cached("SELECT value FROM kv WHERE key = ?1 AND expires > ?2")?
        .query_row((key, millis(now)), |row| row.get(0))
        .optional()?)
}

fn put(connection: &Connection, key: &str, value: &[u8], expires: Timestamp) -> StoreResult<()> {
    connection
        .prepare_cached(
            "INSERT INTO kv (key, value, expires) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires",
        )?
        .execute((key, value, millis(expires)))?;
    Ok(())
}

/// Called before one more value is kept. Reads the index only, which has about `most` entries.
fn check_count(connection: &Connection, now: Timestamp, most: u32) -> StoreResult<()> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM kv WHERE expires > ?1")?
        .query_row([millis(now)], |row| row.get(0))?;
    if count < i64::from(most) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::PluginLimit,
        format!(
            "this room keeps {most} values, as many as it may (limits.kv_values); delete some, or give them less time"
        ),
    )
    .into())
}

/// The last call may take longer: a change is not broken off.
fn timed<T>(used_us: &AtomicU64, most_ms: u64, work: impl FnOnce() -> StoreResult<T>) -> StoreResult<T> {
    if Duration::from_micros(used_us.load(Ordering::Relaxed)) >= Duration::from_millis(most_ms) {
        return Err(Error::new(
            ErrorKind::PluginLimit,
            format!("this request's calls of kv have taken {most_ms} ms, as much as one request's may take together"),
        )
        .into());
    }
    let begun = Instant::now();
    let result = work();
    let us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    used_us.fetch_add(us, Ordering::Relaxed);
    result
}

fn checked_key(key: &str) -> Result<String> {
    match (1..=KV_KEY_BYTES).contains(&key.len()) {
        true => Ok(key.to_owned()),
        false => Err(Error::invalid(format!(
            "a key has 1 to {KV_KEY_BYTES} bytes, this one has {}",
            key.len()
        ))),
    }
}

fn expiry(seconds: u32) -> Result<Timestamp> {
    match (1..=KV_SECONDS).contains(&seconds) {
        true => Ok(Timestamp::now().plus(Duration::from_secs(seconds.into()))),
        false => Err(Error::invalid(format!(
            "a value lives for 1 to {KV_SECONDS} seconds, not {seconds}"
        ))),
    }
}

fn millis(time: Timestamp) -> i64 {
    time.as_millis().cast_signed()
}
