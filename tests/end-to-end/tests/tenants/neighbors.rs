//! A hundred tenants on one server: with the ids of others, every read endpoint of the API answers 404, and what was deleted is in no file.

use futures::{StreamExt, TryStreamExt, stream};
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use riad_end_to_end::{MODEL, Tenant, TestHost};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

const TENANTS: usize = 100;
/// How many others' ids each tenant tries.
const TRIED: usize = 20;
const AT_ONCE: usize = 8;
/// Read endpoints whose parameter is a name that a tenant chooses, and not an id: each tenant may have the same name.
const NAMED: [&str; 4] = [
    "/v1/models/{model}",
    "/v1/models/{owner}/{model}",
    "/v1/plugins/{name}/stats",
    "/v1/adapters/{alias}/generations",
];

/// What one tenant has, by the paths that read it.
struct Room {
    tenant: Tenant,
    canary: String,
    paths: BTreeMap<&'static str, String>,
}

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

async fn made(tenant: &Tenant, path: &str, body: Value) -> String {
    id(&tenant.post(path, &body).await.ok())
}

async fn fill(tenant: Tenant, number: usize) -> Room {
    let canary = format!("canary{number:03}x{}", uuid::Uuid::new_v4().simple());
    let text = format!("The code of the vault is {canary}.");
    let document = json!({"title": canary, "text": text, "metadata": {"code": canary}});
    let job = made(&tenant, "/v1/documents?wait=false", document).await;
    let document = loop {
        let job = tenant.get(&format!("/v1/documents/jobs/{job}")).await.ok();
        assert_ne!(job["status"], "failed", "{job}");
        if job["status"] == "completed" {
            break id(&job["document"]);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let part = Part::bytes(text.into_bytes()).file_name(format!("{canary}.txt"));
    let form = Form::new().text("purpose", "assistants").part("file", part);
    let kept = tenant.request(Method::POST, "/v1/files").multipart(form);
    let file = id(&tenant.send(kept).await.ok());
    let store = made(&tenant, "/v1/vector_stores", json!({"name": canary})).await;
    let batch = json!({"file_ids": [file], "attributes": {"code": canary}});
    let batch = made(&tenant, &format!("/v1/vector_stores/{store}/file_batches"), batch).await;
    let in_store = format!("/v1/vector_stores/{store}");
    while tenant.get(&in_store).await.ok()["file_counts"]["completed"] != 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ask = json!({"model": MODEL, "input": format!("What is {canary}?"), "max_output_tokens": 4, "store": true});
    let response = made(&tenant, "/v1/responses", ask).await;
    let paths = [
        ("/v1/responses/{id}", format!("/v1/responses/{response}")),
        (
            "/v1/responses/{id}/input_items",
            format!("/v1/responses/{response}/input_items"),
        ),
        ("/v1/files/{id}", format!("/v1/files/{file}")),
        ("/v1/files/{id}/content", format!("/v1/files/{file}/content")),
        ("/v1/vector_stores/{id}", in_store.clone()),
        ("/v1/vector_stores/{id}/files", format!("{in_store}/files")),
        (
            "/v1/vector_stores/{id}/files/{file_id}",
            format!("{in_store}/files/{file}"),
        ),
        (
            "/v1/vector_stores/{id}/files/{file_id}/content",
            format!("{in_store}/files/{file}/content"),
        ),
        (
            "/v1/vector_stores/{id}/file_batches/{batch_id}",
            format!("{in_store}/file_batches/{batch}"),
        ),
        (
            "/v1/vector_stores/{id}/file_batches/{batch_id}/files",
            format!("{in_store}/file_batches/{batch}/files"),
        ),
        ("/v1/documents/{id}", format!("/v1/documents/{document}")),
        ("/v1/documents/jobs/{id}", format!("/v1/documents/jobs/{job}")),
        (
            "/v1/documents/jobs/{id}/events",
            format!("/v1/documents/jobs/{job}/events"),
        ),
    ];
    Room {
        tenant,
        canary,
        paths: paths.into(),
    }
}

/// All read endpoints of a tenant's that the server has, with parameters and without.
async fn read_endpoints(tenant: &Tenant) -> (BTreeSet<String>, BTreeSet<String>) {
    let document = tenant.get("/openapi.json").await.ok();
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .filter(|(path, item)| path.starts_with("/v1/") && item["get"].is_object())
        .map(|(path, _)| path.clone())
        .partition(|path| path.contains('{'))
}

fn others(text: &str, own: &str) -> Vec<String> {
    let found = text.match_indices("canary").map(|(at, _)| &text[at..]);
    let found = found
        .filter(|rest| !rest.starts_with(own))
        .map(|rest| rest.chars().take(42).collect());
    found.collect()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

/// The files of the server in which these bytes stand.
fn with_bytes(folder: &Path, bytes: &str) -> Vec<String> {
    let has = |path: &Path| {
        // A file that goes away meanwhile has nothing any more.
        let content = fs::read(path).unwrap_or_default();
        memchr::memmem::find(&content, bytes.as_bytes()).is_some()
    };
    let found = files(folder).into_iter().filter(|path| has(path));
    found.map(|path| path.display().to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_tenants_see_nothing_of_each_other() {
    let host = TestHost::start().await;
    let rooms: Vec<Room> = stream::iter(0..TENANTS)
        .map(|number| {
            let host = &host;
            async move { fill(host.tenant(&format!("tenant-{number}")).await, number).await }
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let (with_ids, lists) = read_endpoints(&rooms[0].tenant).await;
    let tried: BTreeSet<String> = rooms[0].paths.keys().map(ToString::to_string).collect();
    let named = NAMED.map(str::to_owned).into();
    assert_eq!(&with_ids - &named, tried, "an endpoint is not tried");

    let attempts = (0..TENANTS).flat_map(|one| (1..=TRIED).map(move |step| (one, (one + step) % TENANTS)));
    stream::iter(attempts.map(Ok::<_, String>))
        .try_for_each_concurrent(AT_ONCE, |(one, other)| {
            let (own, theirs) = (&rooms[one], &rooms[other]);
            async move {
                for path in theirs.paths.values() {
                    let answer = own.tenant.get(path).await;
                    if answer.status.as_u16() != 404 || answer.body.contains("canary") {
                        return Err(format!(
                            "{} reads {path}: {} {}",
                            own.canary, answer.status, answer.body
                        ));
                    }
                }
                Ok(())
            }
        })
        .await
        .unwrap();
    for room in &rooms {
        for path in lists.iter().chain(room.paths.values()) {
            // What it cannot do without.
            let needs_time = ["/v1/costs", "/v1/usage"].contains(&path.as_str());
            let query = if needs_time { "?start_time=0" } else { "" };
            let answer = room.tenant.get(&format!("{path}{query}")).await;
            assert!(answer.status.is_success(), "{path}: {}", answer.body);
            assert_eq!(others(&answer.body, &room.canary), [""; 0], "{path}");
        }
        let found = room
            .tenant
            .post("/v1/search", &json!({"query": "code of the vault"}))
            .await;
        assert!(found.body.contains(&room.canary), "{}", found.body);
        assert_eq!(others(&found.body, &room.canary), [""; 0]);
    }

    // One deletes all it has, another is deleted.
    let (cleared, deleted) = (&rooms[0], &rooms[1]);
    for room in [cleared, deleted] {
        assert!(
            !with_bytes(&host.data(), &room.canary).is_empty(),
            "it is found while it is there"
        );
    }
    for path in [
        "/v1/documents/{id}",
        "/v1/vector_stores/{id}",
        "/v1/files/{id}",
        "/v1/responses/{id}",
    ] {
        let path = &cleared.paths[path];
        let answer = cleared.tenant.delete(path).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.body);
    }
    let path = format!("/operator/v1/tenants/{}", deleted.tenant.id);
    let answer = host.operator.delete(&path).await;
    assert!(answer.status.is_success(), "{}", answer.body);
    for room in [cleared, deleted] {
        // Erasing begins with the answer and waits for searches that still read.
        for _ in 0..600 {
            if with_bytes(&host.data(), &room.canary).is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(with_bytes(&host.data(), &room.canary), [""; 0], "{}", room.tenant.id);
    }
    assert!(!with_bytes(&host.data(), &rooms[2].canary).is_empty());
}
