//! A tenant that is deleted and created again under its id: the new tenant reaches nothing of the former one.

use super::{assert_opens_nothing, hello, issuer::Issuer, now};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_tenants_keys_open_nothing_of_its_successor() {
    let issuer = Issuer::new();
    let trusting = issuer.trusted(&[]);
    let host = trusting.config(|config| config.auth.leeway_seconds = 1).start().await;
    let acme = host.tenant("acme").await;
    let token = issuer.token(&Issuer::claims("acme", "admin"));
    let issued = now();
    let by_token = host.caller(&token);
    acme.add_document("Secret", "The zebrafish sleeps at noon.").await;
    acme.post_once("/v1/chat/completions", &hello().body(false), "order-1")
        .await
        .ok();
    by_token.chat(&hello()).await;
    by_token.put("/v1/settings", &json!({"color": "zebrafish"})).await.ok();
    let second = acme.post("/v1/keys", &json!({"name": "second"})).await.ok();

    // Tokens say to the second when they were made.
    while now() <= issued + 1 {
        sleep(Duration::from_millis(50)).await;
    }
    host.operator.delete("/operator/v1/tenants/acme").await.ok();
    let former = [acme.key.clone(), second["key"].as_str().unwrap().to_owned(), token];
    for secret in &former {
        assert_opens_nothing(&host.caller(secret)).await;
    }
    host.operator
        .get("/operator/v1/tenants/acme/keys")
        .await
        .refused(404, "not_found");

    let successor = host.tenant("acme").await;
    let made = now();
    for secret in &former {
        assert_opens_nothing(&host.caller(secret)).await;
    }
    let span = format!("start_time={}", now() - 3600);
    for path in [
        "/v1/receipts".to_owned(),
        "/v1/documents".to_owned(),
        "/v1/logs".to_owned(),
    ] {
        assert_eq!(successor.get(&path).await.ok()["data"], json!([]), "{path}");
    }
    for path in ["/v1/usage", "/v1/costs"] {
        let page = successor.get(&format!("{path}?{span}&bucket_width=1h")).await.ok();
        let results: Vec<&Value> = page["data"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|bucket| bucket["results"].as_array().unwrap())
            .collect();
        assert!(results.is_empty(), "{path}: {page}");
    }
    assert_eq!(successor.get("/v1/settings").await.ok(), json!({}));
    let keys = successor.get("/v1/keys").await.ok();
    assert_eq!(keys["data"].as_array().unwrap().len(), 1, "{keys}");
    let audit = successor.get("/v1/audit").await.ok();
    let own: BTreeSet<_> = audit["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["account"].as_u64())
        .collect();
    assert_eq!(own, BTreeSet::from([Some(successor.account)]), "{audit}");
    assert!(!audit.to_string().contains("settings"), "{audit}");
    // A response that was stored for the former tenant is not replayed to the new one.
    let again = successor
        .post_once("/v1/chat/completions", &hello().body(false), "order-1")
        .await;
    assert_eq!(again.header("idempotent-replayed"), "");
    assert_eq!(again.ok()["riad"]["receipt"]["number"], 1);

    // The operator sees both, apart.
    let both = BTreeSet::from([acme.account, successor.account]);
    assert_eq!(both.len(), 2);
    let accounts =
        |lines: &[Value]| -> BTreeSet<u64> { lines.iter().filter_map(|line| line["account"].as_u64()).collect() };
    assert_eq!(accounts(&host.entries("acme").await), both);
    let audit = host
        .operator
        .get("/operator/v1/audit?tenant=acme&limit=1000")
        .await
        .ok();
    assert_eq!(accounts(audit["data"].as_array().unwrap()), both);
    let rollups = host
        .operator
        .get(&format!("/operator/v1/rollups?{span}&tenant=acme"))
        .await
        .ok();
    assert_eq!(accounts(rollups["data"].as_array().unwrap()), both);

    // A token that is issued once no former one can say the same time belongs to the new tenant.
    while now() <= made + 1 {
        sleep(Duration::from_millis(50)).await;
    }
    let token = issuer.token(&Issuer::claims("acme", "user"));
    let answer = host.caller(&token).chat(&hello()).await;
    assert_eq!(answer["riad"]["receipt"]["number"], 2);
}
