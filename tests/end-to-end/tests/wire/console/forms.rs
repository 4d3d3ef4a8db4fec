//! Forms belong to their session, and a key does by them what it may do.

use super::reader::{Reader, TENANT_PAGES};
use reqwest::{Method, StatusCode};
use riad_end_to_end::TestHost;
use serde_json::json;

/// Every route that changes something for a tenant, with what stands for ids.
const CHANGES: [&str; 19] = [
    "/console/sign-out",
    "/console/documents",
    "/console/documents/doc_1/delete",
    "/console/playground",
    "/console/playground/stream",
    "/console/plugins/stages",
    "/console/plugins/canary",
    "/console/plugins/canary/end",
    "/console/plugins/canary/promote",
    "/console/plugins/settings",
    "/console/plugins/settings/raw",
    "/console/plugins/of/desk/sha256:00/use",
    "/console/plugins/of/desk/sha256:00/delete",
    "/console/adapters/style/rollback",
    "/console/adapters/style/pin",
    "/console/adapters/style/delete",
    "/console/keys",
    "/console/keys/key_1/rotate",
    "/console/receipts/verify",
];
const OPERATOR_CHANGES: [&str; 7] = [
    "/console/tenants",
    "/console/tenants/acme",
    "/console/tenants/acme/delete",
    "/console/tenants/acme/keys",
    "/console/tenants/acme/keys/key_1/revoke",
    "/console/ledger",
    "/console/plans",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_its_own_token_changes_nothing() {
    let host = TestHost::start().await;
    let (acme, globex) = (host.tenant("acme").await, host.tenant("globex").await);
    let mut reader = Reader::sign_in(&host, &acme.key).await;
    let mut neighbor = Reader::sign_in(&host, &globex.key).await;
    let mut operator = Reader::sign_in(&host, "riad_op_end_to_end_tests").await;
    reader.get("/console/documents").await.ok();
    neighbor.get("/console/documents").await.ok();
    operator.get("/console/tenants").await.ok();
    let fields = [
        ("title", "x"),
        ("text", "y"),
        ("format", "text"),
        ("question", "Who?"),
        ("id", "intruder"),
        ("name", "x"),
        ("confirm", "acme"),
        ("role", "admin"),
        ("settings", "{}"),
        ("jws", "x"),
    ];
    let own = reader.token.clone();
    for token in ["", "x", neighbor.token.as_str(), operator.token.as_str()] {
        for path in CHANGES {
            reader.post_with(path, token, &fields).await.refused(403);
        }
    }
    for token in ["", own.as_str()] {
        for path in OPERATOR_CHANGES {
            operator.post_with(path, token, &fields).await.refused(403);
        }
    }
    let upload = json!({"title": "x", "text": "y"}).to_string();
    reader.token = neighbor.token.clone();
    for (method, path) in [
        (Method::POST, "/console/api/v1/documents"),
        (Method::PUT, "/console/api/v1/plugins/desk"),
        (Method::PUT, "/console/api/v1/adapters/style"),
    ] {
        reader
            .send(method, path, "application/json", upload.clone())
            .await
            .refused(403);
    }
    // A form that says that it is something else, as a page of another site can send it.
    let request = reader
        .request(Method::POST, "/console/documents")
        .body("csrf=x&title=x&text=y");
    let refused = super::reader::Page::read(request.header("content-type", "text/plain")).await;
    assert!(refused.status.is_client_error(), "{}", refused.status);

    assert_eq!(acme.get("/v1/documents").await.ok()["data"], json!([]));
    assert_eq!(acme.get("/v1/keys").await.ok()["data"].as_array().unwrap().len(), 1);
    host.operator
        .get("/operator/v1/tenants/intruder")
        .await
        .refused(404, "not_found");
    reader.get("/console/documents").await.ok();
    assert_eq!(reader.token, own, "the session goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_too_long_is_refused() {
    let host = TestHost::builder()
        .limits(|limits| limits.request_bytes = 1 << 20)
        .start()
        .await;
    let acme = host.tenant("acme").await;
    let mut reader = Reader::sign_in(&host, &acme.key).await;
    reader.get("/console/documents").await.ok();
    let long = "a".repeat(2 << 20);
    let fields = [("title", "x"), ("text", long.as_str()), ("format", "text")];
    reader.post("/console/documents", &fields).await.refused(413);
    let stranger = Reader::stranger(&host);
    stranger.try_key(&long).await.refused(413);
    reader.get("/console/documents").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_reads_sees_no_forms_and_changes_nothing() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let document = acme.add_document("Lamps", "A lamp costs five euros.").await;
    let mut admin = Reader::sign_in(&host, &acme.key).await;
    admin.get("/console/keys").await.ok();
    let scopes = ["chat", "documents", "usage", "plugins", "adapters"].map(|scope| format!("scope.{scope}"));
    let mut fields = vec![("name", "reader"), ("role", "read-only")];
    fields.extend(scopes.iter().map(|scope| (scope.as_str(), "on")));
    let made = admin.post("/console/keys", &fields).await.taken();
    let key = admin.get(&made).await.ok().new_key();
    let list = admin.get("/console/keys").await.ok();
    assert!(!list.html.contains(&key), "a key is shown once");

    let mut reader = Reader::sign_in(&host, &key).await;
    for path in TENANT_PAGES.iter().filter(|path| **path != "/console/keys") {
        let page = reader.get(path).await.ok();
        let main = page.between("<main", "</main>").concat();
        assert_eq!(main.matches("method=\"post\"").count(), 0, "{path}: {main}");
    }
    reader.get("/console/keys").await.refused(403);
    let text = [("title", "x"), ("text", "y"), ("format", "text")];
    reader.post("/console/documents", &text).await.refused(403);
    reader
        .post(&format!("/console/documents/{document}/delete"), &[])
        .await
        .refused(403);
    reader
        .post("/console/plugins/stages", &[("retrieval", "standard")])
        .await
        .refused(403);
    reader
        .post("/console/plugins/settings/raw", &[("settings", "{}")])
        .await
        .refused(403);
    reader.post("/console/keys", &fields).await.refused(403);
    let ask = [("question", "Who?"), ("model", riad_end_to_end::MODEL)];
    reader.post("/console/playground", &ask).await.refused(403);
    assert_eq!(
        acme.get("/v1/documents").await.ok()["data"].as_array().unwrap().len(),
        1
    );

    // Another role: a user asks and adds, and makes no keys.
    admin.get("/console/keys").await.ok();
    fields[1].1 = "user";
    let made = admin.post("/console/keys", &fields).await.taken();
    let user = admin.get(&made).await.ok().new_key();
    let mut user = Reader::sign_in(&host, &user).await;
    user.get("/console/documents").await.ok();
    user.post("/console/documents", &text).await.taken();
    user.get("/console/keys").await.refused(403);

    let id = acme.get("/v1/keys").await.ok();
    let of_reader = id["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["name"] == "reader");
    let id = of_reader.unwrap()["id"].as_str().unwrap();
    admin.get("/console/keys").await.ok();
    let rotated = admin
        .post(&format!("/console/keys/{id}/rotate"), &[("hours", "1")])
        .await
        .taken();
    assert_ne!(admin.get(&rotated).await.ok().new_key(), key);
    admin.post(&format!("/console/keys/{id}/revoke"), &[]).await.taken();
    let ended = reader.get("/console/documents").await;
    assert_eq!(ended.status, StatusCode::SEE_OTHER);
    assert!(ended.is_sign_in());
}
