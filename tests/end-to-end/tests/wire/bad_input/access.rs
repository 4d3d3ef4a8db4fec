//! Keys, paths, methods, and the operator's endpoints.

use super::case::{Body, Case, check_all};
use reqwest::Method;
use riad_end_to_end::{Caller, TestHost};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_or_none_is_refused_before_anything_is_read() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let refused = |case: Case| case.is(401, "invalid_api_key");
    let paths = [
        "/v1/models",
        "/v1/documents",
        "/v1/plugins",
        "/v1/pipeline",
        "/v1/settings",
        "/v1/adapters",
        "/v1/logs",
    ];

    let nobody = tenant.with_key("");
    let stranger = tenant.with_key("riad_sk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let cut = tenant.with_key(&tenant.key[..tenant.key.len() - 1]);
    for path in paths {
        refused(Case::get(path))
            .says(&["Authorization: Bearer <key>"])
            .check(&nobody)
            .await;
        for caller in [&stranger, &cut, &host.operator] {
            refused(Case::get(path)).says(&["key"]).check(caller).await;
        }
    }
    // The key is checked before a malformed body is parsed.
    let broken = || {
        Case::new(
            Method::POST,
            "/v1/chat/completions",
            Body::Raw("application/json", b"{".into()),
        )
    };
    refused(broken()).check(&stranger).await;
    let answer = stranger.get("/v1/models").await;
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
    assert!(!answer.body.contains("riad_sk_"), "{}", answer.body);

    for case in [
        Case::get("/operator/v1/tenants"),
        Case::post("/operator/v1/tenants", json!({"id": "other", "name": "Other"})),
        Case::get("/operator/v1/tenants/acme"),
        Case::delete("/operator/v1/tenants/acme"),
        Case::get("/operator/v1/tenants/acme/keys"),
        Case::post("/operator/v1/tenants/acme/keys", json!({"name": "mine"})),
        Case::delete("/operator/v1/tenants/acme/keys/key_1"),
    ] {
        refused(case).check(&tenant).await;
    }
    assert!(tenant.get("/v1/models").await.status.is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_and_a_deleted_tenants_key_open_nothing() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let made = host
        .operator
        .post("/operator/v1/tenants/acme/keys", &json!({"name": "second"}))
        .await
        .ok();
    let second = tenant.with_key(made["key"].as_str().unwrap());
    assert!(second.get("/v1/models").await.status.is_success());
    let path = format!("/operator/v1/tenants/acme/keys/{}", made["id"].as_str().unwrap());
    host.operator.delete(&path).await.ok();
    let refused = |caller: &Caller| {
        let caller = caller.clone();
        async move { Case::get("/v1/models").is(401, "invalid_api_key").check(&caller).await }
    };
    refused(&second).await;
    assert!(tenant.get("/v1/models").await.status.is_success());

    tenant.add_document("Secret", "The zebrafish sleeps.").await;
    host.operator.delete("/operator/v1/tenants/acme").await.ok();
    refused(&tenant).await;
    // A tenant of the same name begins with an empty room.
    let successor = host.tenant("acme").await;
    assert!(successor.search(&json!({"query": "zebrafish"})).await.is_empty());
    refused(&tenant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_errors_name_the_field_or_object() {
    let host = TestHost::builder().max_sequences(1).start().await;
    host.tenant("acme").await;
    let tenant = |id: &str, name: &str| Case::post("/operator/v1/tenants", json!({"id": id, "name": name}));
    let absent = |case: Case| case.is(404, "not_found");
    check_all(
        &host.operator,
        vec![
            tenant("Acme", "Acme").param("id").says(&["a-z, 0-9"]),
            tenant("", "Acme").param("id").says(&["1 to 64"]),
            tenant("../acme", "Acme").param("id"),
            tenant("other", " ").param("name").says(&["1 to 128"]),
            tenant("acme", "Again").is(409, "conflict").param("id").says(&["acme"]),
            Case::post("/operator/v1/tenants", json!({"id": "b"}))
                .param("name")
                .says(&["missing"]),
            Case::post("/operator/v1/tenants", json!({"id": "b", "name": "B", "budget": 1})).param("budget"),
            absent(Case::get("/operator/v1/tenants/nobody")).says(&["nobody"]),
            absent(Case::get("/operator/v1/tenants/NOBODY")),
            absent(Case::delete("/operator/v1/tenants/nobody")),
            absent(Case::get("/operator/v1/tenants/nobody/keys")),
            absent(Case::post("/operator/v1/tenants/nobody/keys", json!({"name": "x"}))),
            absent(Case::delete("/operator/v1/tenants/acme/keys/key_1")),
            Case::post("/operator/v1/tenants/acme/keys", json!({"name": ""}))
                .param("name")
                .says(&["1 to 128"]),
            Case::post("/operator/v1/tenants/acme/keys", json!({}))
                .param("name")
                .says(&["missing"]),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_are_refused() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    for path in [
        "/",
        "/v1",
        "/v1/nothing",
        "/v2/models",
        "/v1/documents/a/b",
        "/v1/models/",
    ] {
        Case::get(path)
            .is(404, "not_found")
            .says(&["/openapi.json"])
            .check(&tenant)
            .await;
    }
    for (method, path) in [
        (Method::DELETE, "/v1/models"),
        (Method::GET, "/v1/chat/completions"),
        (Method::PATCH, "/v1/settings"),
        (Method::PUT, "/v1/documents"),
    ] {
        let case = Case::new(method, path, Body::None).is(405, "method_not_allowed");
        case.says(&["method"]).check(&tenant).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_after_its_body_learns_it_is_too_large() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let body = vec![b'x'; 40 << 20];
    let address = tenant.url().strip_prefix("http://").unwrap();
    for _ in 0..3 {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "PUT /v1/plugins/large HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            tenant.key,
            body.len()
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&body).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }
}
