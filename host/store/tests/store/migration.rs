//! Control databases that earlier versions wrote. Not here: rooms of earlier versions.

use crate::host::{Host, UNDO_AFTER_CACHED_TOKENS, connect, entry, secret};
use riad_core::{
    Account, ErrorKind, KeyId, Limits, Secret,
    audit::AuditQuery,
    grants::Grants,
    pass::{ManagedTenant, hash_key},
    policy::{Budget, Policy},
};
use std::{fs, path::Path};

/// What the first version wrote: as it was released, never to be changed.
const FIRST: &str = "
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
    CREATE TABLE deletions (tenant TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;
    INSERT INTO tenants VALUES ('globex', 'Globex', 200), ('acme', 'Acme', 100);
    INSERT INTO deletions VALUES ('initech');
";

fn write_first_version(data: &Path) {
    fs::create_dir_all(data.join("rooms/initech")).unwrap();
    let connection = connect(data);
    connection.execute_batch(FIRST).unwrap();
    for (id, tenant, secret, revoked) in [
        ("key-acme", "acme", secret("acme"), 0),
        ("key-globex", "globex", secret("globex"), 0),
        ("gone", "acme", Secret::new("gone".to_owned()), 1),
    ] {
        connection
            .execute(
                "INSERT INTO keys (id, tenant, name, prefix, hash, created, revoked) VALUES (?1, ?2, 'first', 'riad_sk_', ?3, 5, ?4)",
                (id, tenant, hash_key(&secret), revoked),
            )
            .unwrap();
    }
}

#[tokio::test]
async fn tenants_and_keys_of_the_first_version_go_on_working() {
    let folder = tempfile::tempdir().unwrap();
    write_first_version(folder.path());
    let host = Host::at(folder.path(), Limits::default()).await;
    let acme = host.pass("acme").await;
    let globex = host.pass("globex").await;
    // In the order in which they were made.
    assert!(acme.account() < globex.account());
    for pass in [&acme, &globex] {
        assert_eq!(pass.grants(), &Grants::default());
        assert_eq!(
            (pass.policy(), pass.key_budget()),
            (&Policy::default(), &Budget::default())
        );
        host.open(pass).await;
    }
    let tenants = host.store.tenant_store().list(&host.operator).await.unwrap();
    let tenants: Vec<_> = tenants
        .iter()
        .map(|tenant| (tenant.id.as_str(), tenant.name.as_str(), tenant.created, tenant.account))
        .collect();
    assert_eq!(
        tenants,
        [
            ("acme", "Acme", 100, acme.account()),
            ("globex", "Globex", 200, globex.account())
        ]
    );
    let key_store = host.store.key_store();
    let keys = key_store.list(&ManagedTenant::own(&acme), None).await.unwrap();
    assert_eq!(keys.len(), 1, "the revoked key came back");
    assert_eq!(
        (keys[0].name.as_str(), keys[0].created, keys[0].expires),
        ("first", 5, None)
    );
    let error = host.authorize(&Secret::new("gone".to_owned()), 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    // The deletion that was not finished is, and its id is free.
    assert!(!host.room_folder("initech").exists());
    let initech = host.create_tenant("initech").await;
    assert!(initech.account() > globex.account());

    // Deleting still takes the keys along, and only the tenant's own.
    host.delete_tenant(&acme).await;
    assert!(host.authorize(&secret("acme"), 1).await.is_err());
    let host = host.reopen(|_| ()).await;
    assert_eq!(host.pass("globex").await.account(), globex.account());
    let key: KeyId = "key-globex".parse().unwrap();
    let own = ManagedTenant::own(&globex);
    let key_store = host.store.key_store();
    key_store
        .revoke(&own, &key, entry("key.revoke", "key-globex"))
        .await
        .unwrap();
    assert!(host.authorize(&secret("globex"), 1).await.is_err());
}

#[tokio::test]
async fn a_migrated_database_has_the_schema_of_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    write_first_version(&old);
    for data in [&old, &new] {
        let host = Host::at(data, Limits::default()).await;
        host.store.close().await.unwrap();
    }
    let shape = |data: &Path| -> Vec<(String, Option<String>)> {
        let connection = connect(data);
        let faults: i64 = connection
            .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(faults, 0);
        let whole: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(whole, "ok");
        let mut statement = connection
            .prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")
            .unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    let migrated = shape(&old);
    assert!(migrated.iter().any(|(name, _)| name == "keys_of_tenant"));
    assert!(!migrated.iter().any(|(name, _)| name.starts_with("new_")));
    assert_eq!(migrated, shape(&new));
}

#[tokio::test]
async fn older_audit_entries_get_numbers_within_their_account() {
    let host = Host::new().await;
    let acme = host.create_tenant("acme").await.account();
    let globex = host.create_tenant("globex").await.account();
    let numbers = async |host: &Host, account: Option<Account>| -> Vec<u64> {
        let query = AuditQuery {
            account,
            limit: 100,
            ..AuditQuery::default()
        };
        let lines = host.store.audit().list(query).await.unwrap();
        lines.iter().map(|line| line.number).collect()
    };
    let all = numbers(&host, None).await;
    let host = host
        .reopen(|data| {
            // As the third version left it.
            connect(data).execute_batch(UNDO_AFTER_CACHED_TOKENS).unwrap();
            connect(data)
                .execute_batch(
                    "DROP TRIGGER audit_is_not_replaced;
                    DROP INDEX audit_of_account;
                    ALTER TABLE audit DROP COLUMN account_number;
                    CREATE INDEX audit_of_account ON audit (account, number);
                    CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
                        WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number)
                        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
                    ALTER TABLE ledger DROP COLUMN encoding;
                    ALTER TABLE ledger DROP COLUMN cached_tokens;
                    ALTER TABLE rollups DROP COLUMN cached_tokens;
                    PRAGMA user_version = 3;",
                )
                .unwrap();
        })
        .await;
    assert_eq!(numbers(&host, None).await, all);
    for account in [acme, globex] {
        assert_eq!(numbers(&host, Some(account)).await, [2, 1]);
    }
}
