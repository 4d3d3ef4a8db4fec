//! What a plugin's statement may do in SQLite and how much of it: authorizer, deadline, sizes, and errors in its words.
//! Not here: running statements (`sql`).
//!
//! SQLite's memory is not the guest's, so it is bounded here and in `sqlite_memory`: short values, few columns, a small page cache, and sorting
//! that spills to temporary files, which the deadline bounds.

use super::{allowed, functions};
use crate::error::{Failure, StoreResult};
use parking_lot::Mutex;
use riad_core::{Error, ErrorKind, Limits};
use rusqlite::{
    Connection, ErrorCode,
    config::DbConfig,
    hooks::{AuthAction, AuthContext, Authorization},
    limits::Limit,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const PAGE_BYTES: u64 = 4096;
/// Instructions of SQLite's virtual machine between two checks of the deadline. One may copy values of the largest size.
const PROGRESS_STEPS: i32 = 10;
/// Calls of the authorizer while one statement is compiled: views of views multiply them.
const AUTHORIZER_CALLS_MAX: u64 = 20_000;
/// Pragmas that only describe the store.
const PRAGMAS: [&str; 7] = [
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
];
/// SQLite's codes for faults of the plugin's SQL. All others are faults of this server or its disk.
const SQL_ERRORS: [ErrorCode; 7] = [
    ErrorCode::Unknown,
    ErrorCode::ConstraintViolation,
    ErrorCode::TypeMismatch,
    ErrorCode::ParameterOutOfRange,
    ErrorCode::AuthorizationForStatementDenied,
    ErrorCode::ReadOnly,
    ErrorCode::OperationAborted,
];

pub(super) struct Guard {
    began: Instant,
    time_ms: u64,
    /// Milliseconds after `began`.
    deadline_ms: AtomicU64,
    authorizer_calls: AtomicU64,
    /// Bytes that the store may have now.
    max_bytes: AtomicU64,
    /// Set while our own statements run.
    off: AtomicBool,
    timed_out: AtomicBool,
    /// Why the authorizer refused, in words for the plugin's author.
    refused: Mutex<Option<String>>,
}

impl Guard {
    pub(super) fn install(connection: &mut Connection, limits: &Limits) -> StoreResult<Arc<Self>> {
        let guard = Arc::new(Self {
            began: Instant::now(),
            time_ms: limits.sql_ms,
            deadline_ms: AtomicU64::new(0),
            authorizer_calls: AtomicU64::new(0),
            max_bytes: AtomicU64::new(limits.sql_bytes),
            off: AtomicBool::new(true),
            timed_out: AtomicBool::new(false),
            refused: Mutex::new(None),
        });
        configure(connection, limits)?;
        let authorizer = guard.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| authorizer.authorize(&context)))?;
        let clock = guard.clone();
        connection.progress_handler(PROGRESS_STEPS, Some(move || clock.is_late()))?;
        Ok(guard)
    }

    /// Called between statements.
    pub(super) fn set_max_bytes(&self, connection: &Connection, bytes: u64) -> StoreResult<()> {
        if self.max_bytes.swap(bytes, Ordering::Relaxed) == bytes {
            return Ok(());
        }
        set_max_pages(connection, bytes)
    }

    pub(super) fn begin(&self) {
        let now = self.began.elapsed();
        let deadline = now.saturating_add(Duration::from_millis(self.time_ms));
        self.deadline_ms.store(
            u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        self.authorizer_calls.store(0, Ordering::Relaxed);
        self.timed_out.store(false, Ordering::Relaxed);
        *self.refused.lock() = None;
        self.off.store(false, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.off.store(true, Ordering::Relaxed);
    }

    /// Runs a statement of ours within a guarded call.
    pub(super) fn unguarded<T>(&self, work: impl FnOnce() -> T) -> T {
        self.off.store(true, Ordering::Relaxed);
        let result = work();
        self.off.store(false, Ordering::Relaxed);
        result
    }

    /// Converts SQLite's failure to the plugin's error.
    pub(super) fn explain(&self, failure: Failure, limits: &Limits) -> Failure {
        let Failure::Sqlite(error) = &failure else {
            return failure;
        };
        if self.timed_out.load(Ordering::Relaxed) {
            return limit(format!("the statement took longer than {} ms", self.time_ms));
        }
        if let Some(refused) = self.refused.lock().take() {
            return Error::invalid(refused).into();
        }
        let words = if let rusqlite::Error::SqliteFailure(_, Some(words)) = error {
            words.clone()
        } else if let rusqlite::Error::SqlInputError { msg, .. } = error {
            msg.clone()
        } else {
            error.to_string()
        };
        let code = error.sqlite_error_code();
        if code == Some(ErrorCode::DiskFull) {
            if self.max_bytes.load(Ordering::Relaxed) < limits.sql_bytes {
                let words = "this tenant stores as many bytes as it may; delete documents, adapters or versions of plugins, or rows of the SQL store";
                return Failure::Known(Error::new(ErrorKind::StorageFull, words));
            }
            return limit(format!("the SQL store is full: it may have {} bytes", limits.sql_bytes));
        }
        if code == Some(ErrorCode::TooBig) {
            return limit(format!(
                "a value, row or statement is too long for the SQL store: {words}"
            ));
        }
        if code == Some(ErrorCode::OutOfMemory) {
            return limit(format!(
                "the statement needs more than {} bytes of memory",
                limits.sql_memory_bytes
            ));
        }
        if code.is_none_or(|code| SQL_ERRORS.contains(&code)) {
            return Error::invalid(words).into();
        }
        failure
    }

    fn is_late(&self) -> bool {
        if self.off.load(Ordering::Relaxed) {
            return false;
        }
        let late = self.began.elapsed().as_millis() >= u128::from(self.deadline_ms.load(Ordering::Relaxed));
        if late {
            self.timed_out.store(true, Ordering::Relaxed);
        }
        late
    }

    fn authorize(&self, context: &AuthContext<'_>) -> Authorization {
        if self.off.load(Ordering::Relaxed) {
            return Authorization::Allow;
        }
        let reason = if self.is_late() {
            Some("the statement takes too long to compile".to_owned())
        } else if self.authorizer_calls.fetch_add(1, Ordering::Relaxed) >= AUTHORIZER_CALLS_MAX {
            Some("the statement is too complex: its views and subqueries multiply".to_owned())
        } else {
            reason_to_refuse(context)
        };
        match reason {
            None => Authorization::Allow,
            Some(reason) => {
                self.refused.lock().get_or_insert(reason);
                Authorization::Deny
            }
        }
    }
}

fn set_max_pages(connection: &Connection, bytes: u64) -> StoreResult<()> {
    // SQLite makes it no less than the pages that are there, and 0 changes nothing.
    let pages = (bytes / PAGE_BYTES).max(1);
    connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    Ok(())
}

/// Bytes of the store.
pub(super) fn bytes(connection: &Connection) -> StoreResult<u64> {
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    Ok(pages.cast_unsigned().saturating_mul(PAGE_BYTES))
}

fn configure(connection: &Connection, limits: &Limits) -> StoreResult<()> {
    connection.pragma_update(None, "page_size", PAGE_BYTES.cast_signed())?;
    // Deleting rows makes the file smaller, and so room for what else the tenant stores. For a new file only: it would have to be written anew.
    if connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))? <= 1 {
        connection.pragma_update(None, "auto_vacuum", "FULL")?;
        connection.execute_batch("VACUUM")?;
    }
    set_max_pages(connection, limits.sql_bytes)?;
    connection.pragma_update(None, "cache_size", -2048)?;
    // Files: in memory, what a sort collects before the deadline would have no bound.
    connection.pragma_update(None, "temp_store", "FILE")?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "journal_size_limit", 4_i64 << 20)?;
    for (setting, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    ] {
        connection.set_db_config(setting, value)?;
    }
    // A value may be as long as a result; a schema needs some length too.
    let value_bytes = i32::try_from(limits.sql_result_bytes.clamp(64 << 10, 1 << 30)).unwrap_or(1 << 30);
    functions::install(connection, usize::try_from(value_bytes).unwrap_or(usize::MAX))?;
    for (kind, value) in [
        (Limit::SQLITE_LIMIT_LENGTH, value_bytes),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, 64 << 10),
        (Limit::SQLITE_LIMIT_COLUMN, 100),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
        (Limit::SQLITE_LIMIT_VDBE_OP, 25_000),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, 32),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, functions::PATTERN_MAX),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 1_000),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 8),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        (Limit::SQLITE_LIMIT_SCHEMA, 500),
        (Limit::SQLITE_LIMIT_TRIGGER_STEPS, 50),
    ] {
        connection.set_limit(kind, value)?;
    }
    Ok(())
}

fn reason_to_refuse(context: &AuthContext<'_>) -> Option<String> {
    if context.database_name.is_some_and(|name| name != "main") {
        return Some("there are no temporary objects and no other databases in the SQL store".into());
    }
    let refused = |what: &str| Some(format!("{what} is not available in the SQL store"));
    match context.action {
        AuthAction::Select
        | AuthAction::Recursive
        | AuthAction::Read { .. }
        | AuthAction::CreateIndex { .. }
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateTrigger { .. }
        | AuthAction::CreateView { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::DropTable { .. }
        | AuthAction::DropTrigger { .. }
        | AuthAction::DropView { .. }
        | AuthAction::Reindex { .. } => None,
        AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name } => {
            // Crafted statistics steer the query planner.
            let statistics = table_name
                .get(..11)
                .is_some_and(|start| start.eq_ignore_ascii_case("sqlite_stat"));
            statistics.then(|| "the planner's statistics cannot be changed".into())
        }
        AuthAction::AlterTable { database_name, .. } => {
            (database_name != "main").then(|| "only tables of the SQL store can be altered".into())
        }
        AuthAction::Function { function_name } => (!allowed::is_function_available(function_name))
            .then(|| format!("the function {function_name} is not available in the SQL store")),
        AuthAction::Pragma { pragma_name, .. } => (!PRAGMAS.iter().any(|name| name.eq_ignore_ascii_case(pragma_name)))
            .then(|| {
                format!(
                    "PRAGMA {pragma_name} is not available in the SQL store; these are: {}",
                    PRAGMAS.join(", ")
                )
            }),
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => {
            Some("transactions cannot be begun or ended: each call is a transaction of its own".into())
        }
        AuthAction::Attach { .. } => refused("ATTACH or VACUUM"),
        AuthAction::Detach { .. } => refused("DETACH"),
        AuthAction::Analyze { .. } => refused("ANALYZE"),
        AuthAction::CreateVtable { .. } | AuthAction::DropVtable { .. } => refused("a virtual table"),
        AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempTrigger { .. }
        | AuthAction::DropTempView { .. } => refused("a temporary object"),
        AuthAction::Unknown { .. } | _ => refused("this kind of statement"),
    }
}

fn limit(message: String) -> Failure {
    Failure::Known(Error::new(ErrorKind::PluginLimit, message))
}
