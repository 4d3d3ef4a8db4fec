//! `plugin.db`: a plugin's statements run one at a time, each a transaction of its own.
//! Not here: what a statement may do and how long (`sql/guard`).
//!
//! `query` runs what returns rows, `INSERT … RETURNING` too; `execute` runs the rest. Either changes everything it says or,
//! over a limit, nothing. A transaction cannot span calls, so that no plugin holds anything between them.

mod allowed;
mod functions;
pub mod fuzzing;
mod guard;

use crate::{
    error::{Failure, StoreResult, closed, run_blocking},
    sqlite::{self, Sealed},
    sqlite_memory::Bound,
};
use guard::Guard;
use riad_core::{
    Error, ErrorKind, Limits, Result,
    ports::{SqlRows, SqlValue},
};
use rusqlite::{Batch, Connection, Statement, ToSql, fallible_iterator::FallibleIterator, types};
use std::{fs, path::PathBuf, sync::Arc};
use tokio::sync::Mutex;

/// `plugin.db`, opened at the first statement: most rooms never have one.
pub(crate) struct PluginDatabase {
    path: PathBuf,
    limits: Limits,
    sealed: Sealed,
    /// Waiting for it holds no thread (`resources::PLUGIN_SQL`).
    state: Arc<Mutex<State>>,
}

enum State {
    Unopened,
    Open(Box<GuardedConnection>),
    Closed,
}

pub(crate) struct GuardedConnection {
    connection: Connection,
    guard: Arc<Guard>,
    limits: Limits,
    sealed: Sealed,
}

impl PluginDatabase {
    pub(crate) fn new(path: PathBuf, limits: Limits, sealed: Sealed) -> Self {
        Self {
            path,
            limits,
            sealed,
            state: Arc::new(Mutex::new(State::Unopened)),
        }
    }

    /// Bytes of its file, for a start.
    pub(crate) fn file_bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// Waits for the statement that runs. Blocks: not for async threads.
    pub(crate) fn close(&self) {
        *self.state.blocking_lock() = State::Closed;
    }

    /// Waits for the statement that runs: those that come later see the room sealed.
    pub(crate) fn wait(&self) {
        drop(self.state.blocking_lock());
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&GuardedConnection) -> StoreResult<T> + Send + 'static,
    ) -> Result<T> {
        let mut state = self.state.clone().lock_owned().await;
        let (path, limits, sealed) = (self.path.clone(), self.limits.clone(), self.sealed.clone());
        run_blocking(move || {
            if matches!(*state, State::Unopened) {
                *state = State::Open(Box::new(GuardedConnection::open(path, limits, sealed)?));
            }
            match &*state {
                State::Open(connection) => work(connection),
                State::Unopened | State::Closed => Err(closed()),
            }
        })
        .await
    }
}

impl GuardedConnection {
    fn open(path: PathBuf, limits: Limits, sealed: Sealed) -> StoreResult<Self> {
        let mut connection = sqlite::open(&path)?;
        let guard = Guard::install(&mut connection, &limits)?;
        Ok(Self {
            connection,
            guard,
            limits,
            sealed,
        })
    }

    /// Of no file, for what is tried.
    pub(crate) fn scratch(limits: Limits) -> StoreResult<Self> {
        let mut connection = sqlite::open_scratch()?;
        let guard = Guard::install(&mut connection, &limits)?;
        Ok(Self {
            connection,
            guard,
            limits,
            sealed: Sealed::default(),
        })
    }

    /// Milliseconds that the statements of one request may take together.
    pub(crate) fn request_time_ms(&self) -> u64 {
        self.limits.sql_request_ms
    }

    /// Bytes that it may have from now on, if that is less than the limit of every store. What is there stays.
    pub(crate) fn set_max_bytes(&self, bytes: u64) -> StoreResult<()> {
        self.guard
            .set_max_bytes(&self.connection, bytes.min(self.limits.sql_bytes))
    }

    /// Bytes that it has.
    pub(crate) fn bytes(&self) -> StoreResult<u64> {
        guard::bytes(&self.connection)
    }

    pub(crate) fn query(&self, sql: &str, params: &[SqlValue]) -> StoreResult<SqlRows> {
        self.run(sql, params, |statement| {
            if statement.column_count() == 0 {
                return Err(Error::invalid("this statement returns no rows; use execute").into());
            }
            self.collect(statement)
        })
    }

    pub(crate) fn execute(&self, sql: &str, params: &[SqlValue]) -> StoreResult<u64> {
        self.run(sql, params, |statement| {
            if statement.column_count() > 0 {
                return Err(Error::invalid("this statement returns rows; use query").into());
            }
            let before = self.connection.total_changes();
            let changed = statement.raw_execute()?;
            // SQLite repeats the last count after a statement that changes no rows, such as CREATE TABLE.
            let changed = if self.connection.total_changes() == before {
                0
            } else {
                changed
            };
            Ok(changed as u64)
        })
    }

    fn run<T>(
        &self,
        sql: &str,
        params: &[SqlValue],
        work: impl FnOnce(&mut Statement<'_>) -> StoreResult<T>,
    ) -> StoreResult<T> {
        if sql.contains('\0') {
            return Err(Error::invalid("a statement must not contain the character NUL").into());
        }
        self.guard.begin();
        let bound = Bound::begin(self.limits.sql_memory_bytes);
        let outcome = self.run_guarded(sql, params, work);
        drop(bound);
        self.guard.end();
        outcome.map_err(|failure| self.guard.explain(failure, &self.limits))
    }

    fn run_guarded<T>(
        &self,
        sql: &str,
        params: &[SqlValue],
        work: impl FnOnce(&mut Statement<'_>) -> StoreResult<T>,
    ) -> StoreResult<T> {
        // Not `prepare`: that looks for further statements by recursion, one level of the stack for each.
        let mut statements = Batch::new(&self.connection, sql);
        let mut statement = statements
            .next()?
            .ok_or_else(|| Error::invalid("there is no statement"))?;
        if statements.next()?.is_some() {
            return Err(Error::invalid("one statement at a time; send the next one in a call of its own").into());
        }
        if statement.parameter_count() != params.len() {
            return Err(Error::invalid(format!(
                "the statement has {} parameters, {} values were given",
                statement.parameter_count(),
                params.len()
            ))
            .into());
        }
        for (position, value) in (1..).zip(params) {
            statement.raw_bind_parameter(position, SqlParameter(value))?;
        }
        if statement.readonly() {
            return work(&mut statement);
        }
        self.sealed.check()?;
        self.guard
            .unguarded(|| self.connection.execute_batch("BEGIN IMMEDIATE"))?;
        let result = work(&mut statement);
        // Ends its use of the tables before the transaction ends.
        drop(statement);
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        // `INSERT OR ROLLBACK` may have ended it already.
        if !self.connection.is_autocommit() {
            let ended = self.guard.unguarded(|| self.connection.execute_batch(end));
            if !self.connection.is_autocommit() {
                self.guard.unguarded(|| self.connection.execute_batch("ROLLBACK"))?;
            }
            if result.is_ok() {
                ended?;
            }
        }
        result
    }

    fn collect(&self, statement: &mut Statement<'_>) -> StoreResult<SqlRows> {
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let width = columns.len();
        let mut bytes: usize = columns.iter().map(String::len).sum();
        let mut found = Vec::new();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if found.len() >= self.limits.sql_rows as usize {
                return Err(limit(format!(
                    "the statement returns more than {} rows; add a LIMIT",
                    self.limits.sql_rows
                )));
            }
            let mut values = Vec::with_capacity(width);
            for column in 0..width {
                let value = row.get_ref(column)?;
                bytes += size(&value);
                if bytes as u64 > self.limits.sql_result_bytes {
                    return Err(limit(format!(
                        "the rows have more than {} bytes; ask for fewer rows or columns",
                        self.limits.sql_result_bytes
                    )));
                }
                values.push(copy(value));
            }
            found.push(values);
        }
        Ok(SqlRows { columns, rows: found })
    }
}

fn limit(message: String) -> Failure {
    Failure::Known(Error::new(ErrorKind::PluginLimit, message))
}

fn size(value: &types::ValueRef<'_>) -> usize {
    match value {
        types::ValueRef::Null | types::ValueRef::Integer(_) | types::ValueRef::Real(_) => 8,
        types::ValueRef::Text(bytes) | types::ValueRef::Blob(bytes) => 8 + bytes.len(),
    }
}

fn copy(value: types::ValueRef<'_>) -> SqlValue {
    match value {
        types::ValueRef::Null => SqlValue::Null,
        types::ValueRef::Integer(number) => SqlValue::Integer(number),
        types::ValueRef::Real(number) => SqlValue::Real(number),
        // SQLite does not promise UTF-8: a cast makes text of any bytes.
        types::ValueRef::Text(bytes) => SqlValue::Text(String::from_utf8_lossy(bytes).into_owned()),
        types::ValueRef::Blob(bytes) => SqlValue::Blob(bytes.to_vec()),
    }
}

struct SqlParameter<'a>(&'a SqlValue);

impl ToSql for SqlParameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<types::ToSqlOutput<'_>> {
        Ok(types::ToSqlOutput::Borrowed(match self.0 {
            SqlValue::Null => types::ValueRef::Null,
            SqlValue::Integer(number) => types::ValueRef::Integer(*number),
            SqlValue::Real(number) => types::ValueRef::Real(*number),
            SqlValue::Text(text) => types::ValueRef::Text(text.as_bytes()),
            SqlValue::Blob(bytes) => types::ValueRef::Blob(bytes),
        }))
    }
}
