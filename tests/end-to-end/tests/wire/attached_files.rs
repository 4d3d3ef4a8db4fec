//! Files in the messages of chats and responses: their text is what the model reads, once the request is admitted, and what cannot be read is
//! refused by name.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use riad_end_to_end::{Caller, MODEL, Tenant, TestHost};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const MANUAL: &[u8] = include_bytes!("../../files/manual.pdf");

async fn keep(tenant: &Tenant, name: &str, bytes: &[u8]) -> String {
    let file = Part::bytes(bytes.to_vec()).file_name(name.to_owned());
    let form = Form::new().text("purpose", "user_data").part("file", file);
    let request = tenant.request(Method::POST, "/v1/files").multipart(form);
    tenant.send(request).await.text("/id")
}

fn text_of(bytes: &[u8]) -> String {
    format!("data:text/plain;base64,{}", STANDARD.encode(bytes))
}

/// A chat with a file before the question.
fn chat(file: Value) -> Value {
    let content = json!([{"type": "file", "file": file}, {"type": "text", "text": "What hums?"}]);
    json!({"model": MODEL, "messages": [{"role": "user", "content": content}], "max_tokens": 8, "temperature": 0})
}

/// The same as a response.
fn response(file: Value) -> Value {
    let mut part = file;
    part["type"] = json!("input_file");
    let content = json!([part, {"type": "input_text", "text": "What hums?"}]);
    json!({"model": MODEL, "input": [{"role": "user", "content": content}], "max_output_tokens": 8, "temperature": 0})
}

async fn prompt_tokens(caller: &Caller, file: Value) -> (u64, u64) {
    let chat = caller.post(CHAT, &chat(file.clone())).await.ok();
    let response = caller.post(RESPONSES, &response(file)).await.ok();
    (
        chat["usage"]["prompt_tokens"].as_u64().unwrap(),
        response["usage"]["input_tokens"].as_u64().unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_reads_the_text_of_a_file() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let plain = json!({"model": MODEL, "messages": [{"role": "user", "content": "What hums?"}], "max_tokens": 8});
    let plain = tenant.post(CHAT, &plain).await.ok();
    let plain = plain["usage"]["prompt_tokens"].as_u64().unwrap();
    let text = b"The pump in the hall hums at night.";
    let kept = keep(&tenant, "pump.txt", text).await;
    // However it is sent, the prompt is the same, and has the text.
    let (by_id, of_response) = prompt_tokens(&tenant, json!({"file_id": kept})).await;
    assert!(by_id > plain + 8, "{by_id} tokens with the file and {plain} without");
    assert_eq!(by_id, of_response);
    for data in [text_of(text), STANDARD.encode(text)] {
        let sent = json!({"filename": "pump.txt", "file_data": data});
        assert_eq!(prompt_tokens(&tenant, sent).await, (by_id, by_id));
    }
    // It is no document of the room, and nothing else is kept of it.
    assert_eq!(tenant.get("/v1/documents").await.ok()["data"], json!([]));
    assert_eq!(tenant.get("/v1/files").await.ok()["data"].as_array().unwrap().len(), 1);
    // A PDF has its text, and the receipt says by what it was made, and what that cost.
    let manual = keep(&tenant, "manual.pdf", MANUAL).await;
    let answer = tenant.post(CHAT, &chat(json!({"file_id": manual}))).await.ok();
    let receipt = &answer["riad"]["receipt"];
    assert!(receipt["plugins"]["extraction"].is_string(), "{receipt}");
    let plain = tenant.post(CHAT, &chat(json!({"file_id": kept}))).await.ok();
    let fuel = |answer: &Value| answer["riad"]["receipt"]["fuel"].as_u64().unwrap();
    assert!(fuel(&answer) > fuel(&plain), "{receipt}");
    // As a stream, too.
    let mut streamed = chat(json!({"file_id": manual}));
    streamed["stream"] = json!(true);
    let sent = tenant.request(Method::POST, CHAT).json(&streamed).send().await.unwrap();
    assert_eq!(sent.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_keeps_its_files() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let kept = keep(&tenant, "pump.txt", b"The pump in the hall hums at night.").await;
    let first = tenant.post(RESPONSES, &response(json!({"file_id": kept}))).await.ok();
    let items = tenant
        .get(&format!("{RESPONSES}/{}/input_items", first["id"].as_str().unwrap()))
        .await
        .ok();
    let part = &items["data"][0]["content"][0];
    assert_eq!(
        (&part["type"], &part["file_id"]),
        (&json!("input_file"), &json!(kept)),
        "{items}"
    );
    let next = json!({"model": MODEL, "input": "And by day?", "previous_response_id": first["id"],
        "max_output_tokens": 8, "temperature": 0});
    let with_file = tenant.post(RESPONSES, &next).await.ok();
    let without = json!({"model": MODEL, "max_output_tokens": 8, "temperature": 0, "input": [
        {"role": "user", "content": "What hums?"}, first["output"][0], {"role": "user", "content": "And by day?"}]});
    let without = tenant.post(RESPONSES, &without).await.ok();
    let tokens = |response: &Value| response["usage"]["input_tokens"].as_u64().unwrap();
    assert!(tokens(&with_file) > tokens(&without), "{with_file}");
    // The conversation cannot go on without its file.
    tenant.delete(&format!("/v1/files/{kept}")).await.ok();
    let refused = tenant.post(RESPONSES, &next).await.refused(404, "not_found");
    assert_eq!(refused.text("/error/param"), "previous_response_id", "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_refused_by_name() {
    let host = TestHost::builder()
        .limits(|limits| limits.file_bytes = 100_000)
        .max_sequences(1)
        .start()
        .await;
    let tenant = host.tenant("acme").await;
    let globex = host.tenant("globex").await;
    let foreign = keep(&globex, "a.txt", b"the zebrafish sleeps").await;
    let noise: Vec<u8> = (0..=255).collect();
    let noise = keep(&tenant, "noise.bin", &noise).await;
    let large = keep(&tenant, "large.txt", &[b'a'; 100_001]).await;
    let long = keep(&tenant, "long.txt", "The pump hums. ".repeat(6_000).as_bytes()).await;
    for (file, status, code, member) in [
        (json!({"file_id": foreign}), 404, "not_found", "file_id"),
        (json!({"file_id": "file-none"}), 404, "not_found", "file_id"),
        (json!({"file_id": "NO"}), 404, "not_found", "file_id"),
        (json!({"file_id": noise}), 415, "unsupported_file", "file_id"),
        (json!({"file_id": large}), 413, "too_large", "file_id"),
        (json!({"file_id": long}), 400, "context_length_exceeded", "file_id"),
        (json!({"file_data": "Hello!"}), 400, "", "file_data"),
        (json!({"file_data": ""}), 400, "", "file_data"),
        (
            json!({"filename": "a.png", "file_data": text_of(b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d")}),
            415,
            "unsupported_file",
            "file_data",
        ),
        (json!({"filename": "a.txt"}), 400, "", ""),
    ] {
        let dot = if member.is_empty() { "" } else { "." };
        let refused = tenant.post(CHAT, &chat(file.clone())).await.refused(status, code);
        let param = format!("messages[0].content[0].file{dot}{member}");
        assert_eq!(refused.text("/error/param"), param, "{file}: {}", refused.body);
        let refused = tenant
            .post(RESPONSES, &response(file.clone()))
            .await
            .refused(status, code);
        let param = format!("input[0].content[0]{dot}{member}");
        assert_eq!(refused.text("/error/param"), param, "{file}: {}", refused.body);
    }
    let url = json!({"file_url": "http://127.0.0.1:1/a.pdf"});
    let refused = tenant.post(RESPONSES, &response(url)).await.refused(400, "");
    assert_eq!(refused.text("/error/param"), "input[0].content[0].file_url");
    // Only the user sends files.
    let part = json!([{"type": "file", "file": {"file_id": long}}]);
    let said =
        json!({"model": MODEL, "messages": [{"role": "assistant", "content": part}, {"role": "user", "content": "a"}]});
    let refused = tenant.post(CHAT, &said).await.refused(400, "");
    assert_eq!(refused.text("/error/param"), "messages[0].content[0]");
    // Whoever may not read the tenant's files does not read them through a chat.
    let body = json!({"name": "chats", "role": "user", "scopes": ["chat"]});
    let chats = tenant.with_key(&tenant.post("/v1/keys", &body).await.text("/key"));
    let refused = chats.post(CHAT, &chat(json!({"file_id": long}))).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    chats
        .post(CHAT, &chat(json!({"file_data": text_of(b"A pump.")})))
        .await
        .ok();
    // Nothing of it was run before the request was admitted.
    host.change("acme", json!({"limits": {"requests_per_minute": 1}})).await;
    for _ in 0..2 {
        tenant.post(CHAT, &chat(json!({"file_id": noise}))).await;
    }
    let refused = tenant.post(CHAT, &chat(json!({"file_id": noise}))).await;
    assert_eq!(refused.status, 429, "{}", refused.body);
}
