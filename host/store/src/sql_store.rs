//! The `SqlStore` port of a room, for one request: its statements share a time. Not here: what one statement may do (`sql`).

use crate::{error::StoreResult, room::RoomState, sql::GuardedConnection};
use async_trait::async_trait;
use riad_core::{
    Error, ErrorKind, Result,
    ports::{SqlRows, SqlStore, SqlValue},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

pub(crate) struct RoomSql {
    room: Arc<RoomState>,
    /// Bytes that the room may store.
    most: u64,
    /// Microseconds that the request's statements have run. A statement that waits for another request's does not run.
    used_us: Arc<AtomicU64>,
}

#[async_trait]
impl SqlStore for RoomSql {
    async fn query(&self, sql: &str, params: Vec<SqlValue>) -> Result<SqlRows> {
        let sql = sql.to_owned();
        self.run(move |store| store.query(&sql, &params)).await
    }

    async fn execute(&self, sql: &str, params: Vec<SqlValue>) -> Result<u64> {
        let (sql, room) = (sql.to_owned(), self.room.clone());
        self.run(move |store| {
            room.database.check_disk()?;
            store.execute(&sql, &params)
        })
        .await
    }
}

impl RoomSql {
    pub(crate) fn new(room: Arc<RoomState>, most: u64) -> Self {
        Self {
            room,
            most,
            used_us: Arc::default(),
        }
    }

    /// Runs a statement in the bytes that the rest of the room leaves, and in what is left of the request's time.
    async fn run<T: Send + 'static>(
        &self,
        statement: impl FnOnce(&GuardedConnection) -> StoreResult<T> + Send + 'static,
    ) -> Result<T> {
        let (room, most, used_us) = (self.room.clone(), self.most, self.used_us.clone());
        self.room
            .sql
            .run(move |store| {
                check_time(used_us.load(Ordering::Relaxed), store.request_time_ms())?;
                let begun = Instant::now();
                store.set_max_bytes(most.saturating_sub(room.stored.room()))?;
                let result = statement(store);
                room.stored.set_sql(store.bytes()?);
                let us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                used_us.fetch_add(us, Ordering::Relaxed);
                result
            })
            .await
    }
}

/// The last statement may take longer, by its own limit.
fn check_time(used_us: u64, most_ms: u64) -> Result<()> {
    if Duration::from_micros(used_us) < Duration::from_millis(most_ms) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::PluginLimit,
        format!("this request's SQL has taken {most_ms} ms, as much as one request's may take together"),
    ))
}
