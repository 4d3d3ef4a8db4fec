//! Tenants, keys and the lock on the data folder.

use crate::host::{Host, space};
use riad_core::{
    ErrorKind, Limits, OperatorPass, Secret, TenantId, TenantPass,
    pass::hash_key,
    tenant::{Key, Tenant},
};
use riad_store::Store;

fn key(id: &str, created: u64) -> Key {
    Key {
        id: id.parse().unwrap(),
        name: id.into(),
        prefix: "riad_sk_ab".into(),
        created,
    }
}

#[tokio::test]
async fn a_tenant_is_made_once_listed_and_forgotten_with_its_keys() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    host.create_tenant("aaa").await;
    let directory = host.store.directory();
    let again = Tenant {
        id: "acme".parse().unwrap(),
        name: "other".into(),
        created: 2,
    };
    let error = directory.create(&host.operator, &again).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let listed = directory.list(&host.operator).await.unwrap();
    assert_eq!(
        listed.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(),
        ["aaa", "acme"]
    );
    assert_eq!(
        directory.get(&host.operator, pass.tenant()).await.unwrap().name,
        "Tenant acme"
    );

    directory.delete(&host.operator, pass.tenant()).await.unwrap();
    let secret = Secret::new("riad_sk_acme".to_owned());
    let error = TenantPass::authorise(&*host.store.keyring(), &secret)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    let error = directory.get(&host.operator, pass.tenant()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // Until the room is gone the deletion can be asked for again, else a failed one could never be finished.
    directory.delete(&host.operator, pass.tenant()).await.unwrap();
    host.store.rooms().remove(&host.operator, pass.tenant()).await.unwrap();
    let error = directory.delete(&host.operator, pass.tenant()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        host.store
            .keyring()
            .find(&hash_key(&Secret::new("riad_sk_aaa".into())))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_revoked_key_is_found_by_nothing_also_after_a_restart() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let other = host.create_tenant("other").await;
    let keyring = host.store.keyring();
    let (first, second) = (Secret::new("one".to_owned()), Secret::new("two".to_owned()));
    keyring
        .insert(&host.operator, pass.tenant(), &key("k2", 20), &hash_key(&second))
        .await
        .unwrap();
    keyring
        .insert(&host.operator, pass.tenant(), &key("k1", 10), &hash_key(&first))
        .await
        .unwrap();
    let ids = |keys: Vec<Key>| keys.into_iter().map(|k| k.id.to_string()).collect::<Vec<_>>();
    assert_eq!(
        ids(keyring.list(&host.operator, pass.tenant()).await.unwrap()),
        ["key-acme", "k1", "k2"]
    );
    let found = TenantPass::authorise(&*keyring, &first).await.unwrap();
    assert_eq!((found.tenant(), found.key().as_str()), (pass.tenant(), "k1"));

    // Another tenant's key cannot be revoked through one's own name.
    let error = keyring
        .revoke(&host.operator, other.tenant(), &"k1".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    keyring
        .revoke(&host.operator, pass.tenant(), &"k1".parse().unwrap())
        .await
        .unwrap();
    assert!(keyring.find(&hash_key(&first)).await.unwrap().is_none());
    assert_eq!(
        ids(keyring.list(&host.operator, pass.tenant()).await.unwrap()),
        ["key-acme", "k2"]
    );
    let error = keyring
        .revoke(&host.operator, pass.tenant(), &"k1".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // Nor does the same secret come back under a new name.
    let error = keyring
        .insert(&host.operator, pass.tenant(), &key("k3", 1), &hash_key(&first))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);

    let host = host.reopen(|_| ()).await;
    let keyring = host.store.keyring();
    assert!(keyring.find(&hash_key(&first)).await.unwrap().is_none());
    assert!(keyring.find(&hash_key(&second)).await.unwrap().is_some());
    let absent: TenantId = "absent".parse().unwrap();
    assert_eq!(
        keyring.list(&host.operator, &absent).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let error = keyring
        .insert(&host.operator, &absent, &key("k4", 1), &[4; 32])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn only_the_operators_key_opens_the_operators_doors() {
    let host = Host::new().await;
    host.create_tenant("acme").await;
    let keyring = host.store.keyring();
    for wrong in ["riad_sk_acme", "", "riad_op_tes"] {
        let error = OperatorPass::authorise(&*keyring, &Secret::new(wrong.into()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    }
    keyring
        .set_operator_hash(&hash_key(&Secret::new("new".into())))
        .await
        .unwrap();
    assert!(
        OperatorPass::authorise(&*keyring, &Secret::new("new".into()))
            .await
            .is_ok()
    );
    assert!(
        OperatorPass::authorise(&*keyring, &Secret::new("riad_op_test".into()))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_data_folder_has_one_owner_at_a_time() {
    let host = Host::new().await;
    let error = Store::open(host.data(), space(), &Limits::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("another process"), "{error}");
    host.store.close().await.unwrap();
    let second = Store::open(host.data(), space(), &Limits::default()).unwrap();
    let error = host.store.directory().list(&host.operator).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(second.directory().list(&host.operator).await.unwrap().len(), 0);
}
