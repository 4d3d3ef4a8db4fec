//! The ledger's tables, in the steps in which they grew. Not here: accounts and plans, which the control database makes before them.

/// A step of the control database's schema.
///
/// `ledger` is never changed: triggers refuse it, and a replacing insert too, which would delete without firing them. An absent
/// key or adapter is an empty text. `seal` chains the rows: see `rows::EntryHash`. `rollups` are sums of `ledger`, kept in the same
/// transaction. `run` is the run that spent it: for an abandoned request the one that died.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        began_ms INTEGER NOT NULL,
        engine TEXT,
        abandoned INTEGER NOT NULL DEFAULT 0,
        abandoned_tokens INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    CREATE TABLE holds (
        request TEXT PRIMARY KEY,
        account INTEGER NOT NULL,
        tenant TEXT NOT NULL,
        key TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        kind TEXT NOT NULL,
        model TEXT NOT NULL,
        adapter TEXT NOT NULL,
        plugin TEXT NOT NULL,
        plan TEXT NOT NULL,
        plan_version INTEGER NOT NULL,
        at_most TEXT NOT NULL,
        run INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE ledger (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        account INTEGER NOT NULL,
        number INTEGER NOT NULL,
        tenant TEXT NOT NULL,
        key TEXT NOT NULL,
        request TEXT NOT NULL UNIQUE,
        at_ms INTEGER NOT NULL,
        kind TEXT NOT NULL,
        model TEXT NOT NULL,
        adapter TEXT NOT NULL,
        plugin TEXT NOT NULL,
        outcome TEXT NOT NULL,
        requests INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        embedded_tokens INTEGER NOT NULL,
        fuel INTEGER NOT NULL,
        stored_byte_hours INTEGER NOT NULL,
        adapter_byte_hours INTEGER NOT NULL,
        abandoned_tokens INTEGER NOT NULL,
        at_most TEXT,
        plan TEXT NOT NULL,
        plan_version INTEGER NOT NULL,
        cost_nanos INTEGER NOT NULL,
        receipt TEXT NOT NULL,
        run INTEGER NOT NULL,
        seal BLOB NOT NULL,
        UNIQUE (account, number)
    ) STRICT;
    CREATE INDEX ledger_of_account ON ledger (account, at_ms);
    CREATE INDEX ledger_by_time ON ledger (at_ms);
    CREATE TRIGGER ledger_is_not_changed BEFORE UPDATE ON ledger BEGIN
        SELECT RAISE(ABORT, 'the ledger is append-only');
    END;
    CREATE TRIGGER ledger_is_not_deleted BEFORE DELETE ON ledger BEGIN
        SELECT RAISE(ABORT, 'the ledger is append-only');
    END;
    CREATE TRIGGER ledger_is_not_replaced BEFORE INSERT ON ledger
    WHEN EXISTS (SELECT 1 FROM ledger WHERE position = NEW.position)
        OR EXISTS (SELECT 1 FROM ledger WHERE request = NEW.request)
        OR EXISTS (SELECT 1 FROM ledger WHERE account = NEW.account AND number = NEW.number)
    BEGIN
        SELECT RAISE(ABORT, 'the ledger is append-only');
    END;

    CREATE TABLE rollups (
        account INTEGER NOT NULL,
        day INTEGER NOT NULL,
        tenant TEXT NOT NULL,
        key TEXT NOT NULL,
        kind TEXT NOT NULL,
        model TEXT NOT NULL,
        adapter TEXT NOT NULL,
        plugin TEXT NOT NULL,
        plan TEXT NOT NULL,
        plan_version INTEGER NOT NULL,
        requests INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        embedded_tokens INTEGER NOT NULL,
        fuel INTEGER NOT NULL,
        stored_byte_hours INTEGER NOT NULL,
        adapter_byte_hours INTEGER NOT NULL,
        abandoned_tokens INTEGER NOT NULL,
        cost_nanos INTEGER NOT NULL,
        PRIMARY KEY (account, day, tenant, key, kind, model, adapter, plugin, plan, plan_version)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX rollups_by_day ON rollups (day);
";

/// Tokens from the prefix cache. An entry of before had none, and keeps its hash: `encoding` says which columns it covers.
pub(crate) const CACHED_TOKENS: &str = "
    ALTER TABLE ledger ADD COLUMN encoding INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE ledger ADD COLUMN cached_tokens INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE rollups ADD COLUMN cached_tokens INTEGER NOT NULL DEFAULT 0;
";
