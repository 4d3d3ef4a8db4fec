//! Tokens of an identity provider in the place of keys.

use super::{assert_opens_nothing, hello, issuer::Issuer, now};
use riad_end_to_end::TestHost;
use serde_json::{Value, json};

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_opens_its_tenant_and_nothing_else() {
    let issuer = Issuer::new();
    let host = issuer.trusted(&["acme", "globex"]).start().await;
    let (acme, globex) = host.neighbors().await;
    let ada = host.caller(&issuer.token(&Issuer::claims("acme", "user")));
    let answer = ada.chat(&hello()).await;
    assert_eq!(answer["riad"]["receipt"]["tenant"], "acme");
    let entries = host.entries("acme").await;
    let by = entries.last().unwrap()["api_key_id"].as_str().unwrap();
    assert!(by.starts_with("jwt_"), "{by}");
    assert!(!by.contains("ada"), "the subject is not written down: {by}");

    // Another tenant's documents are not there.
    let theirs = globex.get("/v1/documents?limit=1").await.text("/data/0/id");
    ada.get(&format!("/v1/documents/{theirs}"))
        .await
        .refused(404, "not_found");
    ada.delete(&format!("/v1/documents/{theirs}"))
        .await
        .refused(404, "not_found");
    let own = acme.get("/v1/documents?limit=1").await.text("/data/0/id");
    ada.get(&format!("/v1/documents/{own}")).await.ok();
    let found = ada.post("/v1/search", &json!({"query": "Meridian contract"})).await;
    assert!(!found.body.contains("Meridian"), "{}", found.body);

    // The role is the token's.
    ada.put("/v1/settings", &json!({"color": "red"}))
        .await
        .refused(403, "insufficient_permissions");
    ada.get("/v1/keys").await.refused(403, "insufficient_permissions");
    let reader = host.caller(&issuer.token(&Issuer::claims("acme", "read-only")));
    reader.try_chat(&hello()).await.refused(403, "insufficient_permissions");
    reader.get("/v1/documents").await.ok();
    let admin = host.caller(&issuer.token(&Issuer::claims("acme", "admin")));
    admin.put("/v1/settings", &json!({"color": "red"})).await.ok();
    let audit = admin.get("/v1/audit?action=settings").await.ok();
    assert_eq!(
        audit["data"][0]["actor"], by,
        "the same subject is the same actor: {audit}"
    );
    // So are the scopes: a token with unknown scopes only permits nothing.
    for (scope, chats) in [
        (json!("openid chat"), true),
        (json!(["documents"]), false),
        (json!("openid"), false),
    ] {
        let claims = with(Issuer::claims("acme", "admin"), "scope", scope);
        let answer = host.caller(&issuer.token(&claims)).try_chat(&hello()).await;
        assert_eq!(answer.status.as_u16(), if chats { 200 } else { 403 }, "{}", answer.body);
    }

    // No token is the operator's, whatever it says.
    for role in ["admin", "user"] {
        let caller = host.caller(&issuer.token(&Issuer::claims("acme", role)));
        for path in [
            "/operator/v1/tenants",
            "/operator/v1/usage?start_time=1",
            "/operator/v1/audit",
            "/metrics",
        ] {
            caller.get(path).await.refused(401, "invalid_api_key");
        }
    }
    // Keys go on beside it, and it outlives a restart.
    acme.chat(&hello()).await;
    let host = host.restart().await;
    host.caller(&issuer.token(&Issuer::claims("acme", "user")))
        .chat(&hello())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_token_that_is_not_good_opens_nothing() {
    let (issuer, forger) = (Issuer::new(), Issuer::new());
    let host = issuer.trusted(&["acme", "nobody"]).start().await;
    host.tenant("acme").await;
    host.tenant("other").await;
    let created = host.operator.get("/operator/v1/tenants/acme").await.ok()["created"]
        .as_u64()
        .unwrap();
    let good = Issuer::claims("acme", "user");
    host.caller(&issuer.token(&good)).chat(&hello()).await;

    let changed = |name: &str, value: Value| issuer.token(&with(good.clone(), name, value));
    let mut altered = issuer.token(&good);
    let claims = altered.split('.').nth(1).unwrap().to_owned();
    let theirs = issuer.token(&Issuer::claims("other", "admin"));
    altered = altered.replace(&claims, theirs.split('.').nth(1).unwrap());
    let bad = [
        ("issuer", changed("iss", json!("https://evil.example"))),
        ("audience", changed("aud", json!("somebody-else"))),
        ("no audience", changed("aud", Value::Null)),
        ("expired", changed("exp", json!(now() - 3600))),
        ("no end", changed("exp", Value::Null)),
        ("not yet", changed("nbf", json!(now() + 3600))),
        ("from the future", changed("iat", json!(now() + 3600))),
        ("older than the tenant", changed("iat", json!(created - 1))),
        (
            "a tenant that the issuer may not speak for",
            changed("tenant", json!("other")),
        ),
        ("a tenant that does not exist", changed("tenant", json!("nobody"))),
        ("two tenants", changed("tenant", json!(["acme", "other"]))),
        ("a role of its own", changed("role", json!("operator"))),
        ("no role", changed("role", Value::Null)),
        ("another key's signature", forger.token(&good)),
        ("claims of another token", altered),
        (
            "no signature",
            issuer.token(&good).rsplit_once('.').unwrap().0.to_owned() + ".",
        ),
        ("algorithm none", Issuer::unsigned(&good)),
        ("the public key as a secret", issuer.confused(&good)),
        ("nothing in it", "..".to_owned()),
    ];
    for (what, token) in bad {
        let answer = host.caller(&token).try_chat(&hello()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (401, "invalid_api_key"),
            "{what}: {}",
            answer.body
        );
        for part in token.split('.').filter(|part| part.len() > 8) {
            assert!(
                !answer.body.contains(part),
                "{what}: the answer has a part of the token in it"
            );
        }
        let answer = host.caller(&token).get("/v1/documents").await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.body);
    }
    assert_eq!(host.entries("acme").await.len(), 1, "only the good one was served");
    assert_eq!(host.entries("other").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_provider_no_token_opens_anything() {
    let issuer = Issuer::new();
    let host = TestHost::builder().max_sequences(1).start().await;
    host.tenant("acme").await;
    for token in [
        issuer.token(&Issuer::claims("acme", "admin")),
        Issuer::unsigned(&Issuer::claims("acme", "admin")),
    ] {
        assert_opens_nothing(&host.caller(&token)).await;
    }
}
