//! Sessions: who may begin one, which pages it opens, and when it ends.

use super::reader::{OPERATOR_PAGES, Page, Reader, TENANT_PAGES, with_form};
use reqwest::{Method, StatusCode, header};
use riad_end_to_end::{TestHost, files};
use serde_json::json;

const OPERATOR_KEY: &str = "riad_op_end_to_end_tests";

#[tokio::test(flavor = "multi_thread")]
async fn a_session_begins_with_a_key_and_ends_with_it() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let mut stranger = Reader::stranger(&host);
    for path in TENANT_PAGES.iter().chain(&OPERATOR_PAGES).chain(&["/console"]) {
        let page = stranger.get(path).await;
        // A script is told so.
        match path.ends_with("/stream") {
            true => assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{path}"),
            false => assert!(page.is_sign_in(), "{path}"),
        }
    }
    stranger.cookie = "riad_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned();
    assert!(stranger.get("/console/documents").await.is_sign_in());
    assert!(stranger.post("/console/documents", &[]).await.is_sign_in());
    for wrong in ["", "riad_sk_made_up", &acme.key_id, &format!("{}x", acme.key)] {
        let refused = stranger.try_key(wrong).await.refused(401);
        assert!(wrong.is_empty() || !refused.html.contains(wrong), "a key is shown");
        assert!(!refused.headers.contains_key(header::SET_COOKIE));
    }

    let signed = stranger.try_key(&acme.key).await;
    let cookie = signed.headers[header::SET_COOKIE].to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/console"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains(&acme.key), "{cookie}");
    // As behind a proxy that ends TLS, and from a page of another site.
    let authority = host.url().replace("http://", "");
    for (origin, expected) in [
        (format!("https://{authority}"), Some("; Secure")),
        (format!("http://{authority}"), None),
        ("https://evil.example".to_owned(), None),
        ("null".to_owned(), None),
    ] {
        let form = stranger
            .request(Method::POST, "/console/sign-in")
            .header(header::ORIGIN, &origin);
        let page = Page::read(with_form(form, &[("key", &acme.key)])).await;
        match page.headers.get(header::SET_COOKIE) {
            Some(cookie) => {
                assert!(origin.contains(&authority), "{origin}");
                assert_eq!(cookie.to_str().unwrap().contains("; Secure"), expected.is_some());
            }
            None => assert_eq!(page.status, StatusCode::FORBIDDEN, "{origin}"),
        }
    }

    let mut reader = Reader::sign_in(&host, &acme.key).await;
    let before = reader.cookie.clone();
    reader.post("/console/sign-out", &[]).await.taken();
    reader.cookie = before;
    assert!(reader.get("/console/documents").await.is_sign_in());

    let made = host
        .operator
        .post("/operator/v1/tenants/acme/keys", &json!({"name": "second"}))
        .await
        .ok();
    let mut second = Reader::sign_in(&host, made["key"].as_str().unwrap()).await;
    let id = made["id"].as_str().unwrap();
    host.operator
        .delete(&format!("/operator/v1/tenants/acme/keys/{id}"))
        .await
        .ok();
    assert!(second.get("/console/documents").await.is_sign_in());
    let mut reader = Reader::sign_in(&host, &acme.key).await;
    host.operator.delete("/operator/v1/tenants/acme").await.ok();
    assert!(reader.get("/console/documents").await.is_sign_in());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_no_session_of_another_key_of_its_account() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let mut admin = Reader::sign_in(&host, &acme.key).await;
    let made = json!({"name": "reader", "role": "read-only"});
    let made = acme.post("/v1/keys", &made).await.ok();
    let key = made["key"].as_str().unwrap();
    let mut first = Reader::sign_in(&host, key).await;
    for _ in 0..40 {
        Reader::sign_in(&host, key).await;
    }
    assert!(first.get("/console/documents").await.is_sign_in());
    admin.get("/console/documents").await.ok();
    // Two cookies of the name: one may be another host's.
    admin.cookie = format!("{}; {}", first.cookie, admin.cookie);
    assert!(admin.get("/console/documents").await.is_sign_in());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_told_in_json_what_is_wrong() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let mut reader = Reader::sign_in(&host, &acme.key).await;
    reader.get("/console/documents").await.ok();
    assert_eq!(reader.get("/console/").await.location(), "/console/playground");
    let (own, cookie) = (reader.token.clone(), reader.cookie.clone());
    reader.token = "made-up".to_owned();
    let form = [("question", "Who?"), ("model", riad_end_to_end::MODEL)];
    let wrong = reader.post("/console/playground/stream", &form).await.refused(403);
    assert!(
        wrong.html.contains("\"error\":{\"message\":\"the form does not belong"),
        "{}",
        wrong.html
    );
    reader.token = own;
    reader.post("/console/sign-out", &[]).await.taken();
    reader.cookie = cookie;
    for (method, path) in [
        (Method::PUT, "/console/api/v1/plugins/desk"),
        (Method::POST, "/console/api/v1/documents"),
        (Method::GET, "/console/plugins/logs/stream"),
        (Method::GET, "/console/overview/stream"),
    ] {
        let ended = reader.send(method, path, "application/json", "{}").await.refused(401);
        assert!(ended.html.contains("sign in again"), "{path}: {}", ended.html);
        assert_eq!(ended.headers[header::CONTENT_TYPE], "application/json", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_others_do_not_exist() {
    let host = TestHost::start().await;
    let (acme, globex) = (host.tenant("acme").await, host.tenant("globex").await);
    let document = acme.add_document("Canary", "A zorblax is what only acme knows.").await;
    let document = format!("/console/documents/{document}");
    let version = files::digest(files::PRICE_DESK);
    let mut own = Reader::sign_in(&host, &acme.key).await;
    own.send(
        Method::PUT,
        "/console/api/v1/plugins/desk",
        "application/wasm",
        files::PRICE_DESK,
    )
    .await
    .refused(201);
    own.get(&document).await.ok();
    own.get("/console/plugins/of/desk").await.ok();

    let mut other = Reader::sign_in(&host, &globex.key).await;
    for path in [
        document.as_str(),
        "/console/plugins/of/desk",
        "/console/adapters/style",
        "/console/nothing",
        "/console/tenants/acme",
        "/console/tenants/globex",
        "/console/api/v1/documents",
        "/console/api/v1/keys",
        "/console/api/operator/v1/tenants",
        "/console/api/../operator/v1/tenants",
        "/console/api//v1/usage",
    ] {
        other.get(path).await.refused(404);
    }
    // The way back is there, and nothing of who has what.
    let missing = other.get(&document).await.refused(404);
    assert!(missing.html.contains("href=\"/console/documents\"") && missing.html.contains("globex"));
    assert!(
        !missing.html.contains("acme") && !missing.html.contains("Canary"),
        "{}",
        missing.html
    );
    for path in OPERATOR_PAGES {
        other.get(path).await.refused(404);
    }
    let deleted = other.post(&format!("{document}/delete"), &[]).await;
    assert!(!deleted.refused(404).html.contains("Canary"));
    other
        .post(&format!("/console/plugins/of/desk/{version}/use"), &[])
        .await
        .refused(404);
    other
        .post("/console/tenants/acme/delete", &[("confirm", "acme")])
        .await
        .refused(404);
    other
        .post(&format!("/console/keys/{}/revoke", acme.key_id), &[])
        .await
        .refused(404);
    let found = other.get("/console/documents/search?q=zorblax").await.ok();
    assert!(!found.html.contains("only acme knows"));

    let mut operator = Reader::sign_in(&host, OPERATOR_KEY).await;
    for path in TENANT_PAGES.iter().chain(&[document.as_str()]) {
        operator.get(path).await.refused(404);
    }
    own.get(&document).await.ok();
}
