//! The audit log: every change with its line, none without, and nothing that takes a line back.

use crate::host::{Host, connect, entry, first_key, key};
use riad_core::{
    Account, ErrorKind,
    audit::{AuditEntry, AuditQuery, Origin},
    pass::ManagedTenant,
    policy::Policy,
    tenant::KeyChange,
};

fn query() -> AuditQuery {
    AuditQuery {
        limit: 100,
        ..AuditQuery::default()
    }
}

async fn actions(host: &Host, query: AuditQuery) -> Vec<String> {
    let lines = host.store.audit().list(query).await.unwrap();
    lines.into_iter().map(|line| line.entry.action).collect()
}

#[tokio::test]
async fn a_line_comes_back_as_it_was_written_also_after_a_crash() {
    let host = Host::new().await;
    let full = AuditEntry {
        at_ms: 1_700_000_000_123,
        actor: "key-acme".into(),
        account: Some(Account::new(77)),
        tenant: Some("acme".parse().unwrap()),
        action: "document.delete".into(),
        object: "doc_1".into(),
        detail: Some(r#"{"a":1}"#.into()),
        origin: Origin {
            address: Some("2001:db8::1".parse().unwrap()),
            request: "req_1".into(),
        },
    };
    host.store.audit().append(full.clone()).await.unwrap();
    host.store.audit().append(entry("x.y", "")).await.unwrap();
    let host = host.reopen_unclosed(|_| ()).await;
    let lines = host.store.audit().list(query()).await.unwrap();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0].entry, &lines[1].entry), (&entry("x.y", ""), &full));
    assert!(lines[0].number > lines[1].number);
}

#[tokio::test]
async fn every_change_has_its_audit_entry_with_the_account() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    host.create_tenant("globex").await;
    let (tenant_store, key_store) = (host.store.tenant_store(), host.store.key_store());
    let (own, k) = (ManagedTenant::own(&pass), "k".parse().unwrap());
    key_store
        .insert(&own, &key("k", 1), &[7; 32], entry("key.create", "k"))
        .await
        .unwrap();
    key_store
        .change(&own, &k, KeyChange::default(), entry("key.change", "k"))
        .await
        .unwrap();
    key_store.revoke(&own, &k, entry("key.revoke", "k")).await.unwrap();
    let policy = Policy::default();
    tenant_store
        .change(
            &host.operator,
            pass.tenant(),
            &policy,
            ("new", &policy),
            entry("tenant.change", "acme"),
        )
        .await
        .unwrap();
    host.delete_tenant(&pass).await;
    let own = AuditQuery {
        account: Some(pass.account()),
        ..query()
    };
    assert_eq!(
        actions(&host, own.clone()).await,
        [
            "tenant.delete",
            "tenant.change",
            "key.revoke",
            "key.change",
            "key.create",
            "key.create",
            "tenant.create"
        ]
    );
    // A new tenant with the id sees nothing of the former one's.
    let new = host.create_tenant("acme").await;
    let new = AuditQuery {
        account: Some(new.account()),
        ..query()
    };
    assert_eq!(actions(&host, new).await, ["key.create", "tenant.create"]);
    assert_eq!(actions(&host, own).await.len(), 7);
}

#[tokio::test]
async fn a_change_that_is_refused_leaves_no_line() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let before = host.store.audit().list(query()).await.unwrap();
    let (tenant_store, key_store) = (host.store.tenant_store(), host.store.key_store());
    let other = Policy {
        weight: 5,
        ..Policy::default()
    };
    let wrong = || entry("wrong", "acme");
    let taken = crate::host::tenant("acme");
    let errors = [
        tenant_store
            .create(&host.operator, &taken, &first_key("acme"), [wrong(), wrong()])
            .await
            .map(drop),
        tenant_store
            .change(&host.operator, pass.tenant(), &other, ("x", &other), wrong())
            .await
            .map(drop),
        tenant_store
            .delete(&host.operator, &"absent".parse().unwrap(), wrong())
            .await
            .map(drop),
        key_store
            .insert(&ManagedTenant::own(&pass), &key("key-acme", 1), &[1; 32], wrong())
            .await,
        key_store
            .revoke(&ManagedTenant::own(&pass), &"absent".parse().unwrap(), wrong())
            .await,
    ];
    let kinds: Vec<_> = errors.into_iter().map(|error| error.unwrap_err().kind()).collect();
    use ErrorKind::{Conflict, NotFound};
    assert_eq!(kinds, [Conflict, Conflict, NotFound, Conflict, NotFound]);
    assert_eq!(host.store.audit().list(query()).await.unwrap(), before);
}

#[tokio::test]
async fn lines_are_filtered_and_paged_newest_first() {
    let host = Host::new().await;
    let audit = host.store.audit();
    for (actor, tenant, action) in [
        ("operator", None, "plan.put"),
        ("k1", Some("acme"), "key.create"),
        ("k2", Some("acme"), "key.revoke"),
        ("k1", Some("globex"), "keys.rotate"),
        ("k1", Some("acme"), "key"),
        ("k1", Some("acme"), "key_x.create"),
    ] {
        let line = AuditEntry {
            actor: actor.into(),
            tenant: tenant.map(|id| id.parse().unwrap()),
            ..entry(action, "")
        };
        audit.append(line).await.unwrap();
    }
    let of_action = |action: &str| AuditQuery {
        action: Some(action.into()),
        ..query()
    };
    assert_eq!(
        actions(&host, of_action("key")).await,
        ["key", "key.revoke", "key.create"]
    );
    assert_eq!(actions(&host, of_action("key.revoke")).await, ["key.revoke"]);
    for nothing in ["ke", "key.", "k%", "key.*", "revoke", ""] {
        assert_eq!(actions(&host, of_action(nothing)).await, [""; 0], "{nothing:?}");
    }
    let k1_of_acme = AuditQuery {
        tenant: Some("acme".parse().unwrap()),
        actor: Some("k1".into()),
        ..query()
    };
    assert_eq!(actions(&host, k1_of_acme).await, ["key_x.create", "key", "key.create"]);

    let mut page = AuditQuery { limit: 4, ..query() };
    let first = audit.list(page.clone()).await.unwrap();
    assert_eq!(first.len(), 4);
    page.before = first[3].number;
    let second = audit.list(page.clone()).await.unwrap();
    let numbers: Vec<u64> = first.iter().chain(&second).map(|line| line.number).collect();
    assert_eq!(numbers.len(), 6);
    assert!(numbers.windows(2).all(|pair| pair[0] > pair[1]), "{numbers:?}");
    page.before = second[1].number;
    assert!(audit.list(page).await.unwrap().is_empty());
}

#[tokio::test]
async fn sql_cannot_change_audit_lines_accounts_or_prices() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let before = host.store.audit().list(query()).await.unwrap();
    let host = host
        .reopen(|data| {
            let connection = connect(data);
            for sql in [
                "UPDATE audit SET actor = 'nobody'",
                "DELETE FROM audit",
                "DELETE FROM audit WHERE number = 1",
                "INSERT OR REPLACE INTO audit (number, at_ms, actor, action, object, request) VALUES (1, 0, '', '', '', '')",
                "REPLACE INTO audit SELECT * FROM audit",
                "REPLACE INTO audit (at_ms, actor, account, action, object, request, account_number)
                    SELECT 0, '', account, '', '', '', account_number FROM audit WHERE account IS NOT NULL",
                "UPDATE plans SET prices = '{}'",
                "DELETE FROM plans",
                "REPLACE INTO plans (name, version, prices, created) VALUES ('standard', 1, '{}', 0)",
                "DELETE FROM accounts",
            ] {
                assert!(connection.execute(sql, []).is_err(), "{sql}");
            }
        })
        .await;
    assert_eq!(host.store.audit().list(query()).await.unwrap(), before);
    assert_eq!(host.pass("acme").await.account(), pass.account());
}

#[tokio::test]
async fn an_account_cannot_count_the_changes_of_others() {
    let host = Host::new().await;
    let (acme, globex) = (host.create_tenant("acme").await, host.create_tenant("globex").await);
    let audit = host.store.audit();
    let change = |account: Account| AuditEntry {
        account: Some(account),
        ..entry("document.create", "doc")
    };
    for n in 0..30 {
        audit.append(change(globex.account())).await.unwrap();
        if n % 10 == 0 {
            audit.append(change(acme.account())).await.unwrap();
        }
    }
    let mut page = AuditQuery {
        account: Some(acme.account()),
        limit: 2,
        ..AuditQuery::default()
    };
    let mut numbers = Vec::new();
    loop {
        let lines = audit.list(page.clone()).await.unwrap();
        let Some(last) = lines.last() else { break };
        page.before = last.number;
        numbers.extend(lines.iter().map(|line| line.number));
    }
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
}
