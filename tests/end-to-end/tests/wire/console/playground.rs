//! What the controls of the playground do: model, adapter, temperature, tools and the end of an answer. Not here: what its page shows (`pages`).

use super::reader::{Reader, with_form};
use futures::StreamExt;
use reqwest::{Method, StatusCode};
use riad_end_to_end::{MODEL, TestHost, files::Adapter};
use riad_fakes::model_server::{Fault, ModelServer, Script};
use serde_json::{Value, json};
use std::time::Duration;

const STREAM: &str = "/console/playground/stream";
/// `eos_token_id` of the model that ships, whose tokenizer the other server has.
const END: u32 = 5;

/// A server whose model is another one's, which says what it is told to.
pub struct Said {
    pub host: TestHost,
    _model: ModelServer,
    _adapters: tempfile::TempDir,
}

/// `pause` is before each token.
pub async fn saying(text: &str, pause: Duration) -> Said {
    let script = |tokens: Vec<u32>| Script {
        events: tokens.into_iter().chain([END]).map(|token| vec![token]).collect(),
        texts: Vec::new(),
        finish: "stop",
        fault: Fault::None,
        pause,
    };
    let model = ModelServer::start(script(Vec::new())).await;
    let adapters = tempfile::tempdir().unwrap();
    let (endpoint, folder) = (model.base(), adapters.path().to_owned());
    let host = TestHost::builder()
        .config(|config| {
            config.engine.endpoints = vec![endpoint];
            config.engine.adapter_folder = Some(folder);
        })
        .start()
        .await;
    let body = json!({"model": MODEL, "prompt": text});
    let counted = host.tenant("counter").await.post("/v1/tokenize", &body).await.ok();
    model.answer(script(serde_json::from_value(counted["tokens"].clone()).unwrap()));
    Said {
        host,
        _model: model,
        _adapters: adapters,
    }
}

/// What stands beside the answer.
pub async fn end_of(reader: &Reader, fields: &[(&str, &str)]) -> Value {
    let streamed = reader.post(STREAM, fields).await.ok();
    let end = streamed.events("end").pop();
    end.unwrap_or_else(|| panic!("no end: {}", streamed.html))
}

async fn ask(reader: &Reader, fields: &[(&str, &str)]) -> Value {
    let question = [&[("question", "Who are you?")], fields].concat();
    end_of(reader, &question).await
}

fn fact(end: &Value, label: &str) -> Option<String> {
    let facts = end["facts"].as_array().unwrap();
    let found = facts.iter().find(|fact| fact["label"] == label)?;
    Some(found["value"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_control_has_its_effect() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    acme.put_adapter("voice", &Adapter::acme()).await.ok();
    let mut reader = Reader::sign_in(&host, &acme.key).await;
    let adapter = format!("{MODEL}:voice");
    let page = reader.get("/console/playground").await.ok();
    assert!(page.html.contains(&format!("value=\"{adapter}\"")), "{}", page.html);
    let base = ask(&reader, &[("model", MODEL), ("max_tokens", "3")]).await;
    assert_eq!(fact(&base, "Completion").unwrap(), "3 tokens", "{base}");
    assert_eq!(base["finish"], "max_tokens reached");
    assert_eq!(fact(&base, "Adapter generation"), None);
    let fields = [
        ("model", adapter.as_str()),
        ("max_tokens", "3"),
        ("system", "Be brief, 4711."),
    ];
    let adapted = ask(&reader, &fields).await;
    assert!(fact(&adapted, "Adapter generation").is_some(), "{adapted}");
    assert_eq!(adapted["prompt"][0]["content"], "Be brief, 4711.", "{adapted}");

    let at = async |temperature: &str| {
        let fields = [("model", MODEL), ("temperature", temperature), ("max_tokens", "60")];
        ask(&reader, &fields).await["text"].clone()
    };
    let cold = at("0").await;
    assert_eq!(at("0").await, cold);
    assert!(at("2").await != cold || at("2").await != cold, "{cold}");
    let too_warm = [("question", "Who are you?"), ("model", MODEL), ("temperature", "9")];
    let refused = reader.post("/console/playground", &too_warm).await.refused(400);
    assert!(refused.html.contains("temperature must be"), "{}", refused.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_of_the_asker_is_called_and_in_every_snippet() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let mut reader = Reader::sign_in(&host, &acme.key).await;
    reader.get("/console/playground").await.ok();
    let parameters = json!({
        "type": "object",
        "properties": {"product": {"enum": ["Kestrel"]}},
        "required": ["product"],
        "additionalProperties": false,
    });
    let tools = json!([{"type": "function", "function": {"name": "look_up", "parameters": parameters}}]).to_string();
    let question = [
        ("question", "How long is the warranty of the Kestrel drill?"),
        ("model", MODEL),
        ("tools", tools.as_str()),
        ("tool_choice", "required"),
        ("temperature", "0"),
        ("max_tokens", "200"),
    ];
    let end = end_of(&reader, &question).await;
    assert_eq!(end["finish"], "wants its tools called", "{end}");
    assert_eq!(end["calls"][0]["label"], "look_up");
    assert!(end["calls"][0]["value"].to_string().contains("Kestrel"), "{end}");
    for snippet in end["snippets"].as_array().unwrap() {
        let code = snippet["code"].as_str().unwrap();
        assert!(
            code.contains("look_up") && code.contains("tool_choice") && code.contains("required"),
            "{code}"
        );
    }
    // Without scripts, the turn has the call, too, and the form keeps what was chosen.
    let page = reader.post("/console/playground", &question).await.ok();
    assert!(page.html.contains("<code class=\"call\">look_up "), "{}", page.html);
    assert!(page.html.contains("value=\"required\" selected"), "{}", page.html);
    let wrong = question.map(|(name, value)| (name, if name == "tools" { "[{}]" } else { value }));
    let refused = reader.post("/console/playground", &wrong).await.refused(400);
    assert!(refused.html.contains("tools must be a JSON list"), "{}", refused.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_reads_ends() {
    const WORDS: u64 = 200;
    // Ten seconds, if it is not stopped.
    let Said { host, .. } = &saying(&"lamp ".repeat(WORDS as usize), Duration::from_millis(50)).await;
    let acme = host.tenant("acme").await;
    let mut reader = Reader::sign_in(host, &acme.key).await;
    reader.get("/console/playground").await.ok();
    let fields = [
        ("csrf", reader.token.as_str()),
        ("question", "Who are you?"),
        ("model", MODEL),
    ];
    let asked = with_form(reader.request(Method::POST, STREAM), &fields)
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), StatusCode::OK);
    let mut pieces = asked.bytes_stream();
    let mut text = String::new();
    while !text.contains("event: text") {
        text += std::str::from_utf8(&pieces.next().await.unwrap().unwrap()).unwrap();
    }
    // As the button "Stop" does.
    drop(pieces);
    let entries = host.entries_when("acme", 1).await;
    assert_eq!(entries[0]["outcome"], "cancelled", "{entries:?}");
    assert!(entries[0]["completion_tokens"].as_u64().unwrap() < WORDS, "{entries:?}");
}
