//! Keys: found by their hash while they live, managed by their own tenant or the operator. Not here: what a key may do
//! (`riad_core::grants`).

use crate::host::{Host, connect, creation, entry, first_key, key, secret, tenant};
use riad_core::{
    Error, ErrorKind, KeyId, Limits, Secret,
    audit::AuditQuery,
    grants::{Grants, KeyRole, Scope},
    pass::{ManagedTenant, hash_key},
    policy::{Budget, Policy},
    ports::{HashedKey, KeyRotation},
    tenant::{Key, KeyChange},
};
use std::{collections::BTreeSet, time::Duration};

fn hash(secret: &str) -> [u8; 32] {
    hash_key(&Secret::new(secret.to_owned()))
}

fn ids(keys: &[Key]) -> Vec<&str> {
    keys.iter().map(|key| key.id.as_str()).collect()
}

fn id(id: &str) -> KeyId {
    id.parse().unwrap()
}

#[tokio::test]
async fn a_revoked_key_is_found_by_nothing_also_after_a_restart() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let own = ManagedTenant::own(&pass);
    let key_store = host.store.key_store();
    for (name, created, secret) in [("k2", 20, "two"), ("k1", 10, "one")] {
        key_store
            .insert(&own, &key(name, created), &hash(secret), entry("key.create", name))
            .await
            .unwrap();
    }
    assert_eq!(
        ids(&key_store.list(&own, None).await.unwrap()),
        ["key-acme", "k1", "k2"]
    );
    let found = host.authorize(&Secret::new("one".to_owned()), 100).await.unwrap();
    assert_eq!((found.tenant(), found.key().as_str()), (pass.tenant(), "k1"));

    let revoke = || entry("key.revoke", "k1");
    key_store.revoke(&own, &id("k1"), revoke()).await.unwrap();
    assert!(key_store.find(&hash("one"), 100).await.unwrap().is_none());
    assert_eq!(ids(&key_store.list(&own, None).await.unwrap()), ["key-acme", "k2"]);
    let error = key_store.revoke(&own, &id("k1"), revoke()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let change = KeyChange {
        expires: Some(u64::MAX >> 1),
        ..KeyChange::default()
    };
    let error = key_store
        .change(&own, &id("k1"), change, entry("key.change", "k1"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // Nor does the same secret come back under a new name.
    let error = key_store
        .insert(&own, &key("k3", 1), &hash("one"), entry("key.create", "k3"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);

    let host = host.reopen(|_| ()).await;
    let key_store = host.store.key_store();
    assert!(key_store.find(&hash("one"), 100).await.unwrap().is_none());
    assert!(key_store.find(&hash("two"), 100).await.unwrap().is_some());
    let absent = host.managed("absent");
    assert_eq!(
        key_store.list(&absent, None).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let error = key_store
        .insert(&absent, &key("k4", 1), &[4; 32], entry("key.create", "k4"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_tenant_manages_its_own_keys_and_nobody_elses() {
    let host = Host::new().await;
    let acme = host.create_tenant("acme").await;
    let globex = host.create_tenant("globex").await;
    let key_store = host.store.key_store();
    let own = ManagedTenant::own(&acme);
    assert_eq!(ids(&key_store.list(&own, None).await.unwrap()), ["key-acme"]);
    let theirs = id("key-globex");
    let change = KeyChange {
        name: Some("mine now".into()),
        ..KeyChange::default()
    };
    for error in [
        key_store
            .change(&own, &theirs, change, entry("key.change", "key-globex"))
            .await
            .map(drop)
            .unwrap_err(),
        key_store
            .revoke(&own, &theirs, entry("key.revoke", "key-globex"))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    let listed = key_store.list(&ManagedTenant::own(&globex), None).await.unwrap();
    assert_eq!(
        (ids(&listed), listed[0].name.as_str()),
        (vec!["key-globex"], "key-globex")
    );
    assert!(host.authorize(&secret("globex"), 1).await.is_ok());
    // What was refused is not in the log.
    let changes = AuditQuery {
        action: Some("key".into()),
        limit: 100,
        ..AuditQuery::default()
    };
    let lines = host.store.audit().list(changes).await.unwrap();
    assert!(lines.iter().all(|line| line.entry.action == "key.create"), "{lines:?}");
}

#[tokio::test]
async fn a_pass_of_a_former_tenant_manages_no_keys_of_the_new_one() {
    let host = Host::new().await;
    let former = host.create_tenant("acme").await;
    host.delete_tenant(&former).await;
    let new = host.create_tenant("acme").await;
    assert_ne!(former.account(), new.account());
    let key_store = host.store.key_store();
    let own = ManagedTenant::own(&former);
    for error in [
        key_store.list(&own, None).await.map(drop).unwrap_err(),
        key_store
            .insert(
                &own,
                &key("back-door", 1),
                &hash("back door"),
                entry("key.create", "back-door"),
            )
            .await
            .unwrap_err(),
        key_store
            .change(
                &own,
                &id("key-acme"),
                KeyChange::default(),
                entry("key.change", "key-acme"),
            )
            .await
            .map(drop)
            .unwrap_err(),
        key_store
            .revoke(&own, &id("key-acme"), entry("key.revoke", "key-acme"))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    assert_eq!(
        ids(&key_store.list(&ManagedTenant::own(&new), None).await.unwrap()),
        ["key-acme"]
    );
    assert!(host.authorize(&secret("acme"), 1).await.is_ok());
}

#[tokio::test]
async fn a_key_opens_nothing_from_the_second_it_expires() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let own = ManagedTenant::own(&pass);
    let key_store = host.store.key_store();
    let short = Key {
        expires: Some(100),
        ..key("short", 1)
    };
    key_store
        .insert(&own, &short, &hash("short"), entry("key.create", "short"))
        .await
        .unwrap();
    let short = Secret::new("short".to_owned());
    assert!(host.authorize(&short, 99).await.is_ok());
    for late in [100, 101, u64::MAX >> 1] {
        let error = host.authorize(&short, late).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "at {late}");
        assert!(key_store.find(&hash("short"), late).await.unwrap().is_none());
    }
    // How a rotation overlaps: the old key gets an end.
    let change = KeyChange {
        expires: Some(50),
        ..KeyChange::default()
    };
    let changed = key_store
        .change(&own, &id("key-acme"), change, entry("key.change", "key-acme"))
        .await
        .unwrap();
    assert_eq!((changed.expires, changed.name.as_str()), (Some(50), "key-acme"));
    assert!(host.authorize(&secret("acme"), 49).await.is_ok());
    assert!(host.authorize(&secret("acme"), 50).await.is_err());
}

#[tokio::test]
async fn a_key_keeps_what_it_was_made_with() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let own = ManagedTenant::own(&pass);
    let key_store = host.store.key_store();
    let made = Key {
        name: "Nightly \"import\" \u{1f511}".into(),
        grants: Grants {
            role: KeyRole::ReadOnly,
            scopes: BTreeSet::from([Scope::Usage, Scope::Documents]),
        },
        budget: Budget {
            daily_tokens: Some(u64::MAX),
            thresholds: vec![50, 100],
            webhook: Some("https://example.com/hook".into()),
            ..Budget::default()
        },
        expires: Some(1_000),
        ..key("import", 7)
    };
    key_store
        .insert(&own, &made, &hash("import"), entry("key.create", "import"))
        .await
        .unwrap();
    let host = host.reopen(|_| ()).await;
    let key_store = host.store.key_store();
    let listed = key_store.list(&own, None).await.unwrap();
    assert_eq!(listed.iter().find(|key| key.id == made.id), Some(&made));
    let pass = host.authorize(&Secret::new("import".into()), 8).await.unwrap();
    assert_eq!((pass.grants(), pass.key_budget()), (&made.grants, &made.budget));

    // A change that names one thing leaves the others.
    let change = KeyChange {
        budget: Some(Budget::default()),
        ..KeyChange::default()
    };
    let changed = key_store
        .change(&own, &made.id, change, entry("key.change", "import"))
        .await
        .unwrap();
    assert_eq!(changed.budget, Budget::default());
    assert_eq!(
        (changed.name, changed.grants, changed.expires),
        (made.name, made.grants, made.expires)
    );
}

#[tokio::test]
async fn a_prefix_is_searched_by_its_letters_and_never_as_a_pattern() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let own = ManagedTenant::own(&pass);
    let key_store = host.store.key_store();
    for (name, prefix) in [("a", "rk_ab%d"), ("b", "rk_abcd"), ("c", "rk_ABcd")] {
        let made = Key {
            prefix: prefix.into(),
            ..key(name, 2)
        };
        key_store
            .insert(&own, &made, &hash(name), entry("key.create", name))
            .await
            .unwrap();
    }
    for (prefix, expected) in [
        ("rk_ab", vec!["a", "b"]),
        ("rk_ab%", vec!["a"]),
        ("rk%", vec![]),
        ("rk?ab", vec![]),
        ("%", vec![]),
        ("_", vec![]),
        ("k_", vec![]),
        ("rk_abcd-and-more", vec![]),
        ("", vec!["key-acme", "a", "b", "c"]),
    ] {
        let found = key_store.list(&own, Some(prefix)).await.unwrap();
        assert_eq!(ids(&found), expected, "{prefix:?}");
    }
}

#[tokio::test]
async fn the_last_use_of_a_key_is_kept_to_the_minute() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let own = ManagedTenant::own(&pass);
    // `create_tenant` used it at second 1.
    wait_for_use(&host, &own, 1).await;
    for (now, noted) in [(60, 1), (61, 61), (90, 61), (120, 61), (10, 61), (121, 121)] {
        host.authorize(&secret("acme"), now).await.unwrap();
        wait_for_use(&host, &own, noted).await;
    }
    // A use that is refused is none.
    assert!(host.authorize(&Secret::new("riad_sk_acm".into()), 900).await.is_err());
    wait_for_use(&host, &own, 121).await;
    // What was noted just before the end is there afterwards.
    host.authorize(&secret("acme"), 1_000).await.unwrap();
    let host = host.reopen(|_| ()).await;
    let listed = host.store.key_store().list(&own, None).await.unwrap();
    assert_eq!(listed[0].last_used, Some(1_000));
}

/// The use is written behind the answer: soon, not at once.
async fn wait_for_use(host: &Host, tenant: &ManagedTenant, expected: u64) {
    let noted = async || host.store.key_store().list(tenant, None).await.unwrap()[0].last_used;
    let waiting = async {
        while noted().await != Some(expected) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // Still so when a write that must not happen had time to.
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(noted().await, Some(expected));
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .expect("the use is noted");
}

#[tokio::test]
async fn rotating_a_key_stores_and_ends_in_one_transaction() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let own = ManagedTenant::own(&pass);
    let key_store = host.store.key_store();
    let rotate = async |new: &'static str, old: &str, old_expires| {
        let plan = move |_| Ok(rotation(key(new, 10), old_expires));
        key_store.rotate(&own, &id(old), Box::new(plan)).await
    };
    rotate("k1", "key-acme", Some(100)).await.unwrap();
    let listed = key_store.list(&own, None).await.unwrap();
    assert_eq!(ids(&listed), ["key-acme", "k1"]);
    assert_eq!(listed[0].expires, Some(100));
    rotate("k2", "key-acme", None).await.unwrap();
    assert!(host.authorize(&secret("acme"), 50).await.is_err());
    assert_eq!(ids(&key_store.list(&own, None).await.unwrap()), ["k1", "k2"]);

    // A key that cannot be ended gives no new one, and a new one that cannot be stored ends none.
    let before = host.store.audit().list(all_lines()).await.unwrap();
    for old_expires in [None, Some(200)] {
        let refused = rotate("k3", "key-acme", old_expires).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
        let refused = rotate("k1", "k2", old_expires).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
    }
    let plan = |_| Err(Error::invalid("no"));
    let refused = key_store.rotate(&own, &id("k2"), Box::new(plan)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidRequest);
    let listed = key_store.list(&own, None).await.unwrap();
    assert_eq!(ids(&listed), ["k1", "k2"]);
    assert!(listed.iter().all(|key| key.expires.is_none()));
    assert_eq!(host.store.audit().list(all_lines()).await.unwrap(), before);
}

fn rotation(new: Key, old_expires: Option<u64>) -> KeyRotation {
    KeyRotation {
        new: HashedKey {
            hash: hash(new.id.as_str()),
            key: new,
        },
        old_expires,
        audit: [entry("key.create", "new"), entry("key.revoke", "old")],
    }
}

#[tokio::test]
async fn nobody_writes_between_reading_and_replacing_a_key() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let own = ManagedTenant::own(&pass);
    let key_store = host.store.key_store();
    let change = KeyChange {
        name: Some("as it was changed last".to_owned()),
        ..KeyChange::default()
    };
    let old = id("key-acme");
    let changed = key_store.change(&own, &old, change, entry("key.change", "key-acme"));
    changed.await.unwrap();

    let another = connect(host.data());
    another.busy_timeout(Duration::ZERO).unwrap();
    let plan = move |old: Key| {
        let refused = another.execute_batch("BEGIN IMMEDIATE").unwrap_err();
        assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy));
        let new = Key {
            name: old.name,
            ..key("k1", 10)
        };
        Ok(rotation(new, None))
    };
    let new = key_store.rotate(&own, &old, Box::new(plan)).await.unwrap();
    assert_eq!(new.name, "as it was changed last");
    assert_eq!(key_store.list(&own, None).await.unwrap(), [new]);

    // Once a key is revoked, nothing is made of it.
    let plan = |_| panic!("there is no key to plan with");
    let refused = key_store.rotate(&own, &old, Box::new(plan)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_tenant_whose_first_key_is_refused_is_not_created() {
    let host = Host::new().await;
    host.create_tenant("acme").await;
    let tenant_store = host.store.tenant_store();
    let before = host.store.audit().list(all_lines()).await.unwrap();
    let refused = tenant_store
        .create(
            &host.operator,
            &tenant("globex"),
            &first_key("acme"),
            creation("globex"),
        )
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let tenants = tenant_store.list(&host.operator).await.unwrap();
    assert_eq!(tenants.len(), 1);
    assert_eq!(host.store.audit().list(all_lines()).await.unwrap(), before);
    host.create_tenant("globex").await;
}

fn all_lines() -> AuditQuery {
    AuditQuery {
        limit: 100,
        ..AuditQuery::default()
    }
}

/// Everything that can change what a look-up finds, each after a look-up that has put it into memory.
#[tokio::test]
async fn a_change_is_seen_by_the_next_look_up() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    host.create_tenant("globex").await;
    let own = ManagedTenant::own(&pass);
    let (key_store, tenant_store) = (host.store.key_store(), host.store.tenant_store());
    key_store
        .insert(&own, &key("k1", 1), &hash("one"), entry("key.create", "k1"))
        .await
        .unwrap();
    let found = async |secret: &str| key_store.find(&hash(secret), 100).await.unwrap();
    assert_eq!(found("one").await.unwrap().budget, Budget::default());

    let budget = Budget {
        daily_tokens: Some(5),
        ..Budget::default()
    };
    let change = KeyChange {
        budget: Some(budget.clone()),
        ..KeyChange::default()
    };
    key_store
        .change(&own, &id("k1"), change, entry("key.change", "k1"))
        .await
        .unwrap();
    assert_eq!(found("one").await.unwrap().budget, budget);

    let rotation = KeyRotation {
        new: HashedKey {
            key: key("k2", 2),
            hash: hash("two"),
        },
        old_expires: None,
        audit: [entry("key.create", "k2"), entry("key.revoke", "k1")],
    };
    key_store
        .rotate(&own, &id("k1"), Box::new(|_| Ok(rotation)))
        .await
        .unwrap();
    assert!(found("one").await.is_none());
    assert!(found("two").await.is_some());

    let tenant = key_store.tenant(pass.tenant()).await.unwrap().unwrap();
    let policy = Policy {
        weight: 7,
        ..tenant.policy.clone()
    };
    tenant_store
        .change(
            &host.operator,
            pass.tenant(),
            &tenant.policy,
            ("Acme", &policy),
            entry("tenant.change", "acme"),
        )
        .await
        .unwrap();
    assert_eq!(found("two").await.unwrap().policy, policy);
    assert_eq!(key_store.tenant(pass.tenant()).await.unwrap().unwrap().policy, policy);

    key_store
        .revoke(&own, &id("k2"), entry("key.revoke", "k2"))
        .await
        .unwrap();
    assert!(found("two").await.is_none());
    assert_eq!(
        key_store.get(&own, &id("k2")).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert!(host.authorize(&secret("acme"), 1).await.is_ok());
    host.delete_tenant(&pass).await;
    assert!(host.authorize(&secret("acme"), 1).await.is_err());
    assert!(key_store.tenant(pass.tenant()).await.unwrap().is_none());
    assert!(host.authorize(&secret("globex"), 1).await.is_ok());
    key_store.set_operator_hash(&hash("operator")).await.unwrap();
    assert_eq!(key_store.operator_hash().await.unwrap(), Some(hash("operator")));
}

#[tokio::test]
async fn a_tenant_has_so_many_keys_and_what_has_expired_makes_room() {
    let host = Host::with(Limits {
        keys: 3,
        ..Limits::default()
    })
    .await;
    let (acme, globex) = (host.create_tenant("acme").await, host.create_tenant("globex").await);
    let (own, key_store) = (ManagedTenant::own(&acme), host.store.key_store());
    // The audit entries of this test are made at 5 seconds.
    let short = Key {
        expires: Some(5),
        ..key("short", 1)
    };
    let insert = async |key: Key, tenant: &ManagedTenant| {
        let (hash, audit) = (hash(key.id.as_str()), entry("key.create", key.id.as_str()));
        key_store.insert(tenant, &key, &hash, audit).await
    };
    insert(short, &own).await.unwrap();
    insert(key("k1", 2), &own).await.unwrap();
    // The one that has expired goes.
    insert(key("k2", 3), &own).await.unwrap();
    let three = ["key-acme", "k1", "k2"];
    assert_eq!(ids(&key_store.list(&own, None).await.unwrap()), three);
    let refused = insert(key("k3", 4), &own).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    assert!(refused.message().contains("3 keys"), "{refused}");
    assert_eq!(ids(&key_store.list(&own, None).await.unwrap()), three);
    assert!(key_store.find(&hash("k3"), 6).await.unwrap().is_none());
    // A rotation that ends the old key at once needs no room, one that lets it live does.
    let rotate = async |old: &str, new: &str, old_expires: Option<u64>| {
        let new = HashedKey {
            key: key(new, 5),
            hash: hash(new),
        };
        let plan = move |_| {
            Ok(KeyRotation {
                new,
                old_expires,
                audit: [entry("key.create", "new"), entry("key.revoke", "old")],
            })
        };
        key_store.rotate(&own, &id(old), Box::new(plan)).await
    };
    rotate("k1", "k4", None).await.unwrap();
    let refused = rotate("k2", "k5", Some(1_000_000)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    assert_eq!(
        ids(&key_store.list(&own, None).await.unwrap()),
        ["key-acme", "k2", "k4"]
    );
    assert!(
        key_store.find(&hash("k2"), 2_000_000).await.unwrap().is_some(),
        "the refused rotation gave it no end"
    );
    // Others have their own.
    insert(key("k6", 6), &ManagedTenant::own(&globex)).await.unwrap();
    key_store
        .revoke(&own, &id("k2"), entry("key.revoke", "k2"))
        .await
        .unwrap();
    insert(key("k7", 7), &own).await.unwrap();
    // Above a limit that was lowered, keys can still be replaced.
    let host = host.with_limits_changed(|limits| limits.keys = 1).await;
    let new = HashedKey {
        key: key("k8", 8),
        hash: hash("k8"),
    };
    let plan = move |_| {
        Ok(KeyRotation {
            new,
            old_expires: None,
            audit: [entry("key.create", "k8"), entry("key.revoke", "k7")],
        })
    };
    let rotated = host.store.key_store().rotate(&own, &id("k7"), Box::new(plan)).await;
    assert_eq!(rotated.unwrap().id, id("k8"));
}
