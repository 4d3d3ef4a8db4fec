//! What people, their files, plugins and the model wrote is text on every page.

use super::{
    playground::{Said, end_of, saying},
    reader::{Page, Reader},
};
use reqwest::Method;
use riad_end_to_end::{MODEL, TestHost, files};
use serde_json::{Value, json};
use std::time::Duration;

const SCRIPT: &str = "<script>hacked()</script><img src=x onerror=hacked()>\"'><b>bold</b>";
/// What of it would be code if it stood in a page as it is.
const RAW: [&str; 3] = ["<script>hacked", "<img src=x", "<b>bold"];

#[tokio::test(flavor = "multi_thread")]
async fn what_people_wrote_is_text_on_every_page() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    host.change("acme", json!({"name": SCRIPT})).await;
    let mut tenant = Reader::sign_in(&host, &acme.key).await;
    let mut operator = Reader::sign_in(&host, "riad_op_end_to_end_tests").await;

    tenant.get("/console/documents").await.ok();
    let text = format!("The code of the vault is 4711. {SCRIPT}");
    let fields = [("title", SCRIPT), ("text", text.as_str()), ("format", "text")];
    let document = tenant.post("/console/documents", &fields).await.taken();
    let boundary = "XX";
    let part = "content-disposition: form-data; name=\"file\"; filename=\"<b>bold<img src=x>.txt\"\r\ncontent-type: text/plain";
    let upload = format!("--{boundary}\r\n{part}\r\n\r\n{text}\r\n--{boundary}--\r\n");
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let added = tenant
        .send(Method::POST, "/console/api/v1/documents", &content_type, upload)
        .await;
    assert!(added.status.is_success(), "{}", added.html);
    acme.put("/v1/settings", &json!({"shop": SCRIPT})).await.ok();
    let named = json!({"name": SCRIPT, "role": "user"});
    acme.post("/v1/keys", &named).await.ok();

    let question = format!("What is the code of the vault? {SCRIPT}");
    tenant.get("/console/playground").await.ok();
    let asked = tenant
        .post("/console/playground", &[("question", &question), ("model", MODEL)])
        .await
        .ok();
    // A setting that the plugin cannot read is what it says in its log.
    acme.deploy("desk", files::PRICE_DESK, &["prompting"]).await;
    acme.put("/v1/settings", &json!({"shop": SCRIPT, "prices": SCRIPT}))
        .await
        .ok();
    let failed = tenant
        .post("/console/playground", &[("question", &question), ("model", MODEL)])
        .await
        .refused(422);
    let logged = acme.get("/v1/logs").await.ok().to_string();
    assert!(logged.contains("<b>bold"), "{logged}");
    let mut shown = vec![("the answer", asked), ("an answer that failed", failed)];
    for path in [
        document.as_str(),
        "/console/playground",
        "/console/documents",
        "/console/documents/search?q=vault",
        "/console/documents/search?q=%3Cscript%3Ehacked()%3C/script%3E%22%27%3E%3Cb%3Ebold",
        "/console/plugins",
        "/console/plugins/settings",
        "/console/plugins/of/desk",
        "/console/plugins/logs",
        "/console/usage?by=key",
        "/console/keys",
        "/console/receipts",
    ] {
        shown.push((path, tenant.get(path).await.ok()));
    }
    for path in [
        "/console/overview",
        "/console/tenants",
        "/console/tenants/acme",
        "/console/fairness",
        "/console/rooms",
        "/console/audit",
    ] {
        shown.push((path, operator.get(path).await.ok()));
    }
    for path in ["/console/documents/%3Cb%3Ebold", "/console/adapters/%3Cb%3Ebold"] {
        shown.push((path, tenant.get(path).await.refused(404)));
    }
    for (path, page) in &shown {
        check_inert(path, page);
    }
    let log = shown.iter().find(|(path, _)| *path == "/console/plugins/logs").unwrap();
    assert!(log.1.html.contains("&lt;b&gt;bold"), "the log line is not shown");
    let escaped = shown.iter().filter(|(_, page)| page.html.contains("&lt;b&gt;bold"));
    assert!(escaped.count() > 6, "what was written is not shown");
}

fn check_inert(path: &str, page: &Page) {
    for raw in RAW {
        assert!(!page.html.contains(raw), "{path} has {raw}: {}", page.html);
    }
}

/// It is shown, and as text.
fn check_shown(path: &str, page: &Page) {
    check_inert(path, page);
    assert!(
        page.html.contains("&lt;b&gt;bold"),
        "{path} does not show it: {}",
        page.html
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_answers_is_text() {
    let Said { host, .. } = &saying(SCRIPT, Duration::ZERO).await;
    let acme = host.tenant("acme").await;
    let mut reader = Reader::sign_in(host, &acme.key).await;
    reader.get("/console/playground").await.ok();
    let question = [("question", "Who are you?"), ("model", MODEL)];
    check_shown("an answer", &reader.post("/console/playground", &question).await.ok());
    let history = json!([{"role": "user", "content": "Hello"}, {"role": "assistant", "content": SCRIPT}]).to_string();
    let again = [question.as_slice(), &[("history", history.as_str())]].concat();
    check_shown(
        "an answer behind it",
        &reader.post("/console/playground", &again).await.ok(),
    );
    // To a script it goes as it is, in what no browser takes for a page.
    let streamed = reader.post("/console/playground/stream", &question).await.ok();
    let text: String = streamed
        .events("text")
        .iter()
        .map(|event| event["text"].as_str().unwrap())
        .collect();
    assert_eq!(text, SCRIPT);
    assert_eq!(streamed.headers["content-type"], "text/event-stream");
    assert_eq!(streamed.headers["x-content-type-options"], "nosniff");
    for path in ["/console/playground", "/console/receipts", "/console/usage"] {
        check_inert(path, &reader.get(path).await.ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_a_model_writes_are_text() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let mut reader = Reader::sign_in(&host, &acme.key).await;
    reader.get("/console/playground").await.ok();
    // The grammar leaves the model no other value.
    let parameters = json!({
        "type": "object",
        "properties": {"code": {"enum": [SCRIPT]}},
        "required": ["code"],
        "additionalProperties": false,
    });
    let tools = json!([{"type": "function", "function": {"name": "look_up", "parameters": parameters}}]).to_string();
    let question = [
        ("question", "What is the code?"),
        ("model", MODEL),
        ("tools", tools.as_str()),
        ("tool_choice", "required"),
        ("temperature", "0"),
        ("max_tokens", "200"),
    ];
    check_shown("a call", &reader.post("/console/playground", &question).await.ok());
    let end = end_of(&reader, &question).await;
    let arguments: Value = serde_json::from_str(end["calls"][0]["value"].as_str().unwrap()).unwrap();
    assert_eq!(arguments["code"], SCRIPT, "{end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_logs_is_text() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    acme.deploy("statement", files::STATEMENT, &["prompting"]).await;
    // The database says which table it does not find, and the plugin fails with that, which is logged.
    let statement = format!("SELECT * FROM \"{}\"", SCRIPT.replace('"', "\"\""));
    acme.put("/v1/settings", &json!({"statement": statement})).await.ok();
    let mut reader = Reader::sign_in(&host, &acme.key).await;
    reader.get("/console/playground").await.ok();
    let question = [("question", "Who are you?"), ("model", MODEL)];
    let failed = reader.post("/console/playground", &question).await.refused(422);
    check_shown("a failed answer", &failed);
    let streamed = reader.post("/console/playground/stream", &question).await.ok();
    let message = &streamed.events("failure")[0]["message"];
    assert!(message.as_str().unwrap().contains(SCRIPT), "{message}");
    for path in ["/console/plugins/logs", "/console/plugins/settings"] {
        check_shown(path, &reader.get(path).await.ok());
    }
    let statistics = reader.get("/console/plugins/of/statement").await.ok();
    check_inert("statistics", &statistics);
    // Making an instance is a call, too.
    assert!(statistics.html.contains("2 of 4 calls (50 %)"), "{}", statistics.html);
    let line = reader.first_event("/console/plugins/logs/stream?after=0").await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert!(
        line["level"] == "error" && line["message"].as_str().unwrap().contains(SCRIPT),
        "{line}"
    );
}
