//! Documents as files, which no browser takes for pages of the server.

use super::reader::{Page, Reader};
use reqwest::{Method, header};
use riad_end_to_end::{Tenant, TestHost};
use serde_json::{Value, json};

const FILE: &str =
    "<!doctype html><title>Prices</title><p>The Kestrel drill costs 89 euros.</p><script>hacked()</script>";

/// By the page's script, under a name that is code. Returns the page's path, and the original's id.
async fn upload(tenant: &Tenant, reader: &Reader) -> (String, String) {
    let part = "content-disposition: form-data; name=\"file\"; filename=\"<b>list.html\"\r\ncontent-type: text/html";
    let body = format!("--XX\r\n{part}\r\n\r\n{FILE}\r\n--XX--\r\n");
    let path = "/console/api/v1/documents";
    let added = reader
        .send(Method::POST, path, "multipart/form-data; boundary=XX", body)
        .await;
    assert!(added.status.is_success(), "{}", added.html);
    let list = tenant.get("/v1/documents").await.ok();
    let document = &list["data"][0];
    let text = |member: &str| document[member].as_str().unwrap_or_else(|| panic!("{list}")).to_owned();
    (format!("/console/documents/{}", text("id")), text("file"))
}

fn check_attachment(page: &Page, content_type: &str) {
    let header = |name: header::HeaderName| page.headers[name].to_str().unwrap();
    assert_eq!(header(header::CONTENT_TYPE), content_type);
    assert_eq!(header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    assert_eq!(header(header::CACHE_CONTROL), "no-store");
    let disposition = header(header::CONTENT_DISPOSITION);
    assert!(
        disposition.starts_with("attachment; ") && !disposition.contains('<'),
        "{disposition}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_downloaded_as_sent_and_as_read() {
    let host = TestHost::start().await;
    let (acme, globex) = (host.tenant("acme").await, host.tenant("globex").await);
    let mut reader = Reader::sign_in(&host, &acme.key).await;
    reader.get("/console/documents").await.ok();
    let (document, file) = upload(&acme, &reader).await;
    let (original, text) = (format!("{document}/original"), format!("{document}/text"));
    let page = reader.get(&document).await.ok();
    for path in [&original, &text] {
        assert!(page.html.contains(&format!("href=\"{path}\"")), "{path}: {}", page.html);
    }
    let sent = reader.get(&original).await.ok();
    assert_eq!(sent.html, FILE);
    check_attachment(&sent, "application/octet-stream");
    let read = reader.get(&text).await.ok();
    assert!(
        read.html.contains("The Kestrel drill costs 89 euros.") && !read.html.contains("<p>"),
        "{}",
        read.html
    );
    check_attachment(&read, "text/plain; charset=utf-8");

    // Whoever may read documents may have them, and nobody else.
    let key = json!({"name": "reader", "role": "read-only"});
    let key = acme.post("/v1/keys", &key).await.ok();
    let mut second = Reader::sign_in(&host, key["key"].as_str().unwrap()).await;
    let mut other = Reader::sign_in(&host, &globex.key).await;
    let mut operator = Reader::sign_in(&host, "riad_op_end_to_end_tests").await;
    let mut stranger = Reader::stranger(&host);
    for path in [&original, &text] {
        second.get(path).await.ok();
        let missing = other.get(path).await.refused(404);
        assert!(
            !missing.html.contains("Kestrel") && !missing.html.contains("acme"),
            "{}",
            missing.html
        );
        operator.get(path).await.refused(404);
        assert!(stranger.get(path).await.is_sign_in(), "{path}");
    }

    acme.delete(&format!("/v1/files/{file}")).await.ok();
    reader.get(&original).await.refused(404);
    reader.get(&text).await.ok();
    assert!(!reader.get(&document).await.ok().html.contains("Download the original"));
    acme.delete(&document.replace("/console", "/v1")).await.ok();
    reader.get(&text).await.refused(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_text_is_downloaded_whole() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    // Pieces end between the bytes of a letter.
    let text = "Die Gewährleistung der Säge beträgt 37 Monate. ".repeat(2_000);
    let document = acme.add_document("Säge", &text).await;
    let mut reader = Reader::sign_in(&host, &acme.key).await;
    let read = reader.get(&format!("/console/documents/{document}/text")).await.ok();
    assert!(read.html == text, "{} of {} bytes", read.html.len(), text.len());
    let missing = reader
        .get(&format!("/console/documents/{document}/original"))
        .await
        .refused(404);
    assert!(missing.html.contains("its text is"), "{}", missing.html);
    let listed: Value = acme.get("/v1/documents").await.ok();
    assert_eq!(listed["data"][0]["bytes"], text.len(), "{listed}");
}
