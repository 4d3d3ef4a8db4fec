//! Files as editors of all systems save them.

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use riad_end_to_end::{Answer, Tenant, TestHost};
use serde_json::json;

const PATH: &str = "/v1/documents";
const TEXT: &str = "Zürich hat Öfen.\nSie sind warm.\n";

async fn upload(tenant: &Tenant, name: &str, bytes: Vec<u8>) -> Answer {
    let form = Form::new().part("file", Part::bytes(bytes).file_name(name.to_owned()));
    tenant.send(tenant.request(Method::POST, PATH).multipart(form)).await
}

async fn text(tenant: &Tenant, made: &Answer) -> String {
    let id = made.clone().ok()["id"].as_str().unwrap().to_owned();
    tenant.get(&format!("{PATH}/{id}")).await.text("/text")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_kept_the_same_however_it_is_encoded() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let lines = TEXT.replace('\n', "\r\n");
    let units = |bytes: fn(u16) -> [u8; 2]| lines.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let (little, big) = (units(u16::to_le_bytes), units(u16::to_be_bytes));
    for bytes in [
        TEXT.into(),
        lines.clone().into_bytes(),
        format!("\u{FEFF}{lines}").into_bytes(),
        TEXT.replace('\n', "\r").into_bytes(),
        [&[0xff, 0xfe][..], &little].concat(),
        [&[0xfe, 0xff][..], &big].concat(),
        little,
        big,
    ] {
        let made = upload(&tenant, "warm.txt", bytes.clone()).await;
        assert_eq!(text(&tenant, &made).await, TEXT.trim_end(), "{bytes:x?}");
    }
    let body = json!({"title": "\u{FEFF}Warm", "text": format!("\u{FEFF}{lines}")});
    let made = tenant.post(PATH, &body).await;
    assert_eq!(
        (made.text("/title").as_str(), text(&tenant, &made).await.as_str()),
        ("Warm", TEXT)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_files_name_may_have_any_letters() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    // With letters beyond ASCII this client sends `filename*` alone.
    let made = upload(&tenant, "Öfen in Zürich.txt", TEXT.into()).await;
    assert_eq!(made.text("/title"), "Öfen in Zürich");
    for (disposition, title) in [
        ("filename=\"plain.txt\"; filename*=UTF-8''%C3%96fen.txt", "Öfen"),
        ("filename*=utf-8'de'%C3%96fen.md; filename=\"plain.txt\"", "Öfen"),
        ("filename*=iso-8859-1''%D6fen.txt", "Öfen"),
        ("filename=\"C:\\\\Texte\\\\Notes.txt\"", "Notes"),
        ("filename=\"../notes/Notes.md\"", "Notes"),
    ] {
        let body =
            format!("--b\r\nContent-Disposition: form-data; name=\"file\"; {disposition}\r\n\r\n{TEXT}\r\n--b--\r\n");
        let request = tenant
            .request(Method::POST, PATH)
            .header("content-type", "multipart/form-data; boundary=b");
        let made = tenant.send(request.body(body)).await;
        assert_eq!(made.clone().ok()["title"], title, "{disposition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_has_no_text_says_why() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    for (name, bytes, status, code) in [
        ("photo.png", png.clone(), 415, "unsupported_file"),
        ("report.txt", png, 415, "unsupported_file"),
        (
            "report.pdf",
            b"%PDF-1.7\n\xe2\xe3\xcf\xd3".to_vec(),
            422,
            "malformed_file",
        ),
        ("report.docx", b"PK\x03\x04\x14\0\x06\0".to_vec(), 422, "malformed_file"),
        ("empty.md", b" \n".to_vec(), 422, "no_text"),
    ] {
        let refused = upload(&tenant, name, bytes).await;
        let param = refused.text("/error/param");
        assert_eq!(
            (refused.status.as_u16(), param.as_str()),
            (status, "file"),
            "{name}: {}",
            refused.message()
        );
        assert_eq!(refused.text("/error/code"), code, "{name}: {}", refused.message());
    }
    let refused = upload(&tenant, "none.pdf", Vec::new()).await;
    assert_eq!(
        (refused.status.as_u16(), refused.text("/error/param").as_str()),
        (400, "file")
    );
    let refused = tenant.post(PATH, &json!({"title": "Zeros", "text": "a\u{0}b"})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.text("/error/param").as_str()),
        (400, "text")
    );
    assert_eq!(tenant.get(PATH).await.ok()["data"], json!([]));
}
