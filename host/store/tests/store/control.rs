//! Tenants, the operator's key and the lock on the data folder. Not here: tenants' keys (`keys`), accounts and rooms
//! (`accounts`).

use crate::host::{Host, creation, entry, first_key, secret, space, tenant};
use riad_core::{
    ErrorKind, Limits, OperatorPass, Secret,
    audit::Origin,
    pass::hash_key,
    policy::{Policy, Tier},
};
use riad_store::Store;
use serde_json::json;

#[tokio::test]
async fn a_tenant_is_made_once_listed_and_forgotten_with_its_keys() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    host.create_tenant("aaa").await;
    let tenant_store = host.store.tenant_store();
    let error = tenant_store
        .create(&host.operator, &tenant("acme"), &first_key("acme"), creation("acme"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let listed = tenant_store.list(&host.operator).await.unwrap();
    assert_eq!(
        listed.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(),
        ["aaa", "acme"]
    );
    let found = tenant_store.get(&host.operator, pass.tenant()).await.unwrap();
    assert_eq!((found.name.as_str(), found.account), ("Tenant acme", pass.account()));
    assert_eq!(
        host.store.key_store().tenant(pass.tenant()).await.unwrap(),
        Some(found.clone())
    );

    let delete = || entry("tenant.delete", "acme");
    let account = tenant_store
        .delete(&host.operator, pass.tenant(), delete())
        .await
        .unwrap();
    assert_eq!(account, pass.account());
    let error = host.authorize(&secret("acme"), 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    let error = tenant_store.get(&host.operator, pass.tenant()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(host.store.key_store().tenant(pass.tenant()).await.unwrap(), None);
    // Until the room is gone the deletion can be asked for again, else a failed one could never be finished.
    let account = tenant_store
        .delete(&host.operator, pass.tenant(), delete())
        .await
        .unwrap();
    assert_eq!(account, pass.account());
    host.store.rooms().remove(&host.operator, pass.tenant()).await.unwrap();
    let error = tenant_store
        .delete(&host.operator, pass.tenant(), delete())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(host.authorize(&secret("aaa"), 1).await.is_ok());
}

#[tokio::test]
async fn a_tenant_is_changed_only_by_whoever_saw_its_last_policy() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let tenant_store = host.store.tenant_store();
    let default = Policy::default();
    let first = default
        .patched(&json!({"weight": 3, "budget": {"monthly_tokens": 7}, "limits": {"service_tier": "priority"}}))
        .unwrap();
    let second = default.patched(&json!({"weight": 9})).unwrap();
    let change = || entry("tenant.change", "acme");
    let changed = tenant_store
        .change(
            &host.operator,
            pass.tenant(),
            &default,
            ("Acme & Sons", &first),
            change(),
        )
        .await
        .unwrap();
    assert_eq!((changed.name.as_str(), &changed.policy), ("Acme & Sons", &first));
    let error = tenant_store
        .change(&host.operator, pass.tenant(), &default, ("late", &second), change())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        tenant_store.get(&host.operator, pass.tenant()).await.unwrap(),
        changed,
        "the late change left something"
    );
    let absent = "absent".parse().unwrap();
    let error = tenant_store
        .change(&host.operator, &absent, &default, ("x", &second), change())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);

    // A pass has the policy of the moment it was made.
    assert_eq!(pass.policy(), &default);
    let host = host.reopen(|_| ()).await;
    let pass = host.pass("acme").await;
    assert_eq!(pass.policy(), &first);
    assert_eq!(pass.policy().limits.service_tier, Tier::Priority);
}

#[tokio::test]
async fn only_the_operators_key_gets_an_operator_pass() {
    let host = Host::new().await;
    host.create_tenant("acme").await;
    let key_store = host.store.key_store();
    let opens =
        async |key: &str| OperatorPass::authorize(&*key_store, &Secret::new(key.into()), Origin::default()).await;
    for wrong in ["riad_sk_acme", "", "riad_op_tes"] {
        assert_eq!(opens(wrong).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    }
    key_store
        .set_operator_hash(&hash_key(&Secret::new("new".into())))
        .await
        .unwrap();
    assert!(opens("new").await.is_ok());
    assert!(opens("riad_op_test").await.is_err());
}

#[tokio::test]
async fn the_data_folder_has_one_owner_at_a_time() {
    let host = Host::new().await;
    let error = Store::open(host.data(), space(), &Limits::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("another process"), "{error}");
    host.store.close().await.unwrap();
    let second = Store::open(host.data(), space(), &Limits::default()).unwrap();
    let error = host.store.tenant_store().list(&host.operator).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(second.tenant_store().list(&host.operator).await.unwrap().len(), 0);
}
