//! The `AuditLog` port: an append-only table of the control database. Not here: the changes that the control database makes
//! itself (`tenant_store`, `key_store`, `plans`), which append their line in their own transaction.

use crate::{
    control::{self, Control},
    error::{Failure, StoreResult, run_with_permit},
};
use async_trait::async_trait;
use riad_core::{
    Account, Result,
    audit::{AuditEntry, AuditQuery, AuditRecord, Origin},
    ports::AuditLog,
};
use rusqlite::{Connection, Row, params_from_iter, types::Value};
use std::sync::Arc;

pub(crate) struct ControlAudit {
    control: Arc<Control>,
}

impl ControlAudit {
    pub(crate) fn new(control: Arc<Control>) -> Self {
        Self { control }
    }
}

#[async_trait]
impl AuditLog for ControlAudit {
    async fn append(&self, entry: AuditEntry) -> Result<()> {
        let control = self.control.clone();
        run_with_permit(&self.control.database.write_permits, move || {
            control.database.write_reserved(|connection| append(connection, &entry))
        })
        .await
    }

    async fn list(&self, query: AuditQuery) -> Result<Vec<AuditRecord>> {
        self.control
            .queries
            .read(move |connection| list(connection, &query))
            .await
    }
}

pub(crate) fn append(connection: &Connection, entry: &AuditEntry) -> StoreResult<()> {
    connection
        .prepare_cached(
            "INSERT INTO audit (at_ms, actor, account, tenant, action, object, detail, address, request, account_number)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,
                 iif(?3 IS NULL, NULL, (SELECT ifnull(max(account_number), 0) + 1 FROM audit WHERE account = ?3)))",
        )?
        .execute((
            entry.at_ms.cast_signed(),
            &entry.actor,
            entry.account.map(|account| account.number().cast_signed()),
            entry.tenant.as_ref().map(|tenant| tenant.as_str()),
            &entry.action,
            &entry.object,
            &entry.detail,
            entry.origin.address.map(|address| address.to_string()),
            &entry.origin.request,
        ))?;
    Ok(())
}

/// Whether the same line is there already. Reads all lines of its account, so it is for rare changes only.
pub(crate) fn has(connection: &Connection, entry: &AuditEntry) -> StoreResult<bool> {
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM audit WHERE account IS ?1 AND at_ms = ?2 AND action = ?3 AND object = ?4 AND detail IS ?5)",
        )?
        .query_row(
            (
                entry.account.map(|account| account.number().cast_signed()),
                entry.at_ms.cast_signed(),
                &entry.action,
                &entry.object,
                &entry.detail,
            ),
            |row| row.get(0),
        )?)
}

/// As `append`, for a change of a tenant: the line stands in the tenant's own log, also if the operator made it.
pub(crate) fn append_for(connection: &Connection, account: Account, mut entry: AuditEntry) -> StoreResult<()> {
    entry.account = Some(account);
    append(connection, &entry)
}

fn list(connection: &Connection, query: &AuditQuery) -> StoreResult<Vec<AuditRecord>> {
    // An account sees its own numbers, and the operator those of the whole log.
    let number = if query.account.is_some() {
        "account_number"
    } else {
        "number"
    };
    let mut sql = format!(
        "SELECT {number}, at_ms, actor, account, tenant, action, object, detail, address, request FROM audit WHERE true"
    );
    let mut values: Vec<Value> = Vec::new();
    // Only the filters that are set, so that SQLite can use their indexes.
    let mut filter = |condition: &str, value: Value| {
        values.push(value);
        sql.push_str(&condition.replace('?', &format!("?{}", values.len())));
    };
    if let Some(account) = query.account {
        filter(" AND account = ?", account.number().cast_signed().into());
    }
    if let Some(tenant) = &query.tenant {
        filter(" AND tenant = ?", tenant.as_str().to_owned().into());
    }
    if let Some(actor) = &query.actor {
        filter(" AND actor = ?", actor.clone().into());
    }
    if let Some(action) = &query.action {
        let condition = " AND (action = ? OR substr(action, 1, length(?) + 1) = ? || '.')";
        filter(condition, action.clone().into());
    }
    if query.before > 0 {
        filter(&format!(" AND {number} < ?"), query.before.cast_signed().into());
    }
    filter(
        &format!(" ORDER BY {number} DESC LIMIT ?"),
        i64::from(query.limit).into(),
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), read_line)?;
    rows.map(|row| row?.finish()).collect()
}

struct Line {
    number: i64,
    at_ms: i64,
    actor: String,
    account: Option<i64>,
    tenant: Option<String>,
    action: String,
    object: String,
    detail: Option<String>,
    address: Option<String>,
    request: String,
}

fn read_line(row: &Row<'_>) -> rusqlite::Result<Line> {
    Ok(Line {
        number: row.get(0)?,
        at_ms: row.get(1)?,
        actor: row.get(2)?,
        account: row.get(3)?,
        tenant: row.get(4)?,
        action: row.get(5)?,
        object: row.get(6)?,
        detail: row.get(7)?,
        address: row.get(8)?,
        request: row.get(9)?,
    })
}

impl Line {
    fn finish(self) -> StoreResult<AuditRecord> {
        let address = self.address.map(|address| address.parse()).transpose();
        Ok(AuditRecord {
            number: self.number.cast_unsigned(),
            entry: AuditEntry {
                at_ms: self.at_ms.cast_unsigned(),
                actor: self.actor,
                account: self.account.map(control::account),
                tenant: self.tenant.map(|tenant| tenant.parse()).transpose()?,
                action: self.action,
                object: self.object,
                detail: self.detail,
                origin: Origin {
                    address: address.map_err(|error| Failure::Data(format!("address in the audit log: {error}")))?,
                    request: self.request,
                },
            },
        })
    }
}
