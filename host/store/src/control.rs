//! The control database: accounts, tenants, their keys as hashes, price lists, the audit log, deletions that are not finished,
//! and the operator's hash. Not here: the ports over it (`tenant_store`, `key_store`, `audit`, `plans`), the ledger's tables
//! (`ledger`), rooms.

use crate::{
    error::StoreResult,
    identity::IdentityReader,
    key_cache::KeyCache,
    key_uses::{self, KeyUses},
    ledger, move_records,
    query_reader::QueryReader,
    reserve::Reserve,
    snapshot_records,
    sqlite::{Database, Schema},
};
use riad_core::{Account, Error, ErrorKind, Limits, RoomId, TenantId, tenant::Tenant};
use rusqlite::{Connection, OptionalExtension, Row};
use std::{collections::HashSet, path::Path, sync::Arc, time::Duration};

/// 128 random bits.
pub(crate) const NEW_ROOM_ID: &str = "lower(hex(randomblob(16)))";

pub(crate) const SCHEMA: Schema = Schema {
    what: "the control database",
    steps: &[
        TENANTS,
        ACCOUNTS,
        ledger::SCHEMA,
        AUDIT_NUMBERS,
        ledger::CACHED_TOKENS,
        LIVE_KEYS,
        ROOMS,
        ROTATIONS,
        snapshot_records::SCHEMA,
        move_records::SCHEMA,
    ],
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

/// Numbers of audit entries within their account: what a tenant sees must not count the changes of others.
const AUDIT_NUMBERS: &str = "
        ALTER TABLE audit ADD COLUMN account_number INTEGER;
        DROP TRIGGER audit_is_fixed;
        UPDATE audit SET account_number = numbered.account_number
            FROM (SELECT number, row_number() OVER (PARTITION BY account ORDER BY number) AS account_number
                FROM audit WHERE account IS NOT NULL) AS numbered
            WHERE numbered.number = audit.number;
        CREATE TRIGGER audit_is_fixed BEFORE UPDATE ON audit
            BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
        DROP INDEX audit_of_account;
        CREATE UNIQUE INDEX audit_of_account ON audit (account, account_number);
        DROP TRIGGER audit_is_not_replaced;
        CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
            WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number)
                OR EXISTS (SELECT 1 FROM audit WHERE account = NEW.account AND account_number = NEW.account_number)
            BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    ";

/// Keys that were revoked stay, and listing or counting the others does not read them.
const LIVE_KEYS: &str = "CREATE INDEX live_keys_of_tenant ON keys (tenant) WHERE revoked = 0";

/// What an account's room is known by: an older copy of this database gives the numbers of accounts again. Without one until the room of an
/// account from before is opened.
const ROOMS: &str = "ALTER TABLE accounts ADD COLUMN room TEXT";

/// The key that a rotated one came from, whatever the number of rotations: budgets count the spending of all of them.
const ROTATIONS: &str = "
        ALTER TABLE keys ADD COLUMN root TEXT;
        CREATE INDEX keys_of_root ON keys (root) WHERE root IS NOT NULL;
    ";

pub(crate) struct Control {
    pub(crate) database: Arc<Database>,
    /// For lists and reports, which may take long: nothing else waits for them.
    pub(crate) queries: Arc<QueryReader>,
    /// For what authentication must know and the cache has not.
    pub(crate) identity: IdentityReader,
    pub(crate) keys: KeyCache,
    uses: Arc<KeyUses>,
    /// Keys that a tenant may have.
    pub(crate) keys_max: u32,
}

impl Control {
    pub(crate) fn open(path: &Path, limits: &Limits, reserve: &Arc<Reserve>) -> StoreResult<Self> {
        let database = Arc::new(Database::open_with_reserve(path, &SCHEMA, reserve)?);
        let longest = Duration::from_millis(limits.query_ms);
        Ok(Self {
            database,
            queries: QueryReader::open(path, longest, ledger::add_functions)?,
            identity: IdentityReader::open(path)?,
            keys: KeyCache::default(),
            uses: Arc::default(),
            keys_max: limits.keys,
        })
    }

    /// Changes a tenant or its keys: whoever looks one up after this has returned finds it changed.
    pub(crate) fn change_identity<T>(
        &self,
        tenant: &TenantId,
        work: impl FnOnce(&Connection) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let changed = self.database.write(work);
        // Also of a commit that failed, which may have reached the disk all the same.
        self.keys.forget(tenant);
        changed
    }

    /// As [`Self::change_identity`], of what takes rights away: also when the disk is full.
    pub(crate) fn restrict_identity<T>(
        &self,
        tenant: &TenantId,
        work: impl Fn(&Connection) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let changed = self.database.write_reserved(work);
        self.keys.forget(tenant);
        changed
    }

    /// Records when a key was used, without waiting for the disk.
    pub(crate) fn record_use(&self, key: i64, now: u64) {
        key_uses::record(&self.uses, &self.database, key, now);
    }

    pub(crate) fn close(&self) {
        self.uses.write(&self.database);
        self.identity.close();
        self.queries.close();
        self.database.close();
    }

    /// The account that the tenant has now, if there is one.
    pub(crate) fn account(&self, tenant: &TenantId) -> StoreResult<Option<Account>> {
        self.database.read(|connection| account_of(connection, tenant))
    }

    pub(crate) fn accounts(&self) -> StoreResult<Vec<(TenantId, Account)>> {
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

    /// The id that the account's room must have; `stored` is the one that it has, if it has one.
    pub(crate) fn room_id(&self, account: Account, stored: Option<&str>) -> StoreResult<String> {
        let number = account.number().cast_signed();
        let expected: Option<String> = self.database.read(|connection| {
            let id = connection.query_row("SELECT room FROM accounts WHERE account = ?1", [number], |row| {
                row.get(0)
            });
            Ok(id?)
        })?;
        match (expected, stored) {
            (Some(expected), Some(stored)) if expected == stored => Ok(expected),
            // A new room, or one from before rooms had ids.
            (Some(expected), None) => Ok(expected),
            // Here first: a crash in between leaves what the next opening goes on with.
            (None, None) => self.database.write_reserved(|connection| {
                let sql = format!("UPDATE accounts SET room = {NEW_ROOM_ID} WHERE account = ?1 RETURNING room");
                Ok(connection.query_row(&sql, [number], |row| row.get(0))?)
            }),
            (Some(_) | None, Some(_)) => Err(Error::new(
                ErrorKind::Unavailable,
                "this tenant's room on the disk belongs to another account; the operator must restore control.db and rooms of the same time",
            )
            .into()),
        }
    }

    /// The id of the room of the account that had this name last, and is deleted.
    pub(crate) fn deleted_room_id(&self, tenant: &TenantId) -> StoreResult<Option<String>> {
        self.database.read(|connection| {
            let id = connection
                .query_row(
                    "SELECT room FROM accounts WHERE tenant = ?1 ORDER BY account DESC LIMIT 1",
                    [tenant.as_str()],
                    |row| row.get(0),
                )
                .optional()?;
            Ok(id.flatten())
        })
    }

    /// Whether the tenant leaves this server, so that its room is sealed.
    pub(crate) fn moves_out(&self, tenant: &TenantId) -> StoreResult<bool> {
        self.database
            .read(|connection| move_records::is_leaving(connection, tenant))
    }

    pub(crate) fn leaving(&self) -> StoreResult<HashSet<TenantId>> {
        self.database.read(move_records::leaving)
    }

    /// Rooms that must go, from deletions that were interrupted.
    pub(crate) fn deletions(&self) -> StoreResult<Vec<TenantId>> {
        let names = self.database.read(|connection| {
            let mut statement = connection.prepare("SELECT tenant FROM deletions")?;
            let names = statement.query_map([], |row| row.get::<_, String>(0))?;
            Ok(names.collect::<Result<Vec<_>, _>>()?)
        })?;
        names.iter().map(|name| Ok(name.parse()?)).collect()
    }

    /// The room is gone: its name may be used again.
    pub(crate) fn finish_deletion(&self, tenant: &TenantId) -> StoreResult<()> {
        self.database.write_reserved(|connection| {
            connection.execute("DELETE FROM deletions WHERE tenant = ?1", [tenant.as_str()])?;
            Ok(())
        })
    }
}

pub(crate) fn account_of(connection: &Connection, tenant: &TenantId) -> StoreResult<Option<Account>> {
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

/// The id of an account's room; `None` if its room was not opened since rooms have ids.
pub(crate) fn room_of(connection: &Connection, account: Account) -> StoreResult<Option<RoomId>> {
    let room: Option<String> = connection.query_row(
        "SELECT room FROM accounts WHERE account = ?1",
        [account.number().cast_signed()],
        |row| row.get(0),
    )?;
    Ok(room.map(|room| room.parse()).transpose()?)
}

pub(crate) fn no_tenant(tenant: &TenantId) -> Error {
    Error::not_found(format!("there is no tenant \"{tenant}\""))
}

/// Reads what [`read_tenant`] takes.
pub(crate) const TENANT: &str = "SELECT id, account, name, created, policy,
        EXISTS (SELECT 1 FROM accounts WHERE tenant = tenants.id AND account <> tenants.account)
    FROM tenants";

pub(crate) fn find_tenant(connection: &Connection, tenant: &TenantId) -> StoreResult<Option<Tenant>> {
    connection
        .prepare_cached(&format!("{TENANT} WHERE id = ?1"))?
        .query_row([tenant.as_str()], read_tenant)
        .optional()?
        .map(TenantRow::finish)
        .transpose()
}

/// All, by id.
pub(crate) fn tenants(connection: &Connection) -> StoreResult<Vec<Tenant>> {
    let mut statement = connection.prepare_cached(&format!("{TENANT} ORDER BY id"))?;
    let rows = statement.query_map([], read_tenant)?;
    rows.map(|row| row?.finish()).collect()
}

pub(crate) struct TenantRow {
    id: String,
    account: i64,
    name: String,
    created: i64,
    policy: String,
    succeeds: bool,
}

impl TenantRow {
    pub(crate) fn finish(self) -> StoreResult<Tenant> {
        Ok(Tenant {
            id: self.id.parse()?,
            account: account(self.account),
            name: self.name,
            created: self.created.cast_unsigned(),
            policy: serde_json::from_str(&self.policy)?,
            succeeds: self.succeeds,
        })
    }
}

pub(crate) fn read_tenant(row: &Row<'_>) -> rusqlite::Result<TenantRow> {
    Ok(TenantRow {
        id: row.get(0)?,
        account: row.get(1)?,
        name: row.get(2)?,
        created: row.get(3)?,
        policy: row.get(4)?,
        succeeds: row.get(5)?,
    })
}
