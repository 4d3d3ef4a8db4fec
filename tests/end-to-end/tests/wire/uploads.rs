//! Files that come in parts: the file is what the parts were, in the order that was asked for, and nothing is left of what ends otherwise.

use crate::files::{PATH as FILES, stored};
use reqwest::{
    Body, Method,
    multipart::{Form, Part},
};
use riad_end_to_end::{Answer, Caller, TestHost};
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/v1/uploads";

fn announcement(bytes: usize) -> Value {
    json!({"filename": "Öfen.txt", "purpose": "user_data", "bytes": bytes, "mime_type": "text/plain"})
}

/// The id of a new upload.
async fn begin(caller: &Caller, bytes: usize) -> String {
    caller.post(PATH, &announcement(bytes)).await.text("/id")
}

fn data(bytes: impl Into<Vec<u8>>) -> Form {
    // As OpenAI's clients name it.
    Form::new().part("data", Part::bytes(bytes.into()).file_name("upload"))
}

async fn send_form(caller: &Caller, upload: &str, form: Form) -> Answer {
    let path = format!("{PATH}/{upload}/parts");
    caller.send(caller.request(Method::POST, &path).multipart(form)).await
}

async fn send(caller: &Caller, upload: &str, bytes: &[u8]) -> String {
    let part = send_form(caller, upload, data(bytes)).await.ok();
    assert_eq!(
        (&part["object"], &part["upload_id"]),
        (&json!("upload.part"), &json!(upload))
    );
    part["id"].as_str().unwrap().to_owned()
}

async fn complete(caller: &Caller, upload: &str, body: &Value) -> Answer {
    caller.post(&format!("{PATH}/{upload}/complete"), body).await
}

async fn cancel(caller: &Caller, upload: &str) -> Answer {
    let path = format!("{PATH}/{upload}/cancel");
    caller.send(caller.request(Method::POST, &path)).await
}

/// Action, object and detail of each line about uploads, the newest first.
async fn log(caller: &Caller) -> Vec<(Value, Value, Value)> {
    let log = caller.get("/v1/audit?action=upload").await.ok();
    let lines = log["data"].as_array().unwrap().iter();
    lines
        .map(|line| (line["action"].clone(), line["object"].clone(), line["detail"].clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_come_at_the_same_time_become_a_file() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let parts: Vec<Vec<u8>> = (0..4_u8).map(|n| vec![n; 200_000 + usize::from(n)]).collect();
    let whole = parts.concat();
    let mut body = announcement(whole.len());
    body["expires_after"] = json!({"anchor": "created_at", "seconds": 3600});
    let upload = tenant.post(PATH, &body).await.ok();
    let id = upload["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("upload_"), "{id}");
    for (member, value) in [
        ("object", json!("upload")),
        ("status", json!("pending")),
        ("bytes", json!(whole.len())),
        ("filename", json!("Öfen.txt")),
        ("purpose", json!("user_data")),
        ("file", Value::Null),
    ] {
        assert_eq!(upload.get(member), Some(&value), "{upload}");
    }
    let at = |object: &Value, member: &str| object[member].as_u64().unwrap();
    assert_eq!(at(&upload, "expires_at"), at(&upload, "created_at") + 3600);

    let ids = futures::future::join_all(parts.iter().map(|part| send(&tenant, &id, part))).await;
    assert_eq!(tenant.get(FILES).await.ok()["data"], json!([]), "a part is no file");
    let completed = complete(&tenant, &id, &json!({"part_ids": ids})).await.ok();
    assert_eq!(
        (&completed["id"], &completed["status"]),
        (&json!(id), &json!("completed"))
    );
    let file = completed["file"].clone();
    let file_id = file["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&file["object"], &file["bytes"], &file["filename"]),
        (&json!("file"), &json!(whole.len()), &json!("Öfen.txt"))
    );
    assert!(
        at(&file, "expires_at").abs_diff(at(&file, "created_at") + 3600) <= 1,
        "{file}"
    );
    assert_eq!(stored(&host, "acme"), [whole.len() as u64], "the parts are gone");
    // What has ended says how.
    for answer in [
        complete(&tenant, &id, &json!({"part_ids": ids})).await,
        send_form(&tenant, &id, data("more")).await,
        cancel(&tenant, &id).await,
    ] {
        let refused = answer.refused(400, "");
        let message = refused.message();
        assert!(
            message.contains(&format!("completed: its file is {file_id}")),
            "{message}"
        );
    }

    let key = tenant.key.clone();
    let host = host.restart().await;
    let tenant = host.caller(&key);
    assert_eq!(tenant.get(&format!("{FILES}/{file_id}")).await.ok(), file);
    let content = tenant.request(Method::GET, &format!("{FILES}/{file_id}/content"));
    assert_eq!(content.send().await.unwrap().bytes().await.unwrap(), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_upload_is_refused_by_the_member_at_fault() {
    let host = TestHost::builder()
        .limits(|limits| limits.kept_file_bytes = 100_000_000)
        .max_sequences(1)
        .start()
        .await;
    let tenant = host.tenant("acme").await;
    let hour = json!({"anchor": "created_at", "seconds": 3600});
    for (member, value, status, param) in [
        ("bytes", json!(0), 400, "bytes"),
        ("bytes", json!(-1), 400, "bytes"),
        ("bytes", json!(100_000_001), 413, "bytes"),
        ("filename", json!(""), 400, "filename"),
        ("filename", json!("x".repeat(256)), 400, "filename"),
        ("purpose", json!("fun"), 400, "purpose"),
        ("mime_type", json!("pdf"), 400, "mime_type"),
        ("mime_type", Value::Null, 400, "mime_type"),
        (
            "expires_after",
            json!({"anchor": "created_at", "seconds": 60}),
            400,
            "expires_after",
        ),
        (
            "expires_after",
            json!({"anchor": "now", "seconds": 3600}),
            400,
            "expires_after",
        ),
        ("expires_after", json!({"seconds": 3600}), 400, "expires_after.anchor"),
        ("title", json!("A"), 400, "title"),
    ] {
        let mut body = announcement(10);
        body["expires_after"] = hour.clone();
        body[member] = value;
        let refused = tenant.post(PATH, &body).await;
        assert_eq!(refused.status.as_u16(), status, "{member}: {}", refused.body);
        assert_eq!(refused.text("/error/param"), param, "{}", refused.message());
    }

    let id = begin(&tenant, 6).await;
    let two = Form::new()
        .part("data", Part::bytes(b"abc".to_vec()))
        .part("data", Part::bytes(b"def".to_vec()));
    for (form, param) in [
        (Form::new().text("purpose", "batch"), "purpose"),
        (two, "data"),
        (data(""), "data"),
        (data("abcdefg"), "data"),
    ] {
        let refused = send_form(&tenant, &id, form).await.refused(400, "");
        assert_eq!(refused.text("/error/param"), param, "{}", refused.message());
    }
    assert!(stored(&host, "acme").is_empty());
    let (first, second) = (send(&tenant, &id, b"abc").await, send(&tenant, &id, b"def").await);
    let md5 = "e80b5017098950fc58aad83c8c14978e";
    for (body, status, param, says) in [
        (json!({"part_ids": [first]}), 400, "part_ids", "3 bytes together"),
        (json!({"part_ids": [first]}), 400, "part_ids", "announced with 6"),
        (json!({"part_ids": [first, first]}), 400, "part_ids", "twice"),
        (json!({"part_ids": [first, "part_0"]}), 404, "part_ids", "part_0"),
        (json!({"part_ids": [first, "../room.db"]}), 404, "part_ids", "room.db"),
        (json!({"part_ids": [second, first], "md5": md5}), 400, "md5", md5),
        (json!({"part_ids": [first, second], "md5": "abc"}), 400, "md5", "32 hex"),
        (json!({}), 400, "part_ids", "missing"),
    ] {
        let refused = complete(&tenant, &id, &body).await;
        assert_eq!(refused.status.as_u16(), status, "{body}: {}", refused.body);
        assert_eq!(refused.text("/error/param"), param, "{body}: {}", refused.message());
        assert!(refused.message().contains(says), "{body}: {}", refused.message());
    }
    // None of that has ended it.
    let body = json!({"part_ids": [first, second], "md5": md5.to_uppercase()});
    assert_eq!(complete(&tenant, &id, &body).await.ok()["file"]["bytes"], 6);

    for absent in ["upload_0", "UPLOAD", "..%2Froom.db"] {
        send_form(&tenant, absent, data("x")).await.refused(404, "not_found");
        complete(&tenant, absent, &json!({"part_ids": []}))
            .await
            .refused(404, "not_found");
        cancel(&tenant, absent).await.refused(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_breaks_off_leaves_nothing() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let id = begin(&tenant, 100 << 20).await;
    send_form(&tenant, &id, data(vec![0; (64 << 20) + 1]))
        .await
        .refused(413, "too_large");
    let pieces = futures::stream::unfold(0_u32, |number| async move {
        if number > 4 {
            // The rest never comes.
            std::future::pending::<()>().await;
        }
        Some((Ok::<_, std::io::Error>(vec![7_u8; 64 << 10]), number + 1))
    });
    let part = Part::stream(Body::wrap_stream(pieces)).file_name("upload");
    let request = tenant.request(Method::POST, &format!("{PATH}/{id}/parts"));
    let sending = tokio::spawn(request.multipart(Form::new().part("data", part)).send());
    let so = async |condition: &dyn Fn(&[u64]) -> bool| {
        while !condition(&stored(&host, "acme")) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    so(&|sizes| sizes.len() == 1 && sizes[0] > 0).await;
    sending.abort();
    so(&|sizes| sizes.is_empty()).await;

    // Parts that nobody joins count as stored, until they are canceled.
    send(&tenant, &id, &[7; 700_000]).await;
    host.change("acme", json!({"limits": {"stored_bytes": 1_200_000}}))
        .await;
    tenant
        .post(PATH, &announcement(800_000))
        .await
        .refused(507, "quota_exceeded");
    send_form(&tenant, &id, data(vec![8; 800_000]))
        .await
        .refused(507, "quota_exceeded");
    let canceled = cancel(&tenant, &id).await.ok();
    assert_eq!(
        (&canceled["status"], &canceled["file"]),
        (&json!("cancelled"), &Value::Null)
    );
    assert!(stored(&host, "acme").is_empty());
    let refused = complete(&tenant, &id, &json!({"part_ids": []})).await.refused(400, "");
    assert!(refused.message().contains("cancelled"), "{}", refused.message());
    begin(&tenant, 800_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_adds_to_anothers_upload_and_each_change_is_logged() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let globex = host.tenant("globex").await;
    let id = begin(&acme, 9).await;
    let part = send(&acme, &id, b"zebrafish").await;
    send_form(&globex, &id, data("zebrafish"))
        .await
        .refused(404, "not_found");
    complete(&globex, &id, &json!({"part_ids": [part]}))
        .await
        .refused(404, "not_found");
    cancel(&globex, &id).await.refused(404, "not_found");
    let own = begin(&globex, 9).await;
    complete(&globex, &own, &json!({"part_ids": [part]}))
        .await
        .refused(404, "not_found");
    assert!(stored(&host, "globex").is_empty());
    cancel(&globex, &own).await.ok();

    let file = complete(&acme, &id, &json!({"part_ids": [part]})).await.ok()["file"]["id"].clone();
    assert_eq!(
        log(&acme).await,
        [
            (json!("upload.complete"), json!(id), json!({"file": file})),
            (json!("upload.create"), json!(id), Value::Null)
        ]
    );
    assert_eq!(
        log(&globex).await,
        [
            (json!("upload.cancel"), json!(own), Value::Null),
            (json!("upload.create"), json!(own), Value::Null)
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_has_no_folders_as_that_of_a_whole_file() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    for (sent, name) in [
        ("reports/2026/Q3.txt", "Q3.txt"),
        ("C:\\files\\Q3.txt", "Q3.txt"),
        ("../Q3.txt", "Q3.txt"),
    ] {
        let mut body = announcement(1);
        body["filename"] = json!(sent);
        assert_eq!(tenant.post(PATH, &body).await.ok()["filename"], name);
        // A form writes a backslash in another way.
        let sent = sent.replace('\\', "/");
        let file = Form::new()
            .text("purpose", "user_data")
            .part("file", Part::bytes(b"x".to_vec()).file_name(sent));
        let whole = tenant.send(tenant.request(Method::POST, FILES).multipart(file)).await;
        assert_eq!(whole.ok()["filename"], name);
    }
    let mut nothing = announcement(1);
    nothing["filename"] = json!("folder/");
    let refused = tenant.post(PATH, &nothing).await.refused(400, "");
    assert_eq!(refused.text("/error/param"), "filename");
}
