//! A new version of a plugin for a share of a tenant's requests: one that traps is ended by the server, one that works is promoted; and
//! a neighbor notices nothing. Not here: which failures count (`money/canary`).

use riad_end_to_end::{Chat, Tenant, TestHost, files};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// Far more than it takes.
const REQUESTS: usize = 300;

/// Uploads a component and returns how a pipeline names it, and its digest.
async fn upload(tenant: &Tenant, name: &str, component: &'static [u8]) -> (String, String) {
    let version = tenant.put_plugin(name, component).await.text("/version");
    (format!("{name}@{version}"), version)
}

async fn put_canary(tenant: &Tenant, percent: u32, choice: &str) -> Value {
    let body = json!({"stages": {}, "canary": {"percent": percent, "stages": {"postprocessing": choice}}});
    tenant.put("/v1/pipeline", &body).await.ok()
}

fn served_by(answer: &Value) -> &str {
    answer["riad"]["receipt"]["plugins"]["postprocessing"].as_str().unwrap()
}

async fn audited(tenant: &Tenant, action: &str) -> Vec<Value> {
    let list = tenant.get(&format!("/v1/audit?action={action}")).await.ok();
    list["data"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_traps_is_ended_and_nobody_else_notices() {
    let host = TestHost::start().await;
    let (acme, globex) = host.neighbors().await;
    let standard = files::digest(files::STANDARD);
    let (choice, version) = upload(&acme, "trap", files::TRAP_IN_STREAM).await;
    let put = put_canary(&acme, 50, &choice).await;
    assert_eq!(
        put["canary"],
        json!({"percent": 50, "stages": {"postprocessing": choice}})
    );
    assert_eq!(acme.get("/v1/pipeline").await.ok(), put);
    let path = format!("/v1/plugins/trap/versions/{version}");
    acme.delete(&path).await.refused(409, "conflict");
    let body = json!({"stages": {}, "canary": {"percent": 50, "stages": {"postprocessing": choice}}});
    globex.put("/v1/pipeline", &body).await.refused(404, "not_found");

    let chat = Chat::new("What is the refund window?");
    let (mut failures, mut served) = (0, 0);
    for _ in 0..REQUESTS {
        let answer = acme.try_chat(&chat).await;
        if answer.status.is_success() {
            assert_eq!(served_by(&answer.json()), standard);
            served += 1;
        } else {
            assert_eq!(answer.status.as_u16(), 422, "{}", answer.body);
            assert_eq!(answer.code(), "plugin_failed");
            // `sha256:` and the first twelve digits.
            assert!(answer.message().contains(&version[..19]), "{}", answer.body);
            failures += 1;
        }
        let neighbor = globex.try_chat(&chat.clone().with("max_tokens", 2)).await.ok();
        assert_eq!(served_by(&neighbor), standard);
        if acme.get("/v1/pipeline").await.ok()["canary"].is_null() {
            break;
        }
    }
    assert!(failures >= 8, "{failures} of the canary's, {served} others");
    for _ in 0..10 {
        assert_eq!(served_by(&acme.chat(&chat).await), standard);
    }

    let ended = acme.get("/v1/pipeline").await.ok();
    let last = &ended["last_canary"];
    assert_eq!(last["stages"], json!({"postprocessing": choice}));
    assert_eq!(last["stable_failures"], 0);
    assert!(last["failures"].as_u64() >= Some(8), "{last}");
    assert_eq!(last["failures"], last["requests"], "every one of its requests failed");
    let mut entries = Vec::new();
    // It is written after the pipeline is.
    for _ in 0..REQUESTS {
        entries = audited(&acme, "pipeline.end_canary").await;
        if !entries.is_empty() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    let [entry] = entries.as_slice() else {
        panic!("{entries:?}");
    };
    assert_eq!((&entry["actor"], &entry["detail"]), (&json!("server"), last), "{entry}");
    let logs = acme.get("/v1/logs").await.ok();
    let lines = logs["data"].as_array().unwrap();
    let told = |line: &&Value| line["message"].as_str().unwrap().contains("has ended the canary");
    assert_eq!(lines.iter().filter(told).count(), 1, "{logs}");

    // What was read before neither brings the canary back nor promotes it, until it has been read again.
    let promoted = json!({"stages": {"postprocessing": choice}});
    for stale in [&put, &promoted] {
        let refused = acme.put("/v1/pipeline", stale).await.refused(409, "conflict");
        assert_eq!(refused.text("/error/param"), "last_canary");
        assert!(
            refused.message().contains("read /v1/pipeline again"),
            "{}",
            refused.body
        );
    }
    assert_eq!(acme.get("/v1/pipeline").await.ok(), ended);
    let mut again = put.clone();
    again["last_canary"] = last.clone();
    assert_eq!(acme.put("/v1/pipeline", &again).await.ok(), again);
    acme.put("/v1/pipeline", &ended).await.ok();
    acme.delete(&path).await.ok();

    let neighbors = globex.get("/v1/pipeline").await.ok();
    assert!(
        neighbors["canary"].is_null() && neighbors["last_canary"].is_null(),
        "{neighbors}"
    );
    assert!(audited(&globex, "pipeline").await.is_empty());
    assert_eq!(globex.get("/v1/logs").await.ok()["data"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_canary_serves_half_and_is_promoted() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let (choice, version) = upload(&acme, "echo", files::ECHO).await;
    put_canary(&acme, 50, &choice).await;
    let chat = Chat::new("Hello").with("max_tokens", 2);
    let (standard, mut canary) = (files::digest(files::STANDARD), 0);
    for _ in 0..64 {
        let answer = acme.chat(&chat).await;
        match served_by(&answer) == version {
            true => canary += 1,
            false => assert_eq!(served_by(&answer), standard),
        }
    }
    // Five standard deviations of 64 throws of a coin.
    assert!((12..=52).contains(&canary), "{canary} of 64");
    let going_on = acme.get("/v1/pipeline").await.ok();
    assert_eq!(going_on["canary"]["percent"], 50);

    let promoted = json!({"stages": {"postprocessing": choice}});
    let put = acme.put("/v1/pipeline", &promoted).await.ok();
    assert!(put["canary"].is_null(), "{put}");
    for _ in 0..10 {
        assert_eq!(served_by(&acme.chat(&chat).await), version);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_cannot_be_one_is_refused_by_member() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let (choice, _) = upload(&acme, "trap", files::TRAP_IN_STREAM).await;
    let before = acme.get("/v1/pipeline").await.ok();
    for (canary, param) in [
        (
            json!({"percent": 0, "stages": {"postprocessing": choice}}),
            "canary.percent",
        ),
        (
            json!({"percent": 101, "stages": {"postprocessing": choice}}),
            "canary.percent",
        ),
        (json!({"percent": 10, "stages": {}}), "canary.stages"),
        (
            json!({"percent": 10, "stages": {"postprocessing": "standard"}}),
            "canary.stages",
        ),
        (
            json!({"percent": 10, "stages": {"retrieval": choice}}),
            "canary.stages.retrieval",
        ),
        (
            json!({"percent": 10, "stages": {"tools": "standard"}}),
            "canary.stages.tools",
        ),
    ] {
        let body = json!({"stages": {}, "canary": canary});
        let refused = acme.put("/v1/pipeline", &body).await.refused(400, "");
        assert_eq!(refused.text("/error/param"), param, "{}", refused.body);
    }
    assert_eq!(acme.get("/v1/pipeline").await.ok(), before);
    // What a client read, it may send back.
    acme.put("/v1/pipeline", &before).await.ok();
}
