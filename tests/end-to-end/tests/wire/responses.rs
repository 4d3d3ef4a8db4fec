//! `/v1/responses` over a real server: answered, streamed, gone on from, read again, deleted, expired. Not here: the shapes of requests
//! and events (`host/api/src/responses/tests`), and what the room keeps (`host/store/tests/store/responses.rs`).

mod access;
mod answers;
mod conversations;
mod keeping;

use reqwest::{Method, StatusCode};
use riad_end_to_end::{Answer, Caller, MODEL, Stream};
use serde_json::{Value, json};

const PATH: &str = "/v1/responses";

/// A greedy response of the base model.
fn request(input: impl Into<Value>) -> Value {
    let input: Value = input.into();
    json!({"model": MODEL, "input": input, "temperature": 0, "max_output_tokens": 96})
}

fn with(mut body: Value, more: &Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn respond(caller: &Caller, body: &Value) -> Value {
    caller.post(PATH, body).await.ok()
}

async fn stream(caller: &Caller, body: &Value) -> Vec<Value> {
    let body = with(body.clone(), &json!({"stream": true}));
    let response = caller.request(Method::POST, PATH).json(&body).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    Stream::new(response).rest().await
}

async fn get(caller: &Caller, id: &str) -> Answer {
    caller.get(&format!("{PATH}/{id}")).await
}

fn id(response: &Value) -> String {
    response["id"].as_str().unwrap().to_owned()
}

/// The text of its only message.
fn text(response: &Value) -> &str {
    let message = response["output"].as_array().unwrap().last().unwrap();
    assert_eq!(message["type"], "message", "{response}");
    message["content"][0]["text"].as_str().unwrap()
}

/// A request that is refused, and the member that it names.
async fn refused(caller: &Caller, body: &Value) -> String {
    let answer = caller.post(PATH, body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.body);
    answer.text("/error/param")
}
