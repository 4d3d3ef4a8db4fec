//! A tenant's own keys: made, found, changed, rotated and revoked by its admins, within what they have.

use super::{assert_opens_nothing, hello, now};
use riad_end_to_end::{Answer, Caller, TestHost};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

/// A key, and somebody with it.
async fn make(admin: &Caller, body: Value) -> (Value, Caller) {
    let made = admin.post("/v1/keys", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let made = made.json();
    let caller = admin.with_key(made["key"].as_str().unwrap());
    (made, caller)
}

fn id(made: &Value) -> &str {
    made["id"].as_str().unwrap()
}

async fn list(admin: &Caller, query: &str) -> Vec<Value> {
    admin.get(&format!("/v1/keys{query}")).await.ok()["data"]
        .as_array()
        .unwrap()
        .clone()
}

fn assert_forbidden(answer: Answer, words: &str) {
    let answer = answer.refused(403, "insufficient_permissions");
    assert!(answer.message().contains(words), "{}", answer.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_manages_tenant_keys_and_sees_each_secret_once() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let (acme, globex) = (host.tenant("acme").await, host.tenant("globex").await);
    let body = json!({"name": " build server ", "role": "user", "scopes": ["chat"], "budget": {"total_tokens": 1000}});
    let (made, caller) = make(&acme, body).await;
    assert_eq!(
        (&made["name"], &made["role"], &made["scopes"]),
        (&"build server".into(), &"user".into(), &json!(["chat"]))
    );
    assert_eq!(
        (&made["budget"]["total_tokens"], &made["last_used"]),
        (&1000.into(), &Value::Null)
    );
    let secret = made["key"].as_str().unwrap();
    assert!(secret.starts_with("riad_sk_") && secret.starts_with(made["prefix"].as_str().unwrap()));
    caller.chat(&hello()).await;

    let listed = acme.get("/v1/keys").await;
    assert!(
        !listed.body.contains(&secret[12..]) && !listed.body.contains(&acme.key[12..]),
        "{}",
        listed.body
    );
    let keys = list(&acme, "").await;
    let names: Vec<_> = keys.iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["first", "build server"]);
    // When it was used is written down a little later.
    let begun = Instant::now();
    while list(&acme, "").await[1]["last_used"].is_null() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no last use");
        sleep(Duration::from_millis(50)).await;
    }

    let path = format!("/v1/keys/{}", id(&made));
    let changed = acme
        .patch(&path, &json!({"name": "ci", "expires": now() + 600}))
        .await
        .ok();
    assert_eq!((&changed["name"], &changed["budget"]), (&"ci".into(), &made["budget"]));
    for (patch, word) in [
        (json!({"name": ""}), "1 to 128"),
        (json!({"expires": now() - 1}), "past"),
        (json!({"budget": {"total": 1}}), "total"),
        (json!({"role": "admin"}), "role"),
        (json!({"scopes": []}), "scopes"),
    ] {
        let answer = acme.patch(&path, &patch).await;
        assert_eq!(answer.status, 400, "{patch}: {}", answer.body);
        assert!(answer.message().contains(word), "{patch}: {}", answer.body);
    }
    for (body, word) in [
        (json!({"name": "x", "role": "owner"}), "role"),
        (json!({"name": "x", "scopes": ["everything"]}), "scope"),
        (json!({"name": "x", "scopes": []}), "scope"),
        (json!({"name": "x", "expires": 5}), "past"),
        (json!({"name": "x", "tenant": "globex"}), "tenant"),
    ] {
        let answer = acme.post("/v1/keys", &body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert!(answer.message().contains(word), "{body}: {}", answer.body);
    }

    // To a neighbor it is not there, nor to the operator under the neighbor's name.
    let rotate = format!("{path}/rotate");
    globex
        .patch(&path, &json!({"name": "mine"}))
        .await
        .refused(404, "not_found");
    globex.delete(&path).await.refused(404, "not_found");
    globex.post(&rotate, &json!({})).await.refused(404, "not_found");
    let under_globex = format!("/operator/v1/tenants/globex/keys/{}", id(&made));
    host.operator.delete(&under_globex).await.refused(404, "not_found");
    assert!(list(&globex, "").await.iter().all(|key| key["name"] != "ci"));

    acme.delete(&path).await.ok();
    assert_opens_nothing(&caller).await;
    acme.delete(&path).await.refused(404, "not_found");
    assert_eq!(list(&acme, "").await.len(), 1);
    let host = host.restart().await;
    assert_opens_nothing(&host.caller(secret)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_key_cannot_manage_keys_with_more_rights() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let (first, _) = make(&acme, json!({"name": "all"})).await;
    // An admin of usage alone.
    let (small, admin) = make(&acme, json!({"name": "accounts", "scopes": ["usage"]})).await;
    assert_forbidden(admin.post("/v1/keys", &json!({"name": "x"})).await, "what it has");
    assert_forbidden(
        admin
            .post("/v1/keys", &json!({"name": "x", "scopes": ["usage", "chat"]}))
            .await,
        "what it has",
    );
    make(&admin, json!({"name": "x", "role": "read-only", "scopes": ["usage"]})).await;
    let larger = format!("/v1/keys/{}", id(&first));
    assert_forbidden(admin.patch(&larger, &json!({"name": "mine"})).await, "what it has");
    assert_forbidden(admin.delete(&larger).await, "what it has");
    assert_forbidden(admin.post(&format!("{larger}/rotate"), &json!({})).await, "what it has");
    assert_eq!(
        list(&acme, "").await.iter().filter(|key| key["name"] == "all").count(),
        1
    );
    // It may revoke itself.
    admin.delete(&format!("/v1/keys/{}", id(&small))).await.ok();
    assert_opens_nothing(&admin).await;

    // Only the operator says where this server calls.
    let webhook = json!({"total_tokens": 5, "webhook": "http://127.0.0.1:9/x"});
    let refused = acme.post("/v1/keys", &json!({"name": "x", "budget": webhook})).await;
    assert_eq!(refused.text("/error/param"), "budget.webhook");
    assert_forbidden(refused, "webhook");
    assert_forbidden(acme.patch(&larger, &json!({"budget": webhook})).await, "webhook");
    for role in ["user", "read-only"] {
        let (made, caller) = make(&acme, json!({"name": role, "role": role})).await;
        let own = format!("/v1/keys/{}", id(&made));
        assert_forbidden(caller.get("/v1/keys").await, role);
        assert_forbidden(caller.post("/v1/keys", &json!({"name": "x", "role": role})).await, role);
        assert_forbidden(caller.patch(&own, &json!({"expires": now() + 999_999})).await, role);
        assert_forbidden(caller.post(&format!("{own}/rotate"), &json!({})).await, role);
        assert_forbidden(caller.delete(&own).await, role);
        assert_forbidden(caller.get("/v1/audit").await, role);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_key_is_found_by_its_prefix() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let (made, _) = make(&acme, json!({"name": "lost"})).await;
    let secret = made["key"].as_str().unwrap();
    let found = async |prefix: &str| -> Vec<String> {
        let keys = list(&acme, &format!("?prefix={prefix}")).await;
        keys.iter()
            .map(|key| key["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(found("riad_sk_").await.len(), 2);
    assert_eq!(found(&secret[..18]).await, ["lost"]);
    assert_eq!(found("riad_sk_%25").await, Vec::<String>::new(), "no pattern");
    assert_eq!(found("nothing").await, Vec::<String>::new());
    let path = format!("/operator/v1/tenants/acme/keys?prefix={}", &secret[..18]);
    assert_eq!(host.operator.get(&path).await.ok()["data"][0]["id"], made["id"]);
    // A prefix longer than the stored characters, up to the whole key, finds it too.
    assert_eq!(found(&secret[..20]).await, ["lost"]);
    assert_eq!(found(secret).await, ["lost"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_works_until_the_overlap_ends() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let body = json!({"name": "job", "role": "user", "scopes": ["chat", "usage"], "budget": {"daily_tokens": 12_345}});
    let (old, by_old) = make(&acme, body).await;
    let rotate = async |key: &Value, body: Value| {
        let made = acme.post(&format!("/v1/keys/{}/rotate", id(key)), &body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let made = made.json();
        let caller = acme.with_key(made["key"].as_str().unwrap());
        (made, caller)
    };
    let (second, by_second) = rotate(&old, json!({})).await;
    for name in ["name", "role", "scopes", "budget", "expires"] {
        assert_eq!(second[name], old[name], "{name}");
    }
    assert_ne!((&second["id"], &second["key"]), (&old["id"], &old["key"]));
    by_old.chat(&hello()).await;
    by_second.chat(&hello()).await;
    let ends = list(&acme, "").await.iter().find(|key| key["id"] == old["id"]).unwrap()["expires"]
        .as_u64()
        .unwrap();
    assert!(
        (now() + 86_300..=now() + 86_400).contains(&ends),
        "a day if nothing is said: {ends}"
    );

    let (third, by_third) = rotate(&second, json!({"overlap_seconds": 0})).await;
    assert_opens_nothing(&by_second).await;
    by_third.chat(&hello()).await;

    let (_, by_fourth) = rotate(&third, json!({"overlap_seconds": 2})).await;
    by_third.get("/v1/models").await.ok();
    let begun = Instant::now();
    while by_third.get("/v1/models").await.status.is_success() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the overlap is never over");
        sleep(Duration::from_millis(100)).await;
    }
    assert_opens_nothing(&by_third).await;
    by_fourth.chat(&hello()).await;

    // An overlap gives no key a longer life than it had.
    let (short, _) = make(&acme, json!({"name": "short", "expires": now() + 100})).await;
    rotate(&short, json!({"overlap_seconds": 5000})).await;
    let ends = list(&acme, "")
        .await
        .iter()
        .find(|key| key["id"] == short["id"])
        .unwrap()["expires"]
        .clone();
    assert_eq!(ends, short["expires"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_rotates_a_key_to_which_the_operator_gave_a_webhook() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let budget = json!({"total_tokens": 1_000_000, "webhook": "http://127.0.0.1:9/secret-path", "thresholds": [100]});
    let body = json!({"name": "told", "budget": budget});
    let made = host.operator.post("/operator/v1/tenants/acme/keys", &body).await.ok();
    let rotated = acme.post(&format!("/v1/keys/{}/rotate", id(&made)), &json!({})).await;
    assert_eq!(rotated.status, 201, "{}", rotated.body);
    let keys = host.operator.get("/operator/v1/tenants/acme/keys").await.ok();
    let told = keys["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|key| key["budget"] == made["budget"]);
    assert_eq!(told.count(), 2, "{keys}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_goes_on_with_what_was_spent_of_its_budget() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let chat = hello().with("max_tokens", 2);
    let (made, caller) = make(&acme, json!({"name": "job", "budget": {"total_tokens": 1_000_000}})).await;
    caller.chat(&chat).await;
    let entries = host.entries_when("acme", 1).await;
    let tokens = |name: &str| entries[0][name].as_u64().unwrap();
    let spent = tokens("prompt_tokens") + tokens("completion_tokens") + tokens("embedded_tokens");
    // Enough for a chat before and one after the rotation, and not for a third one.
    let path = format!("/v1/keys/{}", id(&made));
    acme.patch(&path, &json!({"budget": {"total_tokens": 3 * spent - 1}}))
        .await
        .ok();
    let rotated = acme
        .post(&format!("{path}/rotate"), &json!({"overlap_seconds": 600}))
        .await;
    assert_eq!(rotated.status, 201, "{}", rotated.body);
    let rotated = rotated.json();
    let twice = acme
        .post(&format!("/v1/keys/{}/rotate", id(&rotated)), &json!({}))
        .await;
    assert_eq!(twice.status, 201, "{}", twice.body);
    let key = twice.json()["key"].as_str().unwrap().to_owned();
    host.caller(&key).chat(&chat).await;
    for caller in [caller, host.caller(&key)] {
        caller.try_chat(&chat).await.refused(429, "insufficient_quota");
    }
    // Also from what the ledger has.
    let host = host.restart().await;
    host.caller(&key)
        .try_chat(&chat)
        .await
        .refused(429, "insufficient_quota");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_refused_from_its_expiry_on() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let (made, caller) = make(&acme, json!({"name": "brief", "expires": now() + 2})).await;
    caller.get("/v1/models").await.ok();
    let ends = made["expires"].as_u64().unwrap();
    while now() < ends {
        sleep(Duration::from_millis(50)).await;
    }
    assert_opens_nothing(&caller).await;
    // An admin can extend a key that has expired.
    acme.patch(&format!("/v1/keys/{}", id(&made)), &json!({"expires": now() + 600}))
        .await
        .ok();
    caller.get("/v1/models").await.ok();
}

/// One answer on a connection that stays open: its status.
async fn ask(socket: &mut TcpStream, address: &str, key: &str) -> u16 {
    let head = format!("GET /v1/models HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    loop {
        let mut more = [0; 4096];
        let count = socket.read(&mut more).await.unwrap();
        assert!(count > 0, "the connection was closed");
        read.extend_from_slice(&more[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        if body.len() >= length.unwrap().parse::<usize>().unwrap() {
            return head.split(' ').nth(1).unwrap().parse().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_on_an_open_connections_next_request() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let url = host.url();
    let address = url.strip_prefix("http://").unwrap();
    let (made, _) = make(&acme, json!({"name": "job"})).await;
    let key = made["key"].as_str().unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    assert_eq!(ask(&mut socket, address, key).await, 200);
    assert_eq!(ask(&mut socket, address, key).await, 200);
    acme.delete(&format!("/v1/keys/{}", id(&made))).await.ok();
    assert_eq!(ask(&mut socket, address, key).await, 401);
    // The connection is not the key: another one is served on it.
    assert_eq!(ask(&mut socket, address, &acme.key).await, 200);
    host.operator.delete("/operator/v1/tenants/acme").await.ok();
    assert_eq!(ask(&mut socket, address, &acme.key).await, 401);
}
