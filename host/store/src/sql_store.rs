//! The `SqlStore` port of a room.

use crate::{error::StoreResult, room::RoomState, sql::GuardedConnection};
use async_trait::async_trait;
use riad_core::{
    Result,
    ports::{SqlRows, SqlStore, SqlValue},
};
use std::sync::Arc;

/// A room, and the bytes that it may store.
pub(crate) struct RoomSql(pub(crate) Arc<RoomState>, pub(crate) u64);

#[async_trait]
impl SqlStore for RoomSql {
    async fn query(&self, sql: &str, params: Vec<SqlValue>) -> Result<SqlRows> {
        let sql = sql.to_owned();
        self.run(move |store| store.query(&sql, &params)).await
    }

    async fn execute(&self, sql: &str, params: Vec<SqlValue>) -> Result<u64> {
        let sql = sql.to_owned();
        self.run(move |store| store.execute(&sql, &params)).await
    }
}

impl RoomSql {
    /// Runs a statement in the bytes that the rest of the room leaves.
    async fn run<T: Send + 'static>(
        &self,
        statement: impl FnOnce(&GuardedConnection) -> StoreResult<T> + Send + 'static,
    ) -> Result<T> {
        let (room, most) = (self.0.clone(), self.1);
        self.0
            .sql
            .run(move |store| {
                store.set_max_bytes(most.saturating_sub(room.stored.room()))?;
                let result = statement(store);
                room.stored.set_sql(store.bytes()?);
                result
            })
            .await
    }
}
