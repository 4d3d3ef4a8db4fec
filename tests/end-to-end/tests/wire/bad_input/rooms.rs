//! Documents, search and settings.

use super::case::{Body, Case, check_all};
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use riad_end_to_end::TestHost;
use serde_json::{Value, json};

const PATH: &str = "/v1/documents";

fn document(more: Value) -> Case {
    let mut body = json!({"title": "Title", "text": "Text."});
    for (name, value) in more.as_object().unwrap() {
        if value.is_null() {
            body.as_object_mut().unwrap().remove(name);
        } else {
            body[name] = value.clone();
        }
    }
    Case::post(PATH, body)
}

fn form(form: Form) -> Case {
    Case::new(Method::POST, PATH, Body::Form(form))
}

fn file(name: &str, text: &str) -> Form {
    Form::new().part("file", Part::bytes(text.as_bytes().to_vec()).file_name(name.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_cannot_be_kept_names_the_field() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    check_all(
        &tenant,
        vec![
            document(json!({"title": null})).param("title").says(&["missing"]),
            document(json!({"title": " "})).param("title").says(&["1 to 512"]),
            document(json!({"title": "a\nb"})).param("title").says(&["control"]),
            document(json!({"title": "x".repeat(513)}))
                .param("title")
                .says(&["512"]),
            document(json!({"text": null})).param("text").says(&["missing"]),
            document(json!({"text": " \n"})).param("text").says(&["text"]),
            document(json!({"text": 5})).param("text").says(&["string"]),
            document(json!({"metadata": "none"})).param("metadata").says(&["map"]),
            document(json!({"format": "pdf"})).param("format").says(&["markdown"]),
            document(json!({"body": "Text."}))
                .param("body")
                .says(&["unknown field"]),
            Case::new(Method::POST, PATH, Body::Raw("application/json", b"{".into())).says(&["EOF"]),
            Case::new(Method::POST, PATH, Body::Raw("text/plain", b"Text.".into())).says(&["application/json"]),
            form(file("a.txt", " "))
                .is(422, "no_text")
                .param("file")
                .says(&["no text"]),
            form(file("a.txt", "")).param("file").says(&["empty"]),
            form(Form::new().text("title", "T")).param("file").says(&["lacks file"]),
            form(file("a.txt", "Text.").text("author", "me"))
                .param("author")
                .says(&["file, title and metadata"]),
            form(file("a.txt", "Text.").text("title", "A").text("title", "B"))
                .param("title")
                .says(&["twice"]),
            form(file("a.txt", "Text.").text("metadata", "[1]"))
                .param("metadata")
                .says(&["JSON object"]),
            Case::new(Method::POST, PATH, Body::Raw("multipart/form-data", b"x".into())).says(&["boundary"]),
            Case::new(
                Method::POST,
                PATH,
                Body::Raw("multipart/form-data; boundary=b", b"--b\r\n".into()),
            )
            .says(&["cut off or malformed"]),
        ],
    )
    .await;
    assert_eq!(
        tenant.get(PATH).await.ok()["data"],
        json!([]),
        "something was kept all the same"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_and_searches_name_the_parameter() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let list = |query: &str| Case::get(&format!("{PATH}?{query}"));
    let search = |more: Value| {
        let mut body = json!({"query": "lamp"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Case::post("/v1/search", body)
    };
    check_all(
        &tenant,
        vec![
            list("limit=0").param("limit").says(&["1 to 100"]),
            list("limit=101").param("limit").says(&["1 to 100"]),
            list("limit=many").param("limit").says(&["limit"]),
            list("after=A%20B").param("after").says(&["document id"]),
            list("tenant=globex").param("tenant").says(&["tenant"]),
            search(json!({"query": " "})).param("query").says(&["text"]),
            search(json!({"query": 5})).param("query"),
            search(json!({"limit": 0})).param("limit").says(&["1 to 100"]),
            search(json!({"limit": 101})).param("limit").says(&["1 to 100"]),
            search(json!({"filter": ["a"]})).param("filter"),
            search(json!({"top_k": 3})).param("top_k").says(&["unknown field"]),
            Case::post("/v1/search", json!({})).param("query").says(&["missing"]),
            Case::put("/v1/settings", json!([1])),
            Case::put("/v1/settings", json!("text")),
            Case::new(
                Method::PUT,
                "/v1/settings",
                Body::Raw("application/json", b"{\"a\"}".into()),
            ),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_document_is_not_there_and_stays() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let (acme, globex) = host.neighbors().await;
    let id = acme.add_document("Secret", "The zebrafish sleeps.").await;
    let path = format!("{PATH}/{id}");
    let absent = |case: Case| case.is(404, "not_found").says(&[&id]);
    absent(Case::get(&path)).check(&globex).await;
    absent(Case::delete(&path)).check(&globex).await;
    for never in ["no-such-id", "..", "%2e%2e%2f", "a%20b", "%00"] {
        Case::get(&format!("{PATH}/{never}"))
            .is(404, "not_found")
            .check(&globex)
            .await;
    }
    assert_eq!(acme.get(&path).await.ok()["text"], "The zebrafish sleeps.");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_with_the_size() {
    let host = TestHost::builder()
        .max_sequences(1)
        .limits(|limits| {
            limits.request_bytes = 2048;
            limits.document_bytes = 4096;
            limits.file_bytes = 8192;
            limits.settings_bytes = 512;
        })
        .start()
        .await;
    let tenant = host.tenant("acme").await;
    let too_large = |case: Case| case.is(413, "too_large");
    let text = |bytes: usize| json!({"title": "Long", "text": "lamp ".repeat(bytes / 5)});
    check_all(
        &tenant,
        vec![
            too_large(Case::post(PATH, text(4100)))
                .param("text")
                .says(&["4096", "4100", "split"]),
            too_large(form(file("long.txt", &"lamp ".repeat(820))))
                .param("file")
                .says(&["4096"]),
            too_large(form(file("long.txt", &"lamp ".repeat(1640))))
                .param("file")
                .says(&["8192", "8200", "split"]),
            // Larger than any encoding of the longest document: it is not even read to its end.
            too_large(Case::post(PATH, text(400_000))).says(&["larger"]),
            too_large(form(file("long.txt", &"lamp ".repeat(80_000)))).says(&["larger"]),
            too_large(Case::put("/v1/settings", json!({"a": "x".repeat(600)}))).says(&["512"]),
            too_large(Case::put("/v1/settings", json!({"a": "x".repeat(3000)}))).says(&["larger"]),
            too_large(Case::post("/v1/search", json!({"query": "x".repeat(3000)}))).says(&["larger"]),
        ],
    )
    .await;
    let chat = riad_end_to_end::Chat::new(&"lamp ".repeat(1000)).body(false);
    too_large(Case::post("/v1/chat/completions", chat))
        .says(&["larger"])
        .check(&tenant)
        .await;
    // Just as large as allowed is allowed.
    tenant.post(PATH, &text(4095)).await.ok();
}
