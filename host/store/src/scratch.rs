//! A plugin's SQL store that belongs to no room, under the same guard and limits as one: for trying plugins without a server.

use crate::{
    sql::{GuardedConnection, PluginDatabase},
    sqlite::Sealed,
};
use async_trait::async_trait;
use riad_core::{
    Limits, Result,
    ports::{SqlRows, SqlStore, SqlValue},
};
use std::path::Path;

pub struct ScratchSql(PluginDatabase);

impl ScratchSql {
    /// In a folder of the caller's, where it makes `plugin.db` at the first statement.
    #[must_use]
    pub fn new(folder: &Path, limits: &Limits) -> Self {
        Self(PluginDatabase::new(
            folder.join("plugin.db"),
            limits.clone(),
            Sealed::default(),
        ))
    }
}

#[async_trait]
impl SqlStore for ScratchSql {
    async fn query(&self, sql: &str, params: Vec<SqlValue>) -> Result<SqlRows> {
        let sql = sql.to_owned();
        self.0.run(move |store| limited(store)?.query(&sql, &params)).await
    }

    async fn execute(&self, sql: &str, params: Vec<SqlValue>) -> Result<u64> {
        let sql = sql.to_owned();
        self.0.run(move |store| limited(store)?.execute(&sql, &params)).await
    }
}

/// There is no rest of a room that takes of its bytes.
fn limited(store: &GuardedConnection) -> crate::error::StoreResult<&GuardedConnection> {
    store.set_max_bytes(u64::MAX)?;
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_keeps_rows_and_refuses_what_a_room_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let sql = ScratchSql::new(folder.path(), &Limits::default());
        sql.execute("CREATE TABLE t (a TEXT)", Vec::new()).await.unwrap();
        let text = SqlValue::Text("x".into());
        assert_eq!(
            sql.execute("INSERT INTO t VALUES (?1)", vec![text.clone()])
                .await
                .unwrap(),
            1
        );
        let rows = sql.query("SELECT a FROM t", Vec::new()).await.unwrap().rows;
        assert_eq!(rows, [[text]]);
        assert!(sql.execute("ATTACH 'other.db' AS other", Vec::new()).await.is_err());
    }
}
