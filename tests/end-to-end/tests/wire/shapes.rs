//! What clients read of each answer is a committed snapshot: names, types, and the words that programs act by, of answers, events and
//! errors. To update it: `INSTA_UPDATE=always cargo test --release --workspace --test wire shapes`. Not here: values, in the other suites.

use reqwest::Method;
use riad_end_to_end::{Answer, Caller, EMBEDDER, MODEL, TestHost};
use serde_json::{Map, Value, json};
use std::fmt::Write;

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";
/// Members whose words are few and known.
const WORDS: [&str; 8] = [
    "object",
    "type",
    "role",
    "finish_reason",
    "stop_reason",
    "status",
    "code",
    "param",
];

/// Its types instead of its values, and of a list each shape once.
fn shape(name: &str, value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(_) if WORDS.contains(&name) => value.clone(),
        Value::String(_) => json!("string"),
        Value::Array(list) => {
            let mut shapes: Vec<Value> = list.iter().map(|item| shape(name, item)).collect();
            shapes.dedup();
            shapes.into()
        }
        // By their texts.
        Value::Object(tokens) if name == "top_logprobs" && tokens.values().all(Value::is_number) => {
            json!({"text of a token": "number"})
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let shapes = members
                .into_iter()
                .map(|(name, value)| (name.clone(), shape(name, value)));
            shapes.collect::<Map<_, _>>().into()
        }
    }
}

/// An answer, or all events of a stream; equal ones that follow each other once.
fn parts(answer: &Answer) -> Vec<Value> {
    if !answer.header("content-type").starts_with("text/event-stream") {
        return vec![shape("", &answer.json())];
    }
    let data = answer.body.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| json!({ "type": data })));
    let mut events: Vec<Value> = events.map(|event: Value| shape("", &event)).collect();
    events.dedup();
    events
}

fn with(body: &Value, more: &Value) -> Value {
    let mut body = body.clone();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Requests that are answered, each whole and as a stream if there is one.
fn requests() -> Vec<(&'static str, &'static str, Value)> {
    let parameters = json!({
        "type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"], "additionalProperties": false,
    });
    let ask = json!([{"role": "user", "content": "What is the refund window?"}]);
    let chat = json!({"model": MODEL, "messages": ask, "max_tokens": 60, "temperature": 0});
    let response = json!({"model": MODEL, "input": ask, "max_output_tokens": 60, "temperature": 0});
    let function = json!({"name": "answer", "description": "Answers.", "parameters": parameters});
    let tool = json!({"tools": [{"type": "function", "function": function}], "tool_choice": "required", "parallel_tool_calls": false});
    let flat = json!({"tools": [with(&json!({"type": "function"}), &function)], "tool_choice": "required", "parallel_tool_calls": false});
    let schema = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": parameters}});
    let custom = json!({
        "tools": [{"name": "answer", "input_schema": parameters}], "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
    });
    let completion = json!({"model": MODEL, "prompt": "The refund window is", "max_tokens": 4, "temperature": 0});
    vec![
        ("chat", CHAT, chat.clone()),
        (
            "chat with logprobs",
            CHAT,
            with(&chat, &json!({"logprobs": true, "top_logprobs": 1, "max_tokens": 2})),
        ),
        ("chat with a tool", CHAT, with(&chat, &tool)),
        (
            "chat with a schema",
            CHAT,
            with(&chat, &json!({ "response_format": schema })),
        ),
        ("completion", COMPLETIONS, completion.clone()),
        (
            "completion with logprobs",
            COMPLETIONS,
            with(&completion, &json!({"logprobs": 1})),
        ),
        ("response", RESPONSES, response.clone()),
        ("response with a tool", RESPONSES, with(&response, &flat)),
        ("message", MESSAGES, chat.clone()),
        ("message with a tool", MESSAGES, with(&chat, &custom)),
        (
            "embeddings",
            "/v1/embeddings",
            json!({"model": EMBEDDER, "input": ["a", "b"]}),
        ),
        ("tokens", "/v1/tokenize", json!({"model": MODEL, "prompt": "a b"})),
        (
            "texts of tokens",
            "/v1/detokenize",
            json!({"model": MODEL, "tokens": [1, 2]}),
        ),
        (
            "count of tokens",
            "/v1/messages/count_tokens",
            json!({"model": MODEL, "messages": ask}),
        ),
    ]
}

async fn answers(acme: &Caller) -> Vec<(String, Answer)> {
    let mut answers = Vec::new();
    for (name, path, body) in requests() {
        answers.push((name.to_owned(), acme.post(path, &body).await));
        if [CHAT, COMPLETIONS, RESPONSES, MESSAGES].contains(&path) {
            let mut streamed = with(&body, &json!({"stream": true}));
            if [CHAT, COMPLETIONS].contains(&path) {
                streamed["stream_options"] = json!({"include_usage": true});
            }
            answers.push((format!("{name}, streamed"), acme.post(path, &streamed).await));
        }
    }
    for path in ["/v1/models", "/v1/models/none"] {
        answers.push((format!("GET {path}"), acme.get(path).await));
    }
    let nobody = acme.with_key("riad_sk_none");
    for path in [CHAT, COMPLETIONS, RESPONSES, MESSAGES] {
        for (name, caller, body) in [
            ("an unknown model", acme, json!({"model": "none"})),
            ("a wrong value", acme, json!({"temperature": 9})),
            ("an unknown key", &nobody, json!({})),
        ] {
            let (_, _, valid) = requests().into_iter().find(|(_, of, _)| *of == path).unwrap();
            answers.push((
                format!("{path} with {name}"),
                caller.post(path, &with(&valid, &body)).await,
            ));
        }
        let method = acme.request(Method::PUT, path);
        answers.push((format!("PUT {path}"), acme.send(method).await));
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_read_is_the_committed_shape() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let mut text = String::new();
    for (name, answer) in answers(&acme).await {
        writeln!(text, "== {name}: {}", answer.status.as_u16()).unwrap();
        for part in parts(&answer) {
            writeln!(text, "{part}").unwrap();
        }
    }
    insta::assert_snapshot!("shapes", text);
}
