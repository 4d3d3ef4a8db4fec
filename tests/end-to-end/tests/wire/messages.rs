//! Anthropic's endpoints, as its clients use them. Not here: what an answer depends on (`rooms`, `adapters`, `plugin`), which is the same as
//! for a chat.

mod answers;
mod counts;
mod errors;
mod members;
mod tools;

use riad_end_to_end::{Answer, Caller, MODEL};
use serde_json::{Value, json};

const MESSAGES: &str = "/v1/messages";
const COUNT: &str = "/v1/messages/count_tokens";
const QUESTION: &str = "What is the refund window?";

/// A request that is answered the same each time, with more members.
fn body(question: &str, more: Value) -> Value {
    let mut body = json!({
        "model": MODEL, "max_tokens": 96, "temperature": 0, "messages": [{"role": "user", "content": question}],
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn ask(caller: &Caller, body: &Value) -> Value {
    let answer = caller.post(MESSAGES, body).await;
    assert!(!answer.header("request-id").is_empty());
    assert_eq!(answer.header("request-id"), answer.header("x-request-id"));
    answer.ok()
}

/// The events of a streamed answer, whose names are checked.
async fn stream(caller: &Caller, body: &Value) -> Vec<Value> {
    let mut body = body.clone();
    body["stream"] = true.into();
    let answer = caller.post(MESSAGES, &body).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    assert!(answer.header("content-type").starts_with("text/event-stream"));
    assert_eq!(answer.header("x-accel-buffering"), "no");
    events(&answer)
}

fn events(answer: &Answer) -> Vec<Value> {
    let events = answer.body.split("\n\n").filter(|event| event.starts_with("event: "));
    events
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(data["type"], name.strip_prefix("event: ").unwrap());
            data
        })
        .collect()
}

fn text(answer: &Value) -> String {
    let blocks = answer["content"].as_array().unwrap().iter();
    blocks.filter_map(|block| block["text"].as_str()).collect()
}

/// Fails the test if the answer is not this error in Anthropic's shape.
fn refused(answer: Answer, status: u16, r#type: &str, words: &str) -> Answer {
    let body = answer.json();
    assert_eq!(answer.status.as_u16(), status, "{body}");
    assert_eq!(
        (&body["type"], &body["error"]["type"]),
        (&json!("error"), &json!(r#type)),
        "{body}"
    );
    assert!(answer.message().contains(words), "{body} lacks {words:?}");
    assert_eq!(body["request_id"], answer.header("x-request-id"), "{body}");
    let mut names = body["error"].as_object().unwrap().keys();
    assert!(
        names.all(|name| ["type", "message", "details"].contains(&name.as_str())),
        "{body}"
    );
    answer
}
