//! `POST /v1/documents?wait=false` over a real server: a job that goes on without the client, says how far it is, and ends once.

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use riad_end_to_end::{Answer, Caller, Stream, TestHost};
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/v1/documents";
const MANUAL: &[u8] = include_bytes!("../../files/manual.pdf");

async fn upload(caller: &Caller, name: &str, bytes: &[u8]) -> Answer {
    let part = Part::bytes(bytes.to_vec()).file_name(name.to_owned());
    let request = caller.request(Method::POST, "/v1/documents?wait=false");
    caller.send(request.multipart(Form::new().part("file", part))).await
}

/// The job of an answer that says 202.
fn job(answer: Answer) -> Value {
    assert_eq!(answer.status, 202, "{}", answer.body);
    let job = answer.json();
    assert_eq!(
        (&job["object"], &job["status"]),
        (&json!("document.job"), &json!("queued"))
    );
    job
}

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

fn path(job: &Value) -> String {
    format!("{PATH}/jobs/{}", id(job))
}

async fn events(caller: &Caller, job: &Value) -> Stream {
    let request = caller.request(Method::GET, &format!("{}/events", path(job)));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    Stream::new(answer)
}

async fn ended(caller: &Caller, job: &Value) -> Value {
    events(caller, job).await.rest().await.pop().unwrap()
}

async fn documents(caller: &Caller) -> Vec<Value> {
    let listed = caller.get("/v1/documents?limit=100").await.ok();
    listed["data"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_made_while_nobody_waits() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let globex = host.tenant("globex").await;
    let text = (0..2_000)
        .map(|number| format!("The pump number {number} has {number} bar and hangs in the hall. "))
        .collect::<String>();
    let body = json!({"title": "Pumps", "text": text, "metadata": {"kind": "pump"}});
    let pumps = job(acme.post("/v1/documents?wait=false", &body).await);
    let told = events(&acme, &pumps).await.rest().await;
    let last = told.last().unwrap();
    assert_eq!((&last["status"], &last["error"]), (&json!("completed"), &Value::Null));
    for (one, next) in told.iter().zip(&told[1..]) {
        assert_ne!(one, next, "each event says something new");
        let (one, next) = (one["status"].as_str().unwrap(), next["status"].as_str().unwrap());
        assert!(
            one == next || one == "queued" || next == "completed",
            "{one}, then {next}"
        );
    }
    for event in &told {
        assert_eq!(event["progress"].is_null(), event["status"] != "in_progress", "{event}");
        assert_eq!(event["document"].is_null(), event["status"] != "completed", "{event}");
        if let Some(total) = event["progress"]["chunks_total"].as_u64() {
            assert!(event["progress"]["chunks_done"].as_u64().unwrap() <= total, "{event}");
            assert_eq!(json!(total), last["document"]["chunks"]);
        }
    }
    assert_eq!(acme.get(&path(&pumps)).await.ok(), *last);
    let document = acme.get(&format!("{PATH}/{}", id(&last["document"]))).await.ok();
    assert_eq!(document["text"], json!(text));
    assert_eq!(documents(&acme).await, [last["document"].clone()], "{document}");

    let manual = job(upload(&acme, "manual.pdf", MANUAL).await);
    let manual = ended(&acme, &manual).await;
    assert_eq!(manual["document"]["media_type"], "application/pdf");
    let found = acme
        .post("/v1/search", &json!({"query": "Kestrel drill warranty"}))
        .await
        .ok();
    assert_eq!(found["data"][0]["document"], manual["document"]["id"]);
    let file = manual["document"]["file"].as_str().unwrap();
    let original = acme
        .request(Method::GET, &format!("/v1/files/{file}/content"))
        .send()
        .await
        .unwrap();
    assert_eq!(original.bytes().await.unwrap(), MANUAL);
    // The same file is the same document, whoever waits for it.
    let again = job(upload(&acme, "manual.pdf", MANUAL).await);
    assert_eq!(ended(&acme, &again).await["document"], manual["document"]);
    let waited = Form::new().part("file", Part::bytes(MANUAL).file_name("manual.pdf"));
    let waited = acme.send(acme.request(Method::POST, PATH).multipart(waited)).await;
    assert_eq!(
        (waited.status.as_u16(), waited.json()),
        (200, manual["document"].clone())
    );

    // Nobody else sees or stops it.
    for (method, tail) in [(Method::GET, ""), (Method::GET, "/events"), (Method::POST, "/cancel")] {
        let request = globex.request(method, &format!("{}{tail}", path(&pumps)));
        globex.send(request).await.refused(404, "not_found");
    }
    let cancelled = acme.post(&format!("{}/cancel", path(&pumps)), &json!({})).await.ok();
    assert_eq!(cancelled, *last, "what has ended stays as it is");
    acme.delete(&format!("{PATH}/{}", id(&last["document"]))).await.ok();
    assert_eq!(acme.get(&path(&pumps)).await.ok()["document"], Value::Null);

    let lines = acme.get("/v1/audit").await.ok();
    let lines: Vec<_> = lines["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["action"].clone(), line["object"].clone(), line["actor"].clone()))
        .collect();
    assert!(
        lines.contains(&(json!("document_job.create"), pumps["id"].clone(), json!(acme.key_id))),
        "{lines:?}"
    );
    assert!(
        lines.contains(&(
            json!("document.create"),
            last["document"]["id"].clone(),
            json!("server")
        )),
        "{lines:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_cannot_be_made_says_why() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let noise: Vec<u8> = (0..=255).collect();
    let failed = ended(&acme, &job(upload(&acme, "noise.bin", &noise).await)).await;
    let waited = Form::new().part("file", Part::bytes(noise).file_name("noise.bin"));
    let waited = acme.send(acme.request(Method::POST, PATH).multipart(waited)).await;
    assert_eq!(
        (&failed["status"], &failed["document"]),
        (&json!("failed"), &Value::Null)
    );
    assert_eq!(failed["error"], waited.json()["error"], "as if the client had waited");
    assert_eq!(failed["error"]["code"], "unsupported_file");
    // What is known at once is said at once, and makes no job.
    let wait = "/v1/documents?wait=false";
    for (path, body, param) in [
        (wait, json!({"title": "", "text": "A text."}), Some("title")),
        (wait, json!({"title": "T", "text": " "}), Some("text")),
        (
            "/v1/documents?wait=perhaps",
            json!({"title": "T", "text": "A text."}),
            Some("wait"),
        ),
        (
            "/v1/documents?later=true",
            json!({"title": "T", "text": "A text."}),
            Some("later"),
        ),
    ] {
        let refused = acme.post(path, &body).await;
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert_eq!(refused.json()["error"]["param"], json!(param));
    }
    assert_eq!(documents(&acme).await, Vec::<Value>::new());
    for id in ["job_0", "doc_0", "%00", "JOB"] {
        let path = format!("{PATH}/jobs/{id}");
        acme.get(&path).await.refused(404, "not_found");
        acme.get(&format!("{path}/events")).await.refused(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_on_after_a_restart_and_none_is_made_twice() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let mut jobs = Vec::new();
    for number in 0..12 {
        let text = format!("The pump number {number} hangs in the hall. ").repeat(4_000);
        let body = json!({"title": format!("Pump {number}"), "text": text});
        let key = format!("pump-{number}");
        let first = job(acme.post_once("/v1/documents?wait=false", &body, &key).await);
        let again = acme.post_once("/v1/documents?wait=false", &body, &key).await;
        assert_eq!(job(again)["id"], first["id"]);
        jobs.push((first, body, key));
    }
    let key = acme.key.clone();
    let host = host.restart().await;
    let acme = host.caller(&key);
    // Whatever the tenant asks for.
    documents(&acme).await;
    for (first, body, key) in &jobs {
        let again = acme.post_once("/v1/documents?wait=false", body, key).await;
        assert_eq!(job(again)["id"], first["id"]);
        let ended = ended(&acme, first).await;
        assert_eq!(
            (&ended["status"], &ended["document"]["title"]),
            (&json!("completed"), &body["title"]),
            "{ended}"
        );
    }
    let mut titles: Vec<_> = documents(&acme)
        .await
        .into_iter()
        .map(|document| document["title"].to_string())
        .collect();
    let count = titles.len();
    titles.sort();
    titles.dedup();
    assert_eq!((count, titles.len()), (12, 12));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_document_is_not_made() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let mut jobs = Vec::new();
    for number in 0..6 {
        let text = format!("The pump number {number} hangs in the hall. ").repeat(20_000);
        let body = json!({"title": format!("Pump {number}"), "text": text});
        jobs.push(job(acme.post("/v1/documents?wait=false", &body).await));
    }
    // The last one waits, the first one perhaps not any more.
    for job in jobs.iter().rev() {
        acme.post(&format!("{}/cancel", path(job)), &json!({})).await.ok();
    }
    let mut made = Vec::new();
    for job in &jobs {
        let ended = ended(&acme, job).await;
        match ended["status"].as_str().unwrap() {
            "completed" => made.push(ended["document"].clone()),
            status => assert_eq!(
                (status, &ended["document"], &ended["error"]),
                ("cancelled", &Value::Null, &Value::Null)
            ),
        }
    }
    assert!(made.len() < jobs.len(), "the last one was cancelled while it waited");
    // Also a moment later.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(documents(&acme).await, made);
    let next = job(acme
        .post("/v1/documents?wait=false", &json!({"title": "Lamp", "text": "A lamp."}))
        .await);
    assert_eq!(ended(&acme, &next).await["status"], "completed", "others go on");
}
