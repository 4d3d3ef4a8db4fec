//! Documents that come as files: what is in them is found with its place, in the room that they were sent to and in no other.

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use riad_end_to_end::{Answer, Chat, Tenant, TestHost, files};
use serde_json::json;

const PATH: &str = "/v1/documents";
const MANUAL: &[u8] = include_bytes!("../../files/manual.pdf");
const DELIVERY: &[u8] = include_bytes!("../../files/delivery.docx");

async fn upload(tenant: &Tenant, name: &str, bytes: &[u8], fields: &[(&str, &str)]) -> Answer {
    let part = Part::bytes(bytes.to_vec()).file_name(name.to_owned());
    let form = fields
        .iter()
        .fold(Form::new().part("file", part), |form, (name, value)| {
            form.text((*name).to_owned(), (*value).to_owned())
        });
    tenant.send(tenant.request(Method::POST, PATH).multipart(form)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passage_of_a_file_has_its_heading_and_page() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let globex = host.tenant("globex").await;
    let manual = upload(&acme, "m-2026-final.pdf", MANUAL, &[]).await;
    assert_eq!(manual.status.as_u16(), 201, "{}", manual.body);
    let manual = manual.ok();
    assert_eq!(
        (&manual["title"], &manual["media_type"], &manual["metadata"]["author"]),
        (
            &json!("Service manual"),
            &json!("application/pdf"),
            &json!("Acme Tools")
        )
    );
    // Whatever the file is called, and with what the client says before what the file says.
    let delivery = upload(
        &acme,
        "terms.pdf",
        DELIVERY,
        &[("metadata", r#"{"author": "Sales", "year": 2026}"#)],
    );
    let delivery = delivery.await.ok();
    assert_eq!(delivery["title"], "Delivery terms");
    assert_eq!(delivery["metadata"]["author"], "Sales");
    assert!(delivery["media_type"].as_str().unwrap().contains("wordprocessingml"));

    let best = async |query: &str| {
        let found = acme.post("/v1/search", &json!({"query": query})).await.ok();
        found["data"][0].clone()
    };
    let warranty = best("Kestrel drill warranty").await;
    assert_eq!((&warranty["page"], &warranty["document"]), (&json!(2), &manual["id"]));
    assert!(warranty["text"].as_str().unwrap().contains("37 months"));
    let fees = best("fee furniture").await;
    assert_eq!(fees["page"], 1);
    assert!(fees["text"].as_str().unwrap().contains("12 euros"), "{fees}");
    let islands = best("parcels islands").await;
    assert_eq!(islands["heading"], json!(["Delivery", "Islands"]));
    assert_eq!(islands.get("page"), None, "a text document has no pages of its own");
    let text = acme
        .get(&format!("{PATH}/{}", delivery["id"].as_str().unwrap()))
        .await
        .text("/text");
    assert!(text.contains("## Islands\n\nParcels to islands"), "{text}");

    let answer = acme
        .chat(&Chat::new("How long is the warranty of the Kestrel drill?"))
        .await;
    assert_eq!(answer["riad"]["passages"][0]["page"], 2, "{answer}");

    // The original is a file of the room.
    let file = manual["file"].as_str().unwrap();
    let kept = acme.get(&format!("/v1/files/{file}")).await.ok();
    assert_eq!(
        (&kept["filename"], &kept["bytes"], &kept["purpose"]),
        (&json!("m-2026-final.pdf"), &json!(MANUAL.len()), &json!("user_data"))
    );
    let original = acme.request(Method::GET, &format!("/v1/files/{file}/content")).send();
    assert_eq!(original.await.unwrap().bytes().await.unwrap(), MANUAL);

    // Another tenant finds nothing of it.
    let id = manual["id"].as_str().unwrap();
    globex
        .get(&format!("/v1/files/{file}/content"))
        .await
        .refused(404, "not_found");
    globex.get(&format!("{PATH}/{id}")).await.refused(404, "not_found");
    let found = globex
        .post("/v1/search", &json!({"query": "Kestrel drill warranty"}))
        .await
        .ok();
    assert_eq!(found["data"], json!([]));
    acme.delete(&format!("{PATH}/{id}")).await.ok();
    acme.get(&format!("/v1/files/{file}")).await.refused(404, "not_found");
    let file = delivery["file"].as_str().unwrap();
    acme.delete(&format!("/v1/files/{file}")).await.ok();
    let left = acme
        .get(&format!("{PATH}/{}", delivery["id"].as_str().unwrap()))
        .await
        .ok();
    assert_eq!((left.get("file"), &left["title"]), (None, &json!("Delivery terms")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_is_one_document_until_something_differs() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let first = upload(&acme, "manual.pdf", MANUAL, &[]).await;
    let again = upload(&acme, "manual.pdf", MANUAL, &[]).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 200));
    let (first, again) = (first.ok(), again.ok());
    assert_eq!(first, again);
    // In the ledger both are requests; only the first one has used something.
    let entries = host.entries_when("acme", 2).await;
    assert!(entries[0]["fuel"].as_u64().unwrap() > 1_000_000, "{entries:#?}");
    assert_eq!(
        (
            &entries[1]["fuel"],
            &entries[1]["embedded_tokens"],
            &entries[1]["requests"]
        ),
        (&json!(0), &json!(0), &json!(1))
    );
    for fields in [&[("title", "Manual")][..], &[("metadata", r#"{"year": 2026}"#)]] {
        let other = upload(&acme, "manual.pdf", MANUAL, fields).await;
        assert_eq!(other.status.as_u16(), 201, "{fields:?}");
    }
    // Two at once are one, too.
    acme.delete(&format!("{PATH}/{}", first["id"].as_str().unwrap()))
        .await
        .ok();
    let both = tokio::join!(
        upload(&acme, "manual.pdf", MANUAL, &[]),
        upload(&acme, "manual.pdf", MANUAL, &[])
    );
    assert_eq!(both.0.clone().ok()["id"], both.1.clone().ok()["id"]);
    // In another room it is another document.
    let globex = host.tenant("globex").await;
    assert_eq!(upload(&globex, "manual.pdf", MANUAL, &[]).await.status.as_u16(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_own_plugin_reads_its_files() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let globex = host.tenant("globex").await;
    acme.deploy("notes", files::NOTES, &["extraction", "chunking"]).await;

    let note = b"NOTE|Shift plan|Ada opens on Monday.\nBob opens on Friday.\n";
    let added = upload(&acme, "plan.note", note, &[]).await.ok();
    assert_eq!(
        (&added["title"], &added["media_type"], &added["chunks"]),
        (&json!("Shift plan"), &json!("text/x-note"), &json!(2))
    );
    let entries = host.entries_when("acme", 1).await;
    assert_eq!(entries[0]["plugin"], "notes");
    // It reads nothing else, and fails by its own faults, which its log has.
    let refused = upload(&acme, "manual.pdf", MANUAL, &[]).await;
    assert_eq!(
        (refused.status.as_u16(), refused.text("/error/code").as_str()),
        (415, "unsupported_file")
    );
    for (note, status, code) in [
        (&b"NOTE|trap|x"[..], 422, "plugin_failed"),
        (b"NOTE|loop|x", 422, "plugin_limit_exceeded"),
        (b"NOTE|memory|x", 422, "plugin_limit_exceeded"),
        (b"NOTE|invent|x", 422, "plugin_failed"),
        (b"NOTE|empty|x", 422, "plugin_failed"),
    ] {
        let refused = upload(&acme, "plan.note", note, &[]).await;
        let note = String::from_utf8_lossy(note);
        assert_eq!(refused.status.as_u16(), status, "{note}: {}", refused.message());
        assert_eq!(refused.text("/error/code"), code, "{note}: {}", refused.message());
    }
    let log = acme.get("/v1/logs").await.body;
    assert!(log.contains("trapped"), "{log}");
    assert_eq!(acme.get(PATH).await.ok()["data"].as_array().unwrap().len(), 1);
    // The neighbor's files are read by the server's own.
    assert_eq!(upload(&globex, "plan.note", note, &[]).await.ok()["title"], "plan");
}
