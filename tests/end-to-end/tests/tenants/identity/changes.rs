//! The log of changes: who, what, when, from where.

use super::{hello, now};
use reqwest::Method;
use riad_end_to_end::{Caller, TestHost, files};
use serde_json::{Value, json};

async fn log(caller: &Caller, path: &str) -> Vec<Value> {
    caller.get(path).await.ok()["data"].as_array().unwrap().clone()
}

fn actions(lines: &[Value]) -> Vec<String> {
    lines
        .iter()
        .map(|line| line["action"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_in_the_audit_log_without_its_content() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let begun = now() * 1000;
    let acme = host.tenant("acme").await;
    let globex = host.tenant("globex").await;
    let request = acme
        .request(Method::POST, "/v1/documents")
        .header("x-request-id", "upload-7");
    let body = json!({"title": "Zebrafish", "text": "The zebrafish sleeps at noon."});
    let document = acme.send(request.json(&body)).await.ok();
    let id = document["id"].as_str().unwrap();
    acme.delete(&format!("/v1/documents/{id}")).await.ok();
    acme.put("/v1/settings", &json!({"color": "zebrafish"})).await.ok();
    acme.put_adapter("legal", &files::Adapter::acme()).await;
    acme.delete("/v1/adapters/legal").await.ok();
    acme.deploy("echo", files::ECHO, &["prompting"]).await;
    let key = acme.post("/v1/keys", &json!({"name": "second"})).await.ok();
    let key_id = key["id"].as_str().unwrap();
    acme.patch(&format!("/v1/keys/{key_id}"), &json!({"name": "job"}))
        .await
        .ok();
    acme.delete(&format!("/v1/keys/{key_id}")).await.ok();
    host.change("acme", json!({"weight": 2})).await;
    // What changes nothing is in the ledger and not here; nor is what was refused.
    acme.chat(&hello()).await;
    acme.get("/v1/documents").await.ok();
    acme.put("/v1/pipeline", &json!({"stages": {"prompting": "nothing@x"}}))
        .await;

    let lines = log(&acme, "/v1/audit").await;
    let mut oldest_first = actions(&lines);
    oldest_first.reverse();
    let first = |action: &str| oldest_first.iter().position(|known| known == action);
    for action in [
        "tenant.create",
        "document.create",
        "document.delete",
        "adapter.delete",
        "key.create",
        "key.change",
        "key.revoke",
        "tenant.change",
    ] {
        assert!(first(action).is_some(), "no {action} in {oldest_first:?}");
    }
    for resource in ["settings", "adapter", "plugin", "pipeline"] {
        assert!(
            !log(&acme, &format!("/v1/audit?action={resource}")).await.is_empty(),
            "{resource}: {oldest_first:?}"
        );
    }
    assert_eq!(
        log(&acme, "/v1/audit?action=pipeline").await.len(),
        1,
        "the refused one is not a change"
    );
    assert!(first("document.create") < first("document.delete"));
    let text = acme.get("/v1/audit").await.body;
    for content in ["zebrafish", "noon", &acme.key[12..], key["key"].as_str().unwrap()] {
        assert!(!text.contains(content), "{content} is in {text}");
    }

    let upload = lines.iter().find(|line| line["action"] == "document.create").unwrap();
    assert_eq!(
        (&upload["object"], &upload["actor"]),
        (&id.into(), &acme.key_id.as_str().into())
    );
    assert_eq!(
        (&upload["request"], &upload["address"]),
        (&"upload-7".into(), &"127.0.0.1".into())
    );
    assert!((begun..=now() * 1000 + 1000).contains(&upload["at_ms"].as_u64().unwrap()));
    let changed = lines.iter().find(|line| line["action"] == "tenant.change").unwrap();
    assert_eq!(
        (&changed["actor"], &changed["detail"]),
        (&"operator".into(), &json!({"weight": 2}))
    );

    // Pages, newest first, without holes.
    let (mut paged, mut before) = (Vec::new(), String::new());
    loop {
        let page = acme.get(&format!("/v1/audit?limit=3{before}")).await.ok();
        let data = page["data"].as_array().unwrap();
        paged.extend(data.iter().cloned());
        if page["has_more"] == false {
            break;
        }
        before = format!("&before={}", data.last().unwrap()["number"]);
    }
    assert_eq!(paged, lines);
    assert_eq!(log(&acme, "/v1/audit?action=key.revoke").await.len(), 1);
    assert!(
        log(&acme, "/v1/audit?actor=operator")
            .await
            .iter()
            .all(|line| line["actor"] == "operator")
    );

    // Each tenant has its own, the operator all of them.
    assert!(
        actions(&log(&globex, "/v1/audit").await)
            .iter()
            .all(|action| !action.starts_with("document"))
    );
    acme.get("/v1/audit?tenant=globex").await;
    assert_eq!(acme.get("/v1/audit?tenant=globex").await.status, 400);
    let all = log(&host.operator, "/operator/v1/audit?limit=1000").await;
    assert!(all.iter().any(|line| line["tenant"] == "globex") && all.iter().any(|line| line["tenant"] == "acme"));
    // The same lines, except for the operator's address, which tenants do not see, and the numbers.
    let whole = log(&host.operator, "/operator/v1/audit?tenant=acme&limit=1000").await;
    let mut shown = whole.clone();
    for line in shown.iter_mut().filter(|line| line["actor"] == "operator") {
        assert!(line["address"].is_string() && line["request"] != "");
        line["address"] = Value::Null;
        line["request"] = "".into();
    }
    // A tenant's numbers count its own lines, so that it cannot count the changes of others.
    let numbers: Vec<_> = lines.iter().map(|line| line["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=lines.len() as u64).rev().collect::<Vec<_>>());
    for (line, own) in shown.iter_mut().zip(&lines) {
        line["number"] = own["number"].clone();
    }
    assert_eq!(shown, lines);
    assert_eq!(acme.get("/v1/audit?limit=0").await.status, 400);

    // It outlives the tenant and the process.
    host.operator.delete("/operator/v1/tenants/acme").await.ok();
    let host = host.restart().await;
    let left = log(&host.operator, "/operator/v1/audit?tenant=acme&limit=1000").await;
    assert_eq!(left[0]["action"], "tenant.delete");
    assert_eq!(left[1..], whole);
}
