//! The SQL store that a tenant's plugins read and write (`plugin.db`).

use crate::Result;
use async_trait::async_trait;

#[derive(Debug, Clone, PartialEq)]
pub enum SqlValue {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct SqlRows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<SqlValue>>,
}

/// Runs one statement at a time, under SQLite's authorizer, a deadline and quotas. The implementation is bound to one room.
#[async_trait]
pub trait SqlStore: Send + Sync {
    /// A statement that returns rows. `InvalidRequest` with SQLite's words for bad SQL and for what the authorizer
    /// refuses; `PluginLimit` for too many rows or bytes, over the deadline, or when the request has had its time for all its calls.
    async fn query(&self, sql: &str, params: Vec<SqlValue>) -> Result<SqlRows>;

    /// A statement that changes something; returns how many rows. Fails like `query`, with `PluginLimit` when the store is full, and with
    /// `StorageFull` when the room is; nothing is changed then.
    async fn execute(&self, sql: &str, params: Vec<SqlValue>) -> Result<u64>;
}
