//! The `SqlStore` port of a room.

use crate::room::RoomState;
use async_trait::async_trait;
use riad_core::{
    Result,
    ports::{SqlRows, SqlStore, SqlValue},
};
use std::sync::Arc;

pub(crate) struct RoomSql(pub(crate) Arc<RoomState>);

#[async_trait]
impl SqlStore for RoomSql {
    async fn query(&self, sql: &str, params: Vec<SqlValue>) -> Result<SqlRows> {
        let sql = sql.to_owned();
        self.0.sql.run(move |store| store.query(&sql, &params)).await
    }

    async fn execute(&self, sql: &str, params: Vec<SqlValue>) -> Result<u64> {
        let sql = sql.to_owned();
        self.0.sql.run(move |store| store.execute(&sql, &params)).await
    }
}
