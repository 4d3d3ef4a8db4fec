//! Files that a tenant keeps: what comes back is what was sent, under bounds, and nothing is left of what was not finished.

use reqwest::{
    Body, Method,
    multipart::{Form, Part},
};
use riad_end_to_end::{Answer, Tenant, TestHost};
use serde_json::{Value, json};
use std::{fs, time::Duration};

pub const PATH: &str = "/v1/files";

fn form(name: &str, bytes: impl Into<Vec<u8>>, purpose: &str) -> Form {
    let file = Part::bytes(bytes.into()).file_name(name.to_owned());
    Form::new().text("purpose", purpose.to_owned()).part("file", file)
}

async fn send(tenant: &Tenant, form: Form) -> Answer {
    tenant.send(tenant.request(Method::POST, PATH).multipart(form)).await
}

async fn keep(tenant: &Tenant, name: &str, bytes: &[u8]) -> Value {
    send(tenant, form(name, bytes, "user_data")).await.ok()
}

/// What lies in the folder of the room's files.
pub fn stored(host: &TestHost, tenant: &str) -> Vec<u64> {
    let folder = host.data().join("rooms").join(tenant).join("files");
    let mut sizes: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .collect();
    sizes.sort_unstable();
    sizes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_back_as_it_was_sent_after_a_restart_too() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let kept = keep(&tenant, "Öfen und Türen.bin", &bytes).await;
    let id = kept["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("file-"), "{id}");
    assert_eq!(
        (
            &kept["object"],
            &kept["bytes"],
            &kept["filename"],
            &kept["purpose"],
            &kept["status"]
        ),
        (
            &json!("file"),
            &json!(300_000),
            &json!("Öfen und Türen.bin"),
            &json!("user_data"),
            &json!("processed")
        )
    );
    assert_eq!(kept.get("expires_at"), None);
    // The same bytes are there once.
    let same = keep(&tenant, "again.bin", &bytes).await;
    assert_eq!(stored(&host, "acme"), [300_000]);

    let key = tenant.key.clone();
    let host = host.restart().await;
    let tenant = host.caller(&key);
    assert_eq!(tenant.get(&format!("{PATH}/{id}")).await.ok(), kept);
    let content = tenant
        .request(Method::GET, &format!("{PATH}/{id}/content"))
        .send()
        .await
        .unwrap();
    let header = |name: &str| content.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-length"), "300000");
    assert_eq!(header("content-type"), "application/octet-stream");
    assert!(header("content-disposition").starts_with("attachment; filename*=UTF-8''%C3%96fen"));
    assert_eq!(content.bytes().await.unwrap(), bytes);

    let deleted = tenant.delete(&format!("{PATH}/{id}")).await.ok();
    assert_eq!(deleted, json!({"id": id, "object": "file", "deleted": true}));
    assert_eq!(stored(&host, "acme"), [300_000], "another file is the same");
    tenant.get(&format!("{PATH}/{id}")).await.refused(404, "not_found");
    tenant
        .get(&format!("{PATH}/{id}/content"))
        .await
        .refused(404, "not_found");
    tenant.delete(&format!("{PATH}/{id}")).await.refused(404, "not_found");
    tenant
        .delete(&format!("{PATH}/{}", same["id"].as_str().unwrap()))
        .await
        .ok();
    assert!(stored(&host, "acme").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_has_pages_orders_and_purposes() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    for (number, purpose) in ["assistants", "batch", "user_data", "assistants", "fine-tune"]
        .iter()
        .enumerate()
    {
        send(&tenant, form(&format!("{number}"), format!("{number}"), purpose))
            .await
            .ok();
    }
    let names = async |query: &str| {
        let list = tenant.get(&format!("{PATH}{query}")).await.ok();
        let data = list["data"].as_array().unwrap();
        assert_eq!(
            list["first_id"],
            data.first().map_or(Value::Null, |file| file["id"].clone())
        );
        let names: Vec<_> = data
            .iter()
            .map(|file| file["filename"].as_str().unwrap().to_owned())
            .collect();
        (
            names.concat(),
            list["has_more"] == true,
            list["last_id"].as_str().unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(names("").await.0, "43210");
    assert_eq!(names("?order=asc").await.0, "01234");
    assert_eq!(names("?purpose=assistants").await.0, "30");
    let (first, more, last) = names("?limit=2&order=asc").await;
    assert_eq!((first.as_str(), more), ("01", true));
    let (rest, more, _) = names(&format!("?limit=3&order=asc&after={last}")).await;
    assert_eq!((rest.as_str(), more), ("234", false));
    assert_eq!(names("?purpose=vision").await.0, "");
    tenant.delete(&format!("{PATH}/{last}")).await.ok();
    assert_eq!(
        names(&format!("?order=asc&after={last}")).await.0,
        "234",
        "a client may delete while it reads"
    );
    for query in ["limit=0", "limit=10001", "order=up", "purpose=fun", "after=A%20B"] {
        let refused = tenant.get(&format!("{PATH}?{query}")).await.refused(400, "");
        let param = query.split_once('=').unwrap().0;
        assert_eq!(refused.text("/error/param"), param, "{}", refused.message());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_refused_and_leaves_nothing() {
    let host = TestHost::builder()
        .limits(|limits| limits.kept_file_bytes = 100_000)
        .max_sequences(1)
        .start()
        .await;
    let tenant = host.tenant("acme").await;
    let with = |fields: &[(&str, &str)]| {
        fields
            .iter()
            .fold(form("a.txt", "text", "user_data"), |form, (name, value)| {
                form.text((*name).to_owned(), (*value).to_owned())
            })
    };
    let anchor = ("expires_after[anchor]", "created_at");
    for (form, status, param) in [
        (form("a.txt", "text", "fun"), 400, "purpose"),
        (Form::new().text("purpose", "user_data"), 400, "file"),
        (
            Form::new().part("file", Part::bytes(b"x".to_vec()).file_name("a")),
            400,
            "purpose",
        ),
        (form("a.txt", "", "user_data"), 400, "file"),
        (form(&"x".repeat(256), "text", "user_data"), 400, "file"),
        (with(&[("purpose", "batch")]), 400, "purpose"),
        (with(&[("title", "A")]), 400, "title"),
        (with(&[anchor]), 400, "expires_after"),
        (with(&[anchor, ("expires_after[seconds]", "60")]), 400, "expires_after"),
        (
            with(&[anchor, ("expires_after[seconds]", "9000000")]),
            400,
            "expires_after",
        ),
        (form("large.bin", vec![0; 100_001], "user_data"), 413, "file"),
    ] {
        let refused = send(&tenant, form).await;
        assert_eq!(refused.status.as_u16(), status, "{param}: {}", refused.message());
        assert_eq!(refused.text("/error/param"), param, "{}", refused.message());
    }
    // It is not even read to its end.
    send(&tenant, form("large.bin", vec![0; 2_000_000], "user_data"))
        .await
        .refused(413, "too_large");
    assert!(stored(&host, "acme").is_empty());
    assert_eq!(tenant.get(PATH).await.ok()["data"], json!([]));
    // One that expires says when.
    let kept = send(&tenant, with(&[anchor, ("expires_after[seconds]", "3600")]))
        .await
        .ok();
    let (created, expires) = (
        kept["created_at"].as_u64().unwrap(),
        kept["expires_at"].as_u64().unwrap(),
    );
    assert!(expires.abs_diff(created + 3600) <= 1, "{kept}");
}

/// A form whose file never comes to its end.
fn endless() -> Form {
    let pieces = futures::stream::unfold(0_u32, |number| async move {
        if number > 4 {
            std::future::pending::<()>().await;
        }
        Some((Ok::<_, std::io::Error>(vec![7_u8; 64 << 10]), number + 1))
    });
    let file = Part::stream(Body::wrap_stream(pieces)).file_name("half.bin");
    Form::new().text("purpose", "user_data").part("file", file)
}

async fn until_stored(host: &TestHost, tenant: &str, condition: impl Fn(&[u64]) -> bool) {
    while !condition(&stored(host, tenant)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_files_wait_for_each_other_and_nobody_for_them() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let globex = host.tenant("globex").await;
    keep(&tenant, "first.txt", b"first").await;
    let send = || tokio::spawn(tenant.request(Method::POST, PATH).multipart(endless()).send());
    let mut sending: Vec<_> = (0..4).map(|_| send()).collect();
    until_stored(&host, "acme", |sizes| sizes.len() == 5).await;
    let mut fifth = tokio::spawn(
        tenant
            .request(Method::POST, PATH)
            .multipart(form("5", "5", "batch"))
            .send(),
    );
    let waits = tokio::time::timeout(Duration::from_millis(500), &mut fifth).await;
    assert!(waits.is_err(), "four of a tenant's files are written at the same time");
    keep(&globex, "neighbor.txt", b"neighbor").await;
    sending.remove(0).abort();
    assert_eq!(fifth.await.unwrap().unwrap().status().as_u16(), 200);
    sending.iter().for_each(tokio::task::JoinHandle::abort);
    until_stored(&host, "acme", |sizes| sizes == [1, 5]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_or_does_not_fit_leaves_nothing() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    keep(&tenant, "first.txt", b"first").await;
    let sending = tokio::spawn(tenant.request(Method::POST, PATH).multipart(endless()).send());
    until_stored(&host, "acme", |sizes| sizes.len() == 2).await;
    sending.abort();
    until_stored(&host, "acme", |sizes| sizes == [5]).await;

    host.change("acme", json!({"limits": {"stored_bytes": 1_200_000}}))
        .await;
    send(&tenant, self::form("large.bin", vec![0; 3_000_000], "user_data"))
        .await
        .refused(507, "quota_exceeded");
    assert_eq!(stored(&host, "acme"), [5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_anothers_files() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let globex = host.tenant("globex").await;
    let id = keep(&acme, "secret.txt", b"the zebrafish sleeps").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for path in [format!("{PATH}/{id}"), format!("{PATH}/{id}/content")] {
        globex.get(&path).await.refused(404, "not_found");
    }
    globex.delete(&format!("{PATH}/{id}")).await.refused(404, "not_found");
    assert_eq!(globex.get(PATH).await.ok()["data"], json!([]));
    // The same bytes in another room are another file.
    let own = keep(&globex, "secret.txt", b"the zebrafish sleeps").await;
    assert_ne!(own["id"], id.as_str());
    globex
        .delete(&format!("{PATH}/{}", own["id"].as_str().unwrap()))
        .await
        .ok();
    assert_eq!(acme.get(&format!("{PATH}/{id}")).await.ok()["bytes"], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_file_is_sent_to_whoever_asks_for_one() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let kept = keep(&tenant, "a.bin", &bytes).await;
    let path = format!("{PATH}/{}/content", kept["id"].as_str().unwrap());
    let get = async |range: &str| {
        let request = tenant.request(Method::GET, &path).header("range", range);
        request.send().await.unwrap()
    };
    let header = |answer: &reqwest::Response, name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=70000-150000", 70_000, 150_001),
        ("bytes=199999-", 199_999, 200_000),
        ("bytes=-65537", 134_463, 200_000),
        ("bytes=0-999999", 0, 200_000),
    ] {
        let answer = get(range).await;
        assert_eq!(answer.status(), 206, "{range}");
        assert_eq!(
            header(&answer, "content-range"),
            format!("bytes {from}-{}/200000", to - 1)
        );
        assert_eq!(header(&answer, "content-length"), (to - from).to_string());
        assert_eq!(answer.bytes().await.unwrap(), bytes[from..to], "{range}");
    }
    for range in ["bytes=5-1", "bytes=0-1,5-6", "pages=1-2", "bytes=x"] {
        let answer = get(range).await;
        assert_eq!(
            (answer.status().as_u16(), answer.headers().get("content-range")),
            (200, None),
            "{range}"
        );
        assert_eq!(header(&answer, "accept-ranges"), "bytes");
        assert_eq!(answer.bytes().await.unwrap(), bytes, "{range}");
    }
    let answer = get("bytes=200000-").await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "content-range")),
        (416, "bytes */200000".to_owned())
    );
    let answer = Answer::read(answer).await.refused(416, "range_not_satisfiable");
    assert_eq!(answer.text("/error/type"), "invalid_request_error");
    // Without the bytes.
    let head = tenant.request(Method::HEAD, &path).send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), header(&head, "content-length")),
        (200, "200000".to_owned())
    );
    assert_eq!(
        (header(&head, "accept-ranges"), head.bytes().await.unwrap().len()),
        ("bytes".to_owned(), 0)
    );
}
