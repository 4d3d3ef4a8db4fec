//! The control database: accounts, tenants, their keys as hashes, price lists, the audit log, deletions that are not finished,
//! and the operator's hash. Not here: the ports over it (`tenant_store`, `key_store`, `audit`, `plans`), the ledger's tables
//! (`ledger`), rooms.

use crate::{
    error::{Outcome, Turns, closed},
    ledger,
    sqlite::{self, Database, Schema},
    uses::Uses,
};
use parking_lot::{FairMutex, Mutex};
use riad_core::{Account, TenantId};
use rusqlite::{Connection, OptionalExtension};
use std::{path::Path, sync::Arc};

pub(crate) const SCHEMA: Schema = Schema {
    what: "the control database",
    steps: &[TENANTS, ACCOUNTS, ledger::SCHEMA],
};

const TENANTS: &str = "
        CREATE TABLE tenants (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            created INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE keys (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
            name TEXT NOT NULL,
            prefix TEXT NOT NULL,
            hash BLOB NOT NULL UNIQUE,
            created INTEGER NOT NULL,
            revoked INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE INDEX keys_of_tenant ON keys (tenant);
        -- Tenants that are forgotten while their room may still be on the disk.
        CREATE TABLE deletions (tenant TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
        CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    ";

const ACCOUNTS: &str = r#"
        -- An account outlives its tenant. AUTOINCREMENT: no number is given twice.
        CREATE TABLE accounts (
            account INTEGER PRIMARY KEY AUTOINCREMENT,
            tenant TEXT NOT NULL,
            name TEXT NOT NULL,
            created INTEGER NOT NULL,
            deleted INTEGER
        ) STRICT;
        CREATE UNIQUE INDEX accounts_of_living_tenants ON accounts (tenant) WHERE deleted IS NULL;
        CREATE INDEX accounts_of_tenant ON accounts (tenant);
        CREATE TRIGGER accounts_stay BEFORE DELETE ON accounts
            BEGIN SELECT RAISE(ABORT, 'an account is never deleted'); END;
        INSERT INTO accounts (tenant, name, created) SELECT id, name, created FROM tenants ORDER BY created, id;
        INSERT INTO accounts (tenant, name, created, deleted) SELECT tenant, tenant, 0, unixepoch() FROM deletions;

        -- New tables instead of new columns, so that nothing that must be there can be missing. The old keys go first:
        -- dropping the old tenants would take them along.
        CREATE TABLE new_tenants (
            id TEXT PRIMARY KEY,
            account INTEGER NOT NULL UNIQUE REFERENCES accounts (account),
            name TEXT NOT NULL,
            created INTEGER NOT NULL,
            policy TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        INSERT INTO new_tenants (id, account, name, created, policy)
            SELECT tenants.id, accounts.account, tenants.name, tenants.created, '{}'
            FROM tenants JOIN accounts ON accounts.tenant = tenants.id AND accounts.deleted IS NULL;
        CREATE TABLE new_keys (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            tenant TEXT NOT NULL REFERENCES new_tenants (id) ON DELETE CASCADE,
            name TEXT NOT NULL,
            prefix TEXT NOT NULL,
            hash BLOB NOT NULL UNIQUE,
            role TEXT NOT NULL,
            scopes TEXT NOT NULL,
            budget TEXT NOT NULL,
            created INTEGER NOT NULL,
            expires INTEGER,
            last_used INTEGER,
            revoked INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        INSERT INTO new_keys (number, id, tenant, name, prefix, hash, role, scopes, budget, created, revoked)
            SELECT number, id, tenant, name, prefix, hash, 'admin',
                '["chat","documents","plugins","adapters","usage"]', '{}', created, revoked
            FROM keys;
        DROP TABLE keys;
        DROP TABLE tenants;
        ALTER TABLE new_tenants RENAME TO tenants;
        ALTER TABLE new_keys RENAME TO keys;
        CREATE INDEX keys_of_tenant ON keys (tenant);

        CREATE TABLE plans (
            name TEXT NOT NULL,
            version INTEGER NOT NULL,
            prices TEXT NOT NULL,
            created INTEGER NOT NULL,
            PRIMARY KEY (name, version)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO plans (name, version, prices, created) VALUES ('standard', 1,
            '{"requests":0,"prompt_tokens":0,"completion_tokens":0,"embedded_tokens":0,"fuel":0,"stored_byte_hours":0,"adapter_byte_hours":0}',
            unixepoch());
        -- Besides UPDATE and DELETE, what INSERT OR REPLACE would do: it fires no trigger for the row that it replaces.
        CREATE TRIGGER plans_stay BEFORE DELETE ON plans
            BEGIN SELECT RAISE(ABORT, 'a version of a plan is never deleted'); END;
        CREATE TRIGGER plans_are_fixed BEFORE UPDATE ON plans
            BEGIN SELECT RAISE(ABORT, 'a version of a plan is never changed'); END;
        CREATE TRIGGER plans_are_not_replaced BEFORE INSERT ON plans
            WHEN EXISTS (SELECT 1 FROM plans WHERE name = NEW.name AND version = NEW.version)
            BEGIN SELECT RAISE(ABORT, 'a version of a plan is never changed'); END;

        -- Without references, so that nothing can keep a line from being written down.
        CREATE TABLE audit (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            at_ms INTEGER NOT NULL,
            actor TEXT NOT NULL,
            account INTEGER,
            tenant TEXT,
            action TEXT NOT NULL,
            object TEXT NOT NULL,
            detail TEXT,
            address TEXT,
            request TEXT NOT NULL
        ) STRICT;
        CREATE INDEX audit_of_account ON audit (account, number);
        CREATE INDEX audit_of_tenant ON audit (tenant, number);
        CREATE INDEX audit_of_actor ON audit (actor, number);
        CREATE TRIGGER audit_stays BEFORE DELETE ON audit
            BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
        CREATE TRIGGER audit_is_fixed BEFORE UPDATE ON audit
            BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
        CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
            WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number)
            BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    "#;

pub(crate) struct Control {
    pub(crate) database: Database,
    /// For what tenants may ask as often and as long as they like: whoever is let in is decided beside it.
    questions: Mutex<Option<Connection>>,
    pub(crate) asking: Turns,
    pub(crate) uses: Uses,
    /// Held by whoever writes, the ledger among them, which has a connection of its own: without it, SQLite lets its many
    /// commits overtake the few others until those give up.
    pub(crate) turn: Arc<FairMutex<()>>,
}

impl Control {
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        let database = Database::open(path, &SCHEMA)?;
        let questions = sqlite::open(path)?;
        questions.pragma_update(None, "query_only", true)?;
        Ok(Self {
            database,
            questions: Mutex::new(Some(questions)),
            asking: Turns::default(),
            uses: Uses::default(),
            turn: Arc::default(),
        })
    }

    /// As [`Database::write`], in turn with the ledger.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Connection) -> Outcome<T>) -> Outcome<T> {
        let _turn = self.turn.lock();
        self.database.write(work)
    }

    /// Reads one state of the database, apart from what every request needs.
    pub(crate) fn ask<T>(&self, work: impl FnOnce(&Connection) -> Outcome<T>) -> Outcome<T> {
        let questions = self.questions.lock();
        let transaction = questions.as_ref().ok_or_else(closed)?.unchecked_transaction()?;
        work(&transaction)
    }

    pub(crate) fn close(&self) {
        self.uses.write(self);
        drop(self.questions.lock().take());
        self.database.close();
    }

    /// The account that the tenant has now, if there is one.
    pub(crate) fn account(&self, tenant: &TenantId) -> Outcome<Option<Account>> {
        self.database.read(|connection| account_of(connection, tenant))
    }

    pub(crate) fn accounts(&self) -> Outcome<Vec<(TenantId, Account)>> {
        self.database.read(|connection| {
            let mut statement = connection.prepare("SELECT id, account FROM tenants ORDER BY id")?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, account(row.get(1)?))))?;
            rows.map(|row| {
                let (tenant, account) = row?;
                Ok((tenant.parse()?, account))
            })
            .collect()
        })
    }

    /// Rooms that must go, from deletions that were interrupted.
    pub(crate) fn deletions(&self) -> Outcome<Vec<TenantId>> {
        let names = self.database.read(|connection| {
            let mut statement = connection.prepare("SELECT tenant FROM deletions")?;
            let names = statement.query_map([], |row| row.get::<_, String>(0))?;
            Ok(names.collect::<Result<Vec<_>, _>>()?)
        })?;
        names.iter().map(|name| Ok(name.parse()?)).collect()
    }

    /// The room is gone: its name may be used again.
    pub(crate) fn finish_deletion(&self, tenant: &TenantId) -> Outcome<()> {
        self.write(|connection| {
            connection.execute("DELETE FROM deletions WHERE tenant = ?1", [tenant.as_str()])?;
            Ok(())
        })
    }
}

pub(crate) fn account_of(connection: &Connection, tenant: &TenantId) -> Outcome<Option<Account>> {
    Ok(connection
        .prepare_cached("SELECT account FROM tenants WHERE id = ?1")?
        .query_row([tenant.as_str()], |row| row.get(0))
        .optional()?
        .map(account))
}

/// An account as SQLite keeps it.
pub(crate) fn account(number: i64) -> Account {
    Account::new(number.cast_unsigned())
}
