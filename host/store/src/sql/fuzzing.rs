//! For the fuzz target `sql_guard` (`tests/fuzz`) only: one plugin's SQL store, without a room around it.

use super::GuardedConnection;
use crate::{error::Failure, sqlite::Sealed};
use riad_core::{Error, Limits, Result, ports::SqlRows};
use std::path::Path;

pub struct PluginSql(GuardedConnection);

impl PluginSql {
    /// # Errors
    /// When the database cannot be opened.
    pub fn open(path: &Path, limits: Limits) -> Result<Self> {
        Ok(Self(GuardedConnection::open(
            path.to_owned(),
            limits,
            Sealed::default(),
        )?))
    }

    /// # Errors
    /// As a plugin's `query`.
    pub fn query(&self, sql: &str) -> Result<SqlRows> {
        known(self.0.query(sql, &[]))
    }

    /// # Errors
    /// As a plugin's `execute`.
    pub fn execute(&self, sql: &str) -> Result<u64> {
        known(self.0.execute(sql, &[]))
    }
}

fn known<T>(outcome: Result<T, Failure>) -> Result<T> {
    outcome.map_err(Error::from)
}
