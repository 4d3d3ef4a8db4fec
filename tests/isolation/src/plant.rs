//! Plants a canary in everything that a room can hold, and looks later whether all of it is still as it was.
//! Not here: the rooms' state before and after the suite (`room`).

use crate::{
    canary::Canaries,
    client::{Client, Request},
    room,
};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};

const CONFIG: &[u8] = include_bytes!("../../../host/models/chat/adapter-acme/adapter_config.json");
const WEIGHTS: &[u8] = include_bytes!("../../../host/models/chat/adapter-acme/adapter_model.safetensors");
/// Keeps a table in the room's SQL store, which it fills from the setting `prices`.
const PRICE_DESK: &[u8] = include_bytes!("../../../plugins/price-desk/price-desk.wasm");

/// Makes the host calls that the setting `calls` lists, and answers with their results as passages.
const CALLER: &[u8] = include_bytes!("../../guests/caller.wasm");
/// Long enough for a run. Nothing else removes the planted value.
const VALUE_SECONDS: u32 = 3600;

/// A PEFT adapter.
#[derive(Clone)]
pub struct AdapterFiles {
    pub config: Bytes,
    pub weights: Bytes,
}

impl Default for AdapterFiles {
    /// One of the shipped model.
    fn default() -> Self {
        Self {
            config: Bytes::from_static(CONFIG),
            weights: Bytes::from_static(WEIGHTS),
        }
    }
}

/// What lies in a room now.
pub struct Planted {
    pub tenant: String,
    /// The base with the planted adapter.
    pub model: String,
    pub document: String,
    /// The id of the job that made it.
    pub document_job: String,
    /// The id of a file that is kept.
    pub file: String,
    /// The id of an upload that is pending, and of its only part.
    pub upload: String,
    pub part: String,
    /// The id of a vector store with that file.
    pub vector_store: String,
    /// The id of the batch with which it came there.
    pub file_batch: String,
    /// Of the key that A plants with.
    pub key_id: String,
    /// Under which A's answer to the question is kept.
    pub idempotency_key: String,
    /// A's response, which is kept.
    pub response: String,
    pub generation: String,
    pub version: String,
    /// What the room shows to its own tenant.
    shown: Vec<(&'static str, Value)>,
}

pub async fn plant(client: &Client, canaries: &Canaries, adapter: &AdapterFiles) -> Result<Planted> {
    let (document, document_job) = plant_document(client, canaries).await?;
    let file = client.expect(200, keep_file(&canaries.run, &canaries.file)).await?;
    let file = text(&file.json(), "/id");
    let begun = client.expect(200, begin_upload(&canaries.run, &canaries.file)).await?;
    let upload = text(&begun.json(), "/id");
    let part = client.expect(200, send_part(&upload, &canaries.file)).await?;
    let part = text(&part.json(), "/id");
    let (vector_store, file_batch) = plant_vector_store(client, canaries, &file).await?;
    plant_value(client, canaries).await?;
    let put = put_adapter(&canaries.alias, adapter, &canaries.alias)?;
    let adapter = client
        .expect(201, put)
        .await
        .context("the adapter does not fit this server's model; give one that does, with --adapter")?;
    // The name of a version is the digest of its bytes: with a canary in them it is one itself.
    let component = with_custom_section(PRICE_DESK, canaries.plugin.as_bytes());
    let put =
        Request::new(Method::PUT, format!("/v1/plugins/{}", canaries.plugin)).bytes("application/wasm", component);
    let version = text(&client.expect(201, put).await?.json(), "/version");
    let choice = format!("{}@{version}", canaries.plugin);
    let pipeline = json!({"stages": {"prompting": choice, "postprocessing": choice}});
    client.expect(200, Request::put("/v1/pipeline", &pipeline)).await?;

    let base = room::base_model(client).await?;
    let item = format!("{} vault", canaries.needle);
    set(client, &json!({"prices": {item: format!("{} euros", canaries.sql)}})).await?;
    let asked = client.expect(200, question(&base, &canaries.needle)).await?;
    found(canaries, &asked.body, "price in the SQL store")?;
    // A setting that the plugin cannot read: the error goes to the room's log.
    set(client, &json!({"prices": canaries.log})).await?;
    client.expect(422, question(&base, &canaries.needle)).await?;
    let logs = client.expect(200, Request::get("/v1/logs")).await?;
    found(canaries, &logs.body, "log line")?;
    // The prices stay in the SQL store when the setting goes.
    set(client, &json!({"isolation.note": canaries.settings})).await?;

    let model = format!("{base}:{}", canaries.alias);
    let asked = client.expect(200, question(&model, &canaries.needle)).await?;
    found(canaries, &asked.body, "document text")?;
    found(canaries, &asked.body, "price in the SQL store")?;
    let idempotency_key = format!("once-{}", canaries.run);
    let kept = client
        .expect(200, once(question(&base, &canaries.needle), &idempotency_key))
        .await?;
    found(canaries, &kept.body, "document text")?;
    let response = client.expect(200, response(&base, &canaries.needle)).await?;
    found(canaries, &response.body, "document text")?;
    let response = text(&response.json(), "/id");
    let keys = client.expect(200, Request::get("/v1/keys")).await?;
    Ok(Planted {
        tenant: text(&asked.json(), "/riad/receipt/tenant"),
        shown: show(
            client,
            canaries,
            &Shown {
                document: &document,
                document_job: &document_job,
                file: &file,
                vector_store: &vector_store,
                response: &response,
                model: &model,
            },
        )
        .await?,
        document,
        document_job,
        key_id: text(&keys.json(), "/data/0/id"),
        idempotency_key,
        generation: text(&adapter.json(), "/generation"),
        version,
        file,
        upload,
        part,
        vector_store,
        file_batch,
        response,
        model,
    })
}

/// A document that nobody waited for, and its job.
async fn plant_document(client: &Client, canaries: &Canaries) -> Result<(String, String)> {
    let add = Request::post("/v1/documents?wait=false", &document(canaries));
    let job = text(&client.expect(202, add).await?.json(), "/id");
    let path = format!("/v1/documents/jobs/{job}/events");
    let events = client.expect(200, Request::get(path)).await?;
    found(canaries, &events.body, "document title")?;
    let ended = client
        .expect(200, Request::get(format!("/v1/documents/jobs/{job}")))
        .await?;
    anyhow::ensure!(
        text(&ended.json(), "/status") == "completed",
        "A's document was not made: {}",
        ended.body
    );
    Ok((text(&ended.json(), "/document/id"), job))
}

/// A vector store with A's file, which came in a batch. It has the canary in its name, its metadata and the file's attributes.
async fn plant_vector_store(client: &Client, canaries: &Canaries, file: &str) -> Result<(String, String)> {
    let new = json!({"name": canaries.file, "metadata": {"isolation": canaries.file}});
    let store = client.expect(200, Request::post("/v1/vector_stores", &new)).await?;
    let store = text(&store.json(), "/id");
    let batch = json!({"file_ids": [file], "attributes": {"isolation": canaries.file}});
    let path = format!("/v1/vector_stores/{store}/file_batches");
    let batch = text(&client.expect(200, Request::post(&path, &batch)).await?.json(), "/id");
    // It is indexed when the answer is there.
    let add = json!({"file_id": file, "attributes": {"isolation": canaries.file}});
    let added = client
        .expect(200, Request::post(format!("/v1/vector_stores/{store}/files"), &add))
        .await?;
    anyhow::ensure!(
        text(&added.json(), "/status") == "completed",
        "A's file was not indexed: {}",
        added.body
    );
    let search = json!({"query": canaries.file});
    let searched = client
        .expect(200, Request::post(format!("/v1/vector_stores/{store}/search"), &search))
        .await?;
    found(canaries, &searched.body, "file")?;
    Ok((store, batch))
}

/// A value that the room's plugins keep, under a key that B knows.
async fn plant_value(client: &Client, canaries: &Canaries) -> Result<()> {
    let put = Request::new(Method::PUT, "/v1/plugins/isolation-caller".to_owned()).bytes("application/wasm", CALLER);
    let version = text(&client.expect(201, put).await?.json(), "/version");
    let choice = format!("isolation-caller@{version}");
    client
        .expect(
            200,
            Request::put("/v1/pipeline", &json!({"stages": {"prompting": choice}})),
        )
        .await?;
    let key = &canaries.needle;
    let calls = json!([
        ["kv.set", key, canaries.value, VALUE_SECONDS],
        ["kv.get", key],
        ["documents.list", null, 100]
    ]);
    set(client, &json!({ "calls": calls })).await?;
    let base = room::base_model(client).await?;
    let asked = client.expect(200, question(&base, &canaries.needle)).await?;
    found(canaries, &asked.body, "value of a plugin")?;
    found(canaries, &asked.body, "document title")?;
    found(canaries, &asked.body, "document metadata")
}

/// What is no longer as it was when it was planted.
pub async fn harm(client: &Client, canaries: &Canaries, planted: &Planted) -> Result<Vec<String>> {
    let now = show(
        client,
        canaries,
        &Shown {
            document: &planted.document,
            document_job: &planted.document_job,
            file: &planted.file,
            vector_store: &planted.vector_store,
            response: &planted.response,
            model: &planted.model,
        },
    )
    .await
    .context("A's own things cannot be read any more")?;
    // An upload shows nothing of itself: what nobody has ended or added to can be completed.
    let joined = client
        .expect(200, complete_upload(&planted.upload, &planted.part))
        .await
        .context("A's upload cannot be completed any more")?;
    let path = format!("/v1/files/{}/content", text(&joined.json(), "/file/id"));
    found(canaries, &client.expect(200, Request::get(path)).await?.body, "file")?;
    let changed = planted.shown.iter().zip(now).filter(|(before, now)| *before != now);
    Ok(changed
        .map(|((what, before), (_, now))| format!("A's {what} changed from {before} to {now}"))
        .collect())
}

/// A fact that only this room knows, beside a word that may be searched for.
fn document(canaries: &Canaries) -> Value {
    json!({
        "title": format!("Vault {}", canaries.title),
        "text": format!("The code of the {} vault is {}. Nobody else may know it.", canaries.needle, canaries.text),
        "metadata": {"isolation": canaries.run, "project": canaries.metadata},
    })
}

/// The request under an idempotency key.
pub fn once(request: Request, key: &str) -> Request {
    request.header("idempotency-key", key)
}

/// The greedy answer has the passages with the document and the price, from which it was made.
pub fn question(model: &str, needle: &str) -> Request {
    let text = format!("What is the code of the {needle} vault?");
    let messages = json!([{"role": "user", "content": text}]);
    Request::post(
        "/v1/chat/completions",
        &json!({"model": model, "messages": messages, "temperature": 0, "max_tokens": 64}),
    )
}

/// The same as a response, which the room keeps.
pub fn response(model: &str, needle: &str) -> Request {
    let text = format!("What is the code of the {needle} vault?");
    Request::post(
        "/v1/responses",
        &json!({"model": model, "input": text, "temperature": 0, "max_output_tokens": 64}),
    )
}

/// A request that uploads an adapter whose generation no other has: the mark is part of the configuration.
pub fn put_adapter(alias: &str, files: &AdapterFiles, mark: &str) -> Result<Request> {
    let mut config: Value = serde_json::from_slice(&files.config).context("adapter_config.json is not JSON")?;
    if let Some(config) = config.as_object_mut() {
        config.insert("isolation_suite".into(), mark.into());
    }
    let put = Request::new(Method::PUT, format!("/v1/adapters/{alias}"));
    Ok(form(
        put,
        &[
            (
                "adapter_config.json",
                Some("adapter_config.json"),
                config.to_string().as_bytes(),
            ),
            (
                "adapter_model.safetensors",
                Some("adapter_model.safetensors"),
                files.weights.as_ref(),
            ),
        ],
    ))
}

/// A request that keeps a file, which is a JSON text, under the name of the run.
pub fn keep_file(run: &str, word: &str) -> Request {
    form(
        Request::new(Method::POST, "/v1/files".to_owned()),
        &[
            ("purpose", None, b"user_data"),
            ("file", Some(&format!("{run}.json")), file_text(word).as_bytes()),
        ],
    )
}

/// A request that begins the same file as an upload.
fn begin_upload(run: &str, word: &str) -> Request {
    let bytes = file_text(word).len();
    Request::post(
        "/v1/uploads",
        &json!({"filename": format!("{run}.json"), "purpose": "user_data", "bytes": bytes, "mime_type": "application/json"}),
    )
}

/// A request that sends all of it as one part.
pub fn send_part(upload: &str, word: &str) -> Request {
    form(
        Request::new(Method::POST, format!("/v1/uploads/{upload}/parts")),
        &[("data", Some("upload"), file_text(word).as_bytes())],
    )
}

pub fn complete_upload(upload: &str, part: &str) -> Request {
    Request::post(format!("/v1/uploads/{upload}/complete"), &json!({"part_ids": [part]}))
}

fn file_text(word: &str) -> String {
    format!("\"{word}\"")
}

/// The request with these fields: a name, a file's name, and bytes.
fn form(request: Request, fields: &[(&str, Option<&str>, &[u8])]) -> Request {
    const BOUNDARY: &str = "riad-isolation-boundary";
    let mut body = Vec::new();
    for (name, file, bytes) in fields {
        let file = file.map_or(String::new(), |file| {
            format!("; filename=\"{file}\"\r\ncontent-type: application/octet-stream")
        });
        let head = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    request.bytes(&format!("multipart/form-data; boundary={BOUNDARY}"), body)
}

/// A component with a custom section at its end: it runs as before, under another digest.
fn with_custom_section(component: &[u8], content: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"isolation";
    let mut section = leb128(NAME.len());
    section.extend_from_slice(NAME);
    section.extend_from_slice(content);
    let mut bytes = component.to_vec();
    bytes.push(0);
    bytes.extend(leb128(section.len()));
    bytes.extend(section);
    bytes
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

async fn set(client: &Client, settings: &Value) -> Result<()> {
    client.expect(200, Request::put("/v1/settings", settings)).await?;
    Ok(())
}

/// A canary that is not where it was put would never be seen elsewhere.
fn found(canaries: &Canaries, text: &str, what: &str) -> Result<()> {
    if canaries.find(text).iter().any(|found| found.what == what) {
        return Ok(());
    }
    bail!("the canary \"{what}\" is not where it was planted: {text}")
}

/// The ids of what is shown.
struct Shown<'a> {
    document: &'a str,
    document_job: &'a str,
    file: &'a str,
    vector_store: &'a str,
    response: &'a str,
    model: &'a str,
}

/// Everything that the tenant sees of its own, without what changes by itself.
async fn show(client: &Client, canaries: &Canaries, ids: &Shown<'_>) -> Result<Vec<(&'static str, Value)>> {
    let Shown {
        document,
        document_job,
        file,
        vector_store,
        response,
        model,
    } = ids;
    let mut shown = Vec::new();
    for (what, path) in [
        ("document", format!("/v1/documents/{document}")),
        ("document's job", format!("/v1/documents/jobs/{document_job}")),
        ("file", format!("/v1/files/{file}")),
        // A JSON text.
        ("content of the file", format!("/v1/files/{file}/content")),
        ("list of files", "/v1/files".into()),
        ("list of vector stores", "/v1/vector_stores".into()),
        ("vector store", format!("/v1/vector_stores/{vector_store}")),
        (
            "files of the vector store",
            format!("/v1/vector_stores/{vector_store}/files"),
        ),
        (
            "text of its file",
            format!("/v1/vector_stores/{vector_store}/files/{file}/content"),
        ),
        ("response", format!("/v1/responses/{response}")),
        ("input of the response", format!("/v1/responses/{response}/input_items")),
        ("list of documents", "/v1/documents?limit=100".into()),
        ("list of adapters", "/v1/adapters".into()),
        ("list of plugins", "/v1/plugins".into()),
        ("pipeline", "/v1/pipeline".into()),
        ("settings", "/v1/settings".into()),
    ] {
        shown.push((what, client.expect(200, Request::get(path)).await?.json()));
    }
    let search = Request::post("/v1/search", &json!({"query": canaries.needle, "limit": 3}));
    shown.push(("search", client.expect(200, search).await?.json()));
    let answer = client.expect(200, question(model, &canaries.needle)).await?.json();
    for pointer in ["/choices", "/riad/passages", "/riad/receipt"] {
        let mut part = answer.pointer(pointer).cloned().unwrap_or_default();
        // Fuel depends on how the answer was cut into pieces on its way through the filter; the others are new for each request.
        if let Some(receipt) = part.as_object_mut() {
            for name in ["fuel", "number", "request", "jws"] {
                receipt.remove(name);
            }
        }
        shown.push(("chat", part));
    }
    Ok(shown)
}

fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_in_seven_bits_a_byte() {
        assert_eq!(leb128(0), [0]);
        assert_eq!(leb128(127), [127]);
        assert_eq!(leb128(128), [0x80, 1]);
        assert_eq!(leb128(624_485), [0xe5, 0x8e, 0x26]);
    }

    #[test]
    fn an_adapter_with_another_mark_has_other_bytes() {
        let body = |mark| {
            put_adapter("a", &AdapterFiles::default(), mark)
                .unwrap()
                .body
                .unwrap()
                .1
        };
        assert_ne!(body("one"), body("two"));
        assert!(body("one").starts_with(b"--riad-isolation-boundary\r\n"));
    }
}
