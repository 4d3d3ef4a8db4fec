//! Looking up keys waits for nothing else that the control database does.

use super::*;
use crate::identity::tests::begin;
use riad_core::{Limits, OperatorPass, Secret, audit::Origin, pass::hash_key};
use std::sync::mpsc;

const NOW: u64 = 1_000_000;

/// A control database with the tenant acme, whose one key has this hash.
async fn with_key(path: &std::path::Path) -> (ControlKeyStore, KeyHash, ManagedTenant) {
    let control = Arc::new(Control::open(path, &Limits::default(), &crate::reserve::Reserve::none()).unwrap());
    let hash = [7; 32];
    control
        .database
        .write(|connection| {
            connection.execute_batch(
                r#"INSERT INTO accounts (account, tenant, name, created) VALUES (1, 'acme', 'Acme', 1);
                INSERT INTO tenants (id, account, name, created, policy) VALUES ('acme', 1, 'Acme', 1, '{}');"#,
            )?;
            Ok(connection.execute(
                r#"INSERT INTO keys (id, tenant, name, prefix, hash, role, scopes, budget, created)
                VALUES ('key-1', 'acme', 'first', 'p', ?1, 'admin', '["chat"]', '{}', 1)"#,
                [hash],
            )?)
        })
        .unwrap();
    let store = ControlKeyStore::new(control);
    let operator = Secret::new("operator".to_owned());
    store.set_operator_hash(&hash_key(&operator)).await.unwrap();
    let operator = OperatorPass::authorize(&store, &operator, Origin::default())
        .await
        .unwrap();
    (store, hash, ManagedTenant::named(&operator, "acme".parse().unwrap()))
}

#[tokio::test]
async fn keys_are_looked_up_while_everything_else_of_the_database_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let (store, hash, acme) = with_key(&folder.path().join("control.db")).await;
    let database = &store.control.database;
    // Reports, reads and changes of other tenants, which hold every permit until they are told to end.
    let mut busy = Vec::new();
    let mut finish = Vec::new();
    for permits in [&database.read_permits, &database.write_permits] {
        for _ in 0..2 {
            let (end, ended) = mpsc::channel::<()>();
            busy.push(begin(run_with_permit(permits, move || Ok(ended.recv().is_ok()))));
            finish.push(end);
        }
    }
    let questions: Vec<_> = (0..4)
        .map(|_| {
            let (end, ended) = mpsc::channel::<()>();
            finish.push(end);
            begin(store.control.queries.read(move |_| Ok(ended.recv().is_ok())))
        })
        .collect();
    assert!(store.find(&hash, NOW).await.unwrap().is_some());
    assert!(store.find(&[8; 32], NOW).await.unwrap().is_none());
    assert!(store.tenant(acme.tenant()).await.unwrap().is_some());
    assert!(store.operator_hash().await.unwrap().is_some());
    assert_eq!(store.get(&acme, &"key-1".parse().unwrap()).await.unwrap().name, "first");
    drop(finish);
    for work in busy {
        work.await.unwrap();
    }
    for question in questions {
        question.await.unwrap();
    }
}

#[tokio::test]
async fn a_known_key_is_found_without_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let (store, hash, acme) = with_key(&folder.path().join("control.db")).await;
    store.find(&hash, NOW).await.unwrap().unwrap();
    store.tenant(acme.tenant()).await.unwrap().unwrap();
    store.control.close();
    assert!(store.find(&hash, NOW).await.unwrap().is_some());
    assert!(store.tenant(acme.tenant()).await.unwrap().is_some());
    assert!(store.operator_hash().await.unwrap().is_some());
    // An unknown one is.
    assert_eq!(
        store.find(&[8; 32], NOW).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
}
